package lab

import (
	"net"
	"sync"
	"time"
)

// loginEvery is how long a login stands in the history and the audit for those
// that follow it by the same key from the same host: a script that asks every
// few seconds over ssh would leave nothing else there. The key's last use is
// kept always.
const loginEvery = 10 * time.Minute

// logins knows which logins were kept. The zero value knows of none; it grows
// with the keys that are used.
type logins struct {
	mu   sync.Mutex
	last map[keyOf]login
}

type keyOf struct {
	user int64
	key  string // its fingerprint
}

type login struct {
	host string
	at   time.Time
}

// stands reports whether one that was kept stands for this one.
func (l *logins) stands(actor Actor, this login) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.last[keyOf{actor.User.ID, actor.key}]
	since := this.at.Sub(last.at)
	return known && last.host == this.host && since >= 0 && since < loginEvery
}

func (l *logins) kept(actor Actor, this login) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[keyOf]login)
	}
	l.last[keyOf{actor.User.ID, actor.key}] = this
}

// hostOf is an address without its port, which is another one each time.
func hostOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
