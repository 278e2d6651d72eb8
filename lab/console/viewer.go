package console

import (
	"context"
	"io"
	"time"

	"provisioner/lab/console/transcript"
)

// Viewer is somebody who watches a console and may type into it. Its methods
// may be called concurrently, but for Next.
type Viewer struct {
	console *Console
	name    string
	joined  time.Time
	wake    chan struct{} // holds one token while there may be something to read
	since   time.Time     // what was printed before is not shown

	// backlog is read before pending; nil: there is none. Of whoever calls Next.
	backlog *transcript.Reader

	// Guarded by console.mu.
	pending []byte
	skipped int  // bytes that were too many since the last Next
	behind  bool // pending had no room; it begins again at the tail of the log
	told    Status
	notices []Notice
	ended   bool
}

// View joins a console, as somebody who watches. The others see the name; an
// empty one is nobody to them. The viewer first reads what was printed before,
// from where it says; nil for nothing of it. It must be closed.
func (c *Console) View(name string, from *transcript.From) *Viewer {
	v := &Viewer{console: c, name: name, joined: c.Now(), wake: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if from != nil {
		v.since, v.backlog = from.Since, c.Log.Read(*from)
	}
	v.ended = c.closed
	c.viewers[v] = struct{}{}
	c.tellLocked(v, Joined)
	c.addUserLocked(true)
	v.wakeUp()
	return v
}

// Output is what a viewer reads: output of the machine, news of the
// connection, and of the others who are here.
type Output struct {
	Data    []byte
	Skipped int     // bytes that came before Data and were too many for a slow viewer
	Status  *Status // where it has changed
	Notices []Notice
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
		if len(out.Data) > 0 || out.Status != nil || out.Skipped > 0 || len(out.Notices) > 0 {
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
	out.Notices, v.notices = v.notices, nil
	switch {
	case v.backlog == nil && v.behind && !v.ended:
		v.backlog = c.Log.Read(transcript.From{Since: v.since, Bytes: TailSize})
		out.Skipped, v.skipped, v.behind = v.skipped, 0, false
	case v.backlog == nil:
		out.Data, v.pending = v.pending, nil
		if v.ended && len(out.Data) == 0 && out.Status == nil && len(out.Notices) == 0 {
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
	c.yieldLocked(v)
	c.tellLocked(v, Left)
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
