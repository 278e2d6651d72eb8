package ipmi

// KeepAlive makes the console ask the BMC now whether it is still ours.
func (l *SOL) KeepAlive() {
	l.mu.Lock()
	l.alive.Stop()
	l.mu.Unlock()
	l.keepAlive()
}
