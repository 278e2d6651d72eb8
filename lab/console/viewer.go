package console

import (
	"context"
	"io"
	"time"

	"provisioner/lab/console/transcript"
)

// Viewer is somebody who watches a console and may type into it.
type Viewer struct {
	console *Console
	wake    chan struct{} // holds one token while there may be something to read
	since   time.Time     // what was printed before is not shown

	// backlog is read before pending; nil: there is none. Of whoever calls Next.
	backlog *transcript.Reader

	// Guarded by console.mu.
	pending []byte
	skipped int  // bytes that were too many since the last Next
	behind  bool // pending had no room; it begins again at the tail of the log
	told    Status
	ended   bool
}

// View joins a console. The viewer first reads what was printed before, from
// where it says; nil for nothing of it. It must be closed.
func (c *Console) View(from *transcript.From) *Viewer {
	v := &Viewer{console: c, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if from != nil {
		v.since, v.backlog = from.Since, c.Log.Read(*from)
	}
	v.ended = c.closed
	c.viewers[v] = struct{}{}
	c.addUserLocked(true)
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
// [io.EOF] after the console or the viewer was closed. It is for one goroutine.
func (v *Viewer) Next(ctx context.Context) (Output, error) {
	for {
		select {
		case <-ctx.Done():
			return Output{}, ctx.Err()
		case <-v.wake:
		}
		out, err := v.take()
		if err != nil {
			return Output{}, err
		}
		if v.backlog != nil {
			v.readBacklog(&out)
		}
		if len(out.Data) > 0 || out.Status != nil || out.Skipped > 0 {
			return out, nil
		}
	}
}

// take returns what there is, but not what comes after the backlog.
func (v *Viewer) take() (out Output, err error) {
	c := v.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != v.told {
		v.told = c.status
		out.Status = &Status{State: v.told.State, Err: v.told.Err, InUse: v.told.InUse}
	}
	switch {
	case v.backlog == nil && v.behind && !v.ended:
		v.backlog = c.Log.Read(transcript.From{Since: v.since, Bytes: TailSize})
		out.Skipped, v.skipped, v.behind = v.skipped, 0, false
	case v.backlog == nil:
		out.Data, v.pending = v.pending, nil
		if v.ended && len(out.Data) == 0 && out.Status == nil {
			err = io.EOF
		}
	case v.ended:
		v.backlog = nil
	}
	if v.ended || v.backlog != nil {
		v.wakeUp() // whoever asks again is told the rest, or the end
	}
	return out, err
}

// readBacklog adds a piece of the backlog to out. What cannot be read of it is
// left out: the console goes on.
func (v *Viewer) readBacklog(out *Output) {
	if out.Skipped > 0 { // what the backlog has was not skipped
		size, _ := v.backlog.Size()
		out.Skipped = max(0, out.Skipped-int(size))
	}
	out.Data = make([]byte, TailSize)
	n, err := io.ReadFull(v.backlog, out.Data)
	out.Data = out.Data[:n]
	if err != nil {
		v.backlog = nil
	}
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
	c.removeUserLocked(true)
}

// Ended reports whether the viewer was closed, by whomever.
func (v *Viewer) Ended() bool {
	v.console.mu.Lock()
	defer v.console.mu.Unlock()
	return v.ended
}

func (v *Viewer) addLocked(p []byte) {
	if v.behind = v.behind || len(v.pending)+len(p) > queueSize; v.behind {
		v.skipped += len(v.pending) + len(p)
		v.pending = nil
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
