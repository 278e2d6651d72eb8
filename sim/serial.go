package sim

import "bytes"

const (
	serialRead   = 16 << 10 // bytes kept for a reader that comes again
	serialUnread = 4 << 10  // bytes kept while nobody reads
)

// serial holds what a machine has printed and nobody has read yet. It is
// bounded: the oldest lines are dropped. A reader counts as attached from its
// first read until it falls serialRead bytes behind.
type serial struct {
	unread   []byte
	attached bool
	notify   func() // of output; nil: nobody wants to know
}

func (s *serial) write(text string) {
	limit := serialUnread
	if s.attached {
		limit = serialRead
	}
	if len(s.unread)+len(text) > limit {
		s.attached = false
		text = text[max(0, len(text)-serialUnread):]
		s.keep(serialUnread - len(text))
	}
	s.unread = append(s.unread, text...)
	if s.notify != nil && text != "" {
		s.notify()
	}
}

// keep drops all but the newest n bytes, and what is left of a line that is cut.
func (s *serial) keep(n int) {
	rest := s.unread[max(0, len(s.unread)-n):]
	if len(rest) < len(s.unread) {
		if eol := bytes.IndexByte(rest, '\n'); eol >= 0 {
			rest = rest[eol+1:]
		}
	}
	if cap(s.unread) > serialUnread {
		s.unread = append(make([]byte, 0, serialUnread), rest...)
		return
	}
	s.unread = s.unread[:copy(s.unread, rest)]
}

func (s *serial) read(p []byte) int {
	s.attached = true
	n := copy(p, s.unread)
	if n < len(s.unread) {
		s.unread = s.unread[:copy(s.unread, s.unread[n:])]
		return n
	}
	if cap(s.unread) > serialUnread {
		s.unread = nil
		return n
	}
	s.unread = s.unread[:0]
	return n
}
