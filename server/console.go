package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"provisioner/lab"
	"provisioner/lab/console"
)

type consoleCommand struct {
	Name   string `arg:"" help:"Name of the machine."`
	Replay *int   `placeholder:"N" help:"First the last N lines that it printed. Left out: the last 64 KiB."`
	Watch  bool   `help:"Only watch: what you type does not reach the machine."`
}

// Run moves bytes between a person and a machine until one of them leaves.
// The machine's go to standard output as they are; what we have to say goes to
// standard error.
//
// The end of the input does not end the console: `console NAME </dev/null`
// watches.
func (c consoleCommand) Run(in *invocation) error {
	viewer, err := c.join(in)
	if err != nil {
		return err
	}
	defer viewer.Close()
	if !c.Watch {
		viewer.Ask()
	}
	ctx, leave := context.WithCancel(in.ctx)
	defer leave()
	go func() { // ends with the session's input; nobody waits for a person who does not type
		if errors.Is(c.typeInto(ctx, in, viewer), errLeft) {
			leave()
		}
	}()
	for {
		out, err := viewer.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return &lab.Error{Code: lab.Denied, Message: "you hold " + c.Name + " no more"}
		case err != nil && in.ctx.Err() == nil:
			_, err := fmt.Fprintf(in.notes, "\n[left the console of %s]\n", c.Name)
			return err
		case err != nil:
			return nil // the session ends, and says why
		}
		if out.Status != nil {
			in.note(statusText(c.Name, *out.Status))
		}
		for _, notice := range out.Notices {
			in.note(notice.String())
		}
		if out.Skipped > 0 {
			in.note(fmt.Sprintf("%d bytes were too fast for this connection", out.Skipped))
		}
		if _, err := in.sess.Write(out.Data); err != nil {
			return nil // the client has gone
		}
	}
}

func (c consoleCommand) join(in *invocation) (*lab.Seat, error) {
	if c.Replay != nil {
		return in.lab.ReplayConsole(in.ctx, in.actor, c.Name, *c.Replay)
	}
	return in.lab.OpenConsole(in.ctx, in.actor, c.Name)
}

func (in *invocation) note(text string) {
	_, _ = fmt.Fprintf(in.notes, "[%s]\n", text)
}

func statusText(name string, s console.Status) string {
	switch s.State {
	case console.Connected:
		return "console of " + name + "; ~. at the start of a line leaves it, ~? helps"
	case console.Lost:
		if s.InUse {
			return fmt.Sprintf("console of %s: %v, or leave and come again here to take it over", name, s.Err)
		}
		return fmt.Sprintf("console of %s lost: %v; trying again", name, s.Err)
	case console.Connecting:
		return "connecting to the console of " + name
	case console.Closed:
	}
	return "console of " + name + " closed"
}

var errLeft = errors.New("left the console")

// typeInto gives what a person types to the machine until they leave. Of one
// who only watches, it heeds the escapes.
func (c consoleCommand) typeInto(ctx context.Context, in *invocation, viewer *lab.Seat) error {
	escapes := escapes{lineStart: true}
	buffer := make([]byte, 4<<10)
	told := false
	for {
		n, err := in.sess.Read(buffer)
		for typed := buffer[:n]; len(typed) > 0; {
			var keys []byte
			var found order
			keys, found, typed = escapes.next(typed)
			switch {
			case len(keys) == 0:
			case c.Watch && !told:
				told = true
				in.note("you only watch: what you type does not reach the machine")
			case !c.Watch:
				var occupied *console.OccupiedError
				if err := viewer.Send(ctx, keys); errors.Is(err, console.ErrNotConnected) {
					in.note("not connected: what you typed is lost")
				} else if errors.As(err, &occupied) {
					in.note(err.Error() + ": what you typed is lost")
				} else if err != nil {
					return err
				}
			}
			switch found {
			case leaveConsole:
				return errLeft
			case helpConsole:
				_, _ = io.WriteString(in.notes, escapeHelp)
			case noOrder:
			}
		}
		if err != nil {
			return err
		}
	}
}

const escapeHelp = `
Escapes, at the start of a line:
  ~.   leave
  ~~   the character ~
  ~?   this list
(An ssh client with a terminal has ~. too, and takes it first. It leaves as well.)
`

// order is what a person asks of us, not of the machine.
type order int

const (
	noOrder order = iota
	leaveConsole
	helpConsole
)

// escapes finds orders in what a person types: `~` at the start of a line, and
// the key after it (as cu, rlogin and ssh have it).
type escapes struct {
	lineStart bool // the next key is the first of a line
	tilde     bool // it was `~`, and is kept back
}

// next returns what is meant for the machine up to the next order, the order,
// and what was typed after it.
func (e *escapes) next(typed []byte) (keys []byte, found order, rest []byte) {
	keys = make([]byte, 0, len(typed)+1)
	for i, key := range typed {
		if e.tilde {
			e.tilde = false
			switch key {
			case '.':
				return keys, leaveConsole, typed[i+1:]
			case '?':
				return keys, helpConsole, typed[i+1:]
			case '~':
			default:
				keys = append(keys, '~')
			}
		} else if e.lineStart && key == '~' {
			e.tilde = true
			continue
		}
		keys = append(keys, key)
		e.lineStart = key == '\r' || key == '\n'
	}
	return keys, noOrder, nil
}
