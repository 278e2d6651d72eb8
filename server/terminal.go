package server

import (
	"io"
	"sync"

	"charm.land/ssh"

	"provisioner/tui"
)

// terminal is the terminal at the other end of a session.
type terminal struct {
	name          string // what TERM says
	width, height int
	resized       <-chan tui.Size
}

// text is a writer for lines that end with \n. A terminal that a client has
// put into raw mode needs \r\n; a nil terminal is none.
func (t *terminal) text(w io.Writer) io.Writer {
	if t == nil {
		return w
	}
	return ssh.NewPtyWriter(w)
}

// terminals knows which sessions have one.
//
// The library would emulate one itself, and turn every \n of a session's
// output into \r\n: no console could be 8-bit clean over that.
type terminals struct {
	mu  sync.Mutex
	all map[ssh.Session]*terminal
}

// allocate is called when a client asks for a terminal; what it returns, when
// the session has ended.
func (t *terminals) allocate(_ ssh.Context, sess ssh.Session, pty ssh.Pty) (func() error, error) {
	_, windows, _ := sess.Pty()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = make(map[ssh.Session]*terminal)
	}
	t.all[sess] = &terminal{
		name: pty.Term, width: pty.Window.Width, height: pty.Window.Height, resized: sizes(windows),
	}
	return func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.all, sess)
		return nil
	}, nil
}

// of returns the terminal of a session; nil: it has none.
func (t *terminals) of(sess ssh.Session) *terminal {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[sess]
}

// sizes passes window sizes on, the newest only: a reader that is slow, or
// that does not read at all, holds up nothing.
func sizes(windows <-chan ssh.Window) <-chan tui.Size {
	newest := make(chan tui.Size, 1)
	go func() { // ends with the session, when the library closes windows
		defer close(newest)
		for w := range windows {
			select {
			case <-newest:
			default:
			}
			newest <- tui.Size{Width: w.Width, Height: w.Height}
		}
	}()
	return newest
}
