// Package console owns the serial consoles of machines: one connection for
// each, any number of viewers on it.
//
// A [Console] is handed something that opens a stream of bytes (Serial over
// LAN of a BMC), and knows nothing of BMCs. While it is kept open, or somebody
// watches it, it keeps that stream open, opens it again when it was lost, and
// gives what it reads to the log and to every viewer. Each viewer has a bounded
// queue of its own: a slow one loses output and is told, and never delays the
// machine or another viewer.
//
// A machine has room for one stream. One that another program has is left to
// it, and asked for again, until a run comes or a person says to take it: then
// it is taken, once.
//
// One viewer types at a time, so that two people do not type into the same
// line: see [Viewer.Ask]. All others watch, and everybody is told who is here.
package console

import (
	"context"
	"io"
	"sync"
	"time"

	"provisioner/lab/console/transcript"
)

const (
	// TailSize is how many bytes of the log tell a late viewer where the
	// machine stands.
	TailSize = 64 << 10

	queueSize = 256 << 10 // bytes that a viewer may lag behind
)

// State is how the connection to the machine stands.
type State int

const (
	Closed State = iota // nobody needs it
	Connecting
	Connected
	Lost // it will be tried again
)

// Status is the state of the connection, and what is in its way.
type Status struct {
	State State
	Err   error // why it was lost; nil otherwise
	InUse bool  // another program has it; [Viewer.TakeOver] takes it from there
}

// Config is what a [Console] needs.
type Config struct {
	// Open opens the stream of a machine; takeOver asks it to take the stream
	// from whoever has it. Closing the stream must make a Read on it return.
	//
	// A stream that can send BREAK is a [Breaker]. One that lets some input
	// not pass returns a *[RefusedError] from Write, and goes on.
	//
	// An error that has a method RetryAfter() [time.Duration] says how long it
	// is useless to try again.
	Open func(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error)

	// InUse reports whether an error of Open or of the stream says that
	// somebody else has it.
	InUse func(error) bool

	// Insist reports whether the console is taken from other programs for the
	// log's sake, too: not more often than it is asked for. With nil it is not.
	Insist func() bool

	Log *transcript.Log // of what the machine prints

	Now func() time.Time // nil: the clock

	// Printed is told what the machine prints and where in the log that is,
	// piece by piece, by the goroutine that reads the stream. It must not
	// block. With nil nobody is told.
	Printed func(p []byte, at transcript.Position)
}

// Console is the console of one machine. It is safe for concurrent use.
type Console struct {
	Config
	input chan input
	retry chan struct{} // holds one token while the connection is to be tried at once

	mu       sync.Mutex
	users    int  // viewers, holds and keeps
	wanted   int  // viewers and holds
	takeOver bool // it may be taken from another program
	waiting  bool // for the next try
	viewers  map[*Viewer]struct{}
	writer   *Viewer   // the one that types; nil: nobody
	wrote    time.Time // when it did last, or became the writer
	asking   []*Viewer // who would like to, the first to ask first
	status   Status
	changed  chan struct{}      // closed when status changes
	cancel   context.CancelFunc // ends the connection; nil while it is closed
	done     chan struct{}      // closed when the connection has ended
	closed   bool
}

// New prepares a console. Nothing is opened before somebody needs it.
func New(cfg Config) *Console {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Console{
		Config: cfg, input: make(chan input, inputDepth), retry: make(chan struct{}, 1),
		viewers: make(map[*Viewer]struct{}), changed: make(chan struct{}),
	}
}

// Hold has the console connected, until the returned function is called, and
// takes it from another program, once.
func (c *Console) Hold() (release func()) { return c.use(true, true) }

// Keep keeps the console connected, so that its output is logged though nobody
// watches, until the returned function is called. A stream that another program
// uses is left to it meanwhile.
func (c *Console) Keep() (release func()) { return c.use(false, false) }

func (c *Console) use(wanted, takeOver bool) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeOver = c.takeOver || takeOver
	c.addUserLocked(wanted)
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removeUserLocked(wanted)
	})
}

// AwaitConnected blocks until the console is connected, or ctx has ended.
func (c *Console) AwaitConnected(ctx context.Context) error {
	v := c.View("", nil)
	defer v.Close()
	for {
		out, err := v.Next(ctx)
		if err != nil {
			return err
		}
		if out.Status != nil && out.Status.State == Connected {
			return nil
		}
	}
}

// Stats returns how the connection stands, and how many guests there are.
func (c *Console) Stats() (state State, guests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for v := range c.viewers {
		if v.name != "" {
			guests++
		}
	}
	return c.status.State, guests
}

// Close ends the connection and all viewers. It waits until the machine's
// stream is closed, so that no BMC keeps a session that nobody uses, and what
// it printed is on disk.
func (c *Console) Close() {
	c.mu.Lock()
	c.closed = true
	for v := range c.viewers {
		v.endLocked()
	}
	done := c.stopLocked()
	c.mu.Unlock()
	if done != nil {
		<-done
	}
	c.Log.Flush()
}

func (c *Console) addUserLocked(wanted bool) {
	c.users++
	if wanted {
		c.wanted++
		c.retryLocked()
	}
	if c.cancel != nil || c.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	previous, done := c.done, make(chan struct{})
	c.cancel, c.done = cancel, done
	c.setStatusLocked(Status{State: Connecting})
	go func() { // ends when cancel is called, by the last user or by Close
		defer close(done)
		if previous != nil {
			<-previous // the BMC has room for one stream
		}
		c.keepConnected(ctx)
	}()
}

// retryLocked ends the wait for the next try, where there is one.
func (c *Console) retryLocked() {
	if !c.waiting {
		return
	}
	c.waiting = false
	c.setStatusLocked(Status{State: Connecting})
	select {
	case c.retry <- struct{}{}:
	default:
	}
}

func (c *Console) removeUserLocked(wanted bool) {
	c.users--
	if wanted {
		c.wanted--
	}
	if c.wanted == 0 {
		c.takeOver = false
	}
	if c.users == 0 {
		c.stopLocked()
	}
}

func (c *Console) stopLocked() (done <-chan struct{}) {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
		c.setStatusLocked(Status{State: Closed})
	}
	if c.done == nil {
		return nil
	}
	return c.done
}

func (c *Console) setStatus(ctx context.Context, s Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil { // else stopLocked has said the last word
		c.setStatusLocked(s)
	}
}

func (c *Console) setStatusLocked(s Status) {
	c.status = s
	close(c.changed)
	c.changed = make(chan struct{})
	for v := range c.viewers {
		v.wakeUp()
	}
}
