package console

import (
	"context"
	"io"
)

// Viewer is somebody who watches a console and may type into it.
type Viewer struct {
	console *Console
	wake    chan struct{} // holds one token while there may be something to read

	// Guarded by console.mu.
	pending []byte
	skipped int
	told    Status
	ended   bool
}

// View joins a console. The viewer first reads what was printed lately. It
// must be closed.
func (c *Console) View() *Viewer {
	v := &Viewer{console: c, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	v.pending = c.history.bytes()
	v.ended = c.closed
	c.viewers[v] = struct{}{}
	c.addUserLocked()
	v.wakeUp()
	return v
}

// Output is what a viewer reads: output of the machine, or news of the
// connection, or both.
type Output struct {
	Data    []byte
	Skipped int     // bytes that came before Data and were too many for a slow viewer
	Status  *Status // where it has changed
}

// Next blocks until there is output or news, or ctx has ended. It returns
// [io.EOF] after the console or the viewer was closed.
func (v *Viewer) Next(ctx context.Context) (Output, error) {
	for {
		select {
		case <-ctx.Done():
			return Output{}, ctx.Err()
		case <-v.wake:
		}
		if out, ok, err := v.take(); ok || err != nil {
			return out, err
		}
	}
}

func (v *Viewer) take() (out Output, ok bool, err error) {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	out = Output{Data: v.pending, Skipped: v.skipped}
	v.pending, v.skipped = nil, 0
	if c.status != v.told {
		v.told = c.status
		out.Status = &Status{State: v.told.State, Err: v.told.Err}
	}
	ok = len(out.Data) > 0 || out.Status != nil
	if !ok && v.ended {
		v.wakeUp() // whoever asks again is told again
		return out, false, io.EOF
	}
	if v.ended {
		v.wakeUp()
	}
	return out, ok, nil
}

// Send gives input to the machine and blocks until the BMC has taken it, or
// ctx has ended. Where a connection is being made, it waits for it;
// [ErrNotConnected] where there is none.
func (v *Viewer) Send(ctx context.Context, p []byte) error {
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
	in := newInput(p)
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

// TrySend is for callers that must not block: it returns as soon as the input
// waits for the BMC, and [ErrBusy] where too much of it does.
func (v *Viewer) TrySend(p []byte) error {
	if state, _ := v.state(); state != Connected {
		return ErrNotConnected
	}
	select {
	case v.console.input <- newInput(p):
		return nil
	default:
		return ErrBusy
	}
}

func (v *Viewer) state() (State, <-chan struct{}) {
	v.console.mu.Lock()
	defer v.console.mu.Unlock()
	if v.ended {
		return Closed, nil
	}
	return v.console.status.State, v.console.changed
}

// Close leaves the console. The last to leave closes the connection, unless
// it is held.
func (v *Viewer) Close() {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, here := c.viewers[v]; !here {
		return
	}
	delete(c.viewers, v)
	v.endLocked()
	c.removeUserLocked()
}

// Ended reports whether the viewer was closed, by whomever.
func (v *Viewer) Ended() bool {
	v.console.mu.Lock()
	defer v.console.mu.Unlock()
	return v.ended
}

func (v *Viewer) addLocked(p []byte) {
	if len(v.pending)+len(p) > queueSize {
		fresh := v.console.history.bytes() // p is in it already
		v.skipped += max(0, len(v.pending)+len(p)-len(fresh))
		v.pending = fresh
	} else {
		v.pending = append(v.pending, p...)
	}
	v.wakeUp()
}

func (v *Viewer) endLocked() {
	v.ended = true
	v.wakeUp()
}

func (v *Viewer) wakeUp() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}
