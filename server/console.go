package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"provisioner/lab"
	"provisioner/lab/console"
)

type consoleCommand struct {
	Name   string `arg:"" complete:"machines" help:"Name of the machine."`
	Replay *int   `placeholder:"N" help:"First the last N lines that it printed. Left out: the last 64 KiB."`
	Watch  bool   `xor:"take,break" help:"Only watch: what you type does not reach the machine."`
	Take   bool   `xor:"take" help:"Take the keyboard from who types, and the console from another program that has it."`
	Break  bool   `xor:"break" help:"First send BREAK. Then the end of the input ends the console: console NAME --break </dev/null sends it and is done."`
}

// Run moves bytes between a person and a machine until one of them leaves.
// The machine's go to standard output as they are; what we have to say goes to
// standard error.
//
// The end of the input does not end the console, but with --break: `console
// NAME </dev/null` watches. A BREAK that was asked for so and cannot be sent
// ends it, with the error.
func (c consoleCommand) Run(in *invocation) error {
	seat, err := c.join(in)
	if err != nil {
		return err
	}
	defer seat.Close()
	s := newScreen(in)
	k := newKeyboard(in, seat, s, c.Name, c.Watch)
	mode, err := c.sitDown(in.ctx, seat)
	if err != nil {
		return err
	}
	knows := mode == console.Writing && !c.Take // it is as always
	ctx, leave := context.WithCancelCause(in.ctx)
	defer k.heedBreaks(ctx)()
	defer leave(nil) // before it, so that no BREAK is waited for
	go func() {      // ends with the session's input; nobody waits for a person who does not type
		if err := c.typing(ctx, k); err != nil {
			leave(err)
		}
	}()
	for first := true; ; first = false {
		out, err := seat.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return &lab.Error{Code: lab.Denied, Message: "you hold " + c.Name + " no more"}
		case err != nil && in.ctx.Err() != nil:
			return nil // the session ends, and says why
		case err != nil && errors.Is(context.Cause(ctx), errLeft):
			s.note("left the console of " + c.Name)
			return nil
		case err != nil:
			return context.Cause(ctx)
		}
		if out.Skipped > 0 {
			s.note(fmt.Sprintf("%d bytes were too fast for this connection", out.Skipped))
		}
		if _, err := s.Write(out.Data); err != nil {
			return nil // the client has gone
		}
		if out.Status != nil {
			k.inUse.Store(out.Status.InUse)
			s.note(statusText(c.Name, *out.Status))
		}
		if first { // below all that was printed before
			k.greet(mode)
		}
		for _, notice := range out.Notices {
			if notice.Kind == console.Yours && knows {
				knows = false
				continue
			}
			s.note(noticeText(notice))
		}
	}
}

func (c consoleCommand) join(in *invocation) (*lab.Seat, error) {
	if c.Replay != nil {
		return in.lab.ReplayConsole(in.ctx, in.actor, c.Name, *c.Replay)
	}
	return in.lab.OpenConsole(in.ctx, in.actor, c.Name)
}

// sitDown gets a person the keyboard, where they want it and can have it. It
// returns what they do then.
func (c consoleCommand) sitDown(ctx context.Context, seat *lab.Seat) (console.Mode, error) {
	switch {
	case c.Take:
		return console.Writing, seat.Take(ctx)
	case c.Watch:
		return console.Watching, nil
	}
	return seat.Ask(), nil
}

// typing heeds what a person types, until they leave. It returns nil where
// they type no more and stay.
func (c consoleCommand) typing(ctx context.Context, k *keyboard) error {
	if c.Break {
		if err := k.seat.SendBreak(ctx); err != nil {
			return err
		}
		k.screen.note("BREAK sent")
	}
	err := k.read(ctx)
	if errors.Is(err, errLeft) || errors.Is(err, io.EOF) && c.Break {
		return errLeft
	}
	return nil
}

func statusText(name string, s console.Status) string {
	switch s.State {
	case console.Connected:
		return "console of " + name + "; ~. at the start of a line leaves it, ~h lists more"
	case console.Lost:
		if s.InUse {
			return fmt.Sprintf("console of %s is in use by %s; ~t takes it", name, cmp.Or(lab.ConsoleHolder(s.Err), "another program"))
		}
		return fmt.Sprintf("console of %s lost: %v; trying again", name, s.Err)
	case console.Connecting:
		return "connecting to the console of " + name
	case console.Closed:
	}
	return "console of " + name + " closed"
}

// noticeText is a notice, and what can be done about it.
func noticeText(n console.Notice) string {
	switch n.Kind {
	case console.Asked:
		return n.String() + "; ~g gives them the keyboard"
	case console.Took:
		return n.String() + "; ~a asks for it, ~t takes it back"
	case console.Joined, console.Left, console.Writes, console.Yours, console.Refused:
	}
	return n.String()
}
