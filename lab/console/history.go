package console

// history keeps the newest output, at most historySize bytes of it. It takes
// no memory before there is any.
type history struct {
	ring []byte
	next int // where the next byte goes, once the ring is full
}

func (h *history) add(p []byte) {
	if len(p) >= historySize {
		h.ring = append(h.ring[:0], p[len(p)-historySize:]...)
		h.next = 0
		return
	}
	room := min(historySize-len(h.ring), len(p))
	h.ring = append(h.ring, p[:room]...)
	for p = p[room:]; len(p) > 0; {
		n := copy(h.ring[h.next:], p)
		h.next = (h.next + n) % historySize
		p = p[n:]
	}
}

// bytes returns a copy, the oldest first.
func (h *history) bytes() []byte {
	all := make([]byte, 0, len(h.ring))
	all = append(all, h.ring[h.next:]...)
	return append(all, h.ring[:h.next]...)
}
