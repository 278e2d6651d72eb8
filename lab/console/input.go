package console

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const inputDepth = 64 // pieces of input that wait for the BMC

var (
	// ErrNotConnected says that input cannot reach the machine now.
	ErrNotConnected = errors.New("the console is not connected")
	// ErrBusy says that the BMC takes input more slowly than it comes.
	ErrBusy = errors.New("the console takes no more input right now")
	// ErrNoBreak says that the stream of the machine cannot send BREAK.
	ErrNoBreak = errors.New("this console cannot send BREAK")
)

// OccupiedError says that somebody else types.
type OccupiedError struct{ Who string }

// Error implements error.
func (e *OccupiedError) Error() string { return e.Who + " types here" }

// RefusedError is what a stream's Write returns for input that it did not let
// pass; the rest of that input it has.
type RefusedError struct{ Reason string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Reason }

// Breaker is a stream that can send BREAK.
type Breaker interface {
	SendBreak(ctx context.Context) error
}

// input is what a viewer types, or a BREAK.
type input struct {
	from  *Viewer
	keys  []byte     // nil: a BREAK
	taken chan error // receives once: nil when the BMC has taken it
}

func (in input) give(ctx context.Context, stream io.ReadWriteCloser) error {
	if in.keys == nil {
		if breaker, can := stream.(Breaker); can {
			return breaker.SendBreak(ctx)
		}
		return ErrNoBreak
	}
	_, err := stream.Write(in.keys)
	return err
}

// Send types p and blocks until the BMC has taken it, or ctx has ended. Where a
// connection is being made, it waits for it; [ErrNotConnected] where there is
// none, *[OccupiedError] where somebody else types. Where nobody does, it makes
// the viewer the one who types.
func (v *Viewer) Send(ctx context.Context, p []byte) error {
	return v.send(ctx, append(make([]byte, 0, len(p)), p...))
}

// SendBreak sends a BREAK, which Linux takes for SysRq. It blocks, and fails,
// like Send; [ErrNoBreak] where the stream cannot.
func (v *Viewer) SendBreak(ctx context.Context) error { return v.send(ctx, nil) }

func (v *Viewer) send(ctx context.Context, keys []byte) error {
	for {
		state, changed := v.state()
		if state == Connected {
			break
		}
		if state != Connecting {
			return ErrNotConnected
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := v.mayType(); err != nil {
		return err
	}
	in := input{v, keys, make(chan error, 1)}
	select {
	case v.console.input <- in:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-in.taken:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TrySend is Send for callers that must not block: it returns as soon as the
// input waits for the BMC, and [ErrBusy] where too much of it does.
func (v *Viewer) TrySend(p []byte) error {
	if state, _ := v.state(); state != Connected {
		return ErrNotConnected
	}
	if err := v.mayType(); err != nil {
		return err
	}
	select {
	case v.console.input <- input{v, append(make([]byte, 0, len(p)), p...), make(chan error, 1)}:
		return nil
	default:
		return ErrBusy
	}
}

// refused tells a viewer that some of their input did not pass.
func (c *Console) refused(v *Viewer, refusal *RefusedError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v.noticeLocked(Notice{Kind: Refused, What: refusal.Reason})
}

// refuseInput drops what was typed into a line that is dead: it is not meant
// for the next one.
func (c *Console) refuseInput() {
	for {
		select {
		case in := <-c.input:
			in.taken <- fmt.Errorf("not sent: %w", ErrNotConnected)
		default:
			return
		}
	}
}
