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
// A machine has room for one stream. One that somebody else has is taken from
// them when a person or a run comes, once; a console that is only kept open
// waits until it is free.
package console

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"provisioner/lab/console/transcript"
)

const (
	// TailSize is how many bytes of the log tell a late viewer where the
	// machine stands.
	TailSize = 64 << 10

	queueSize  = 256 << 10 // bytes that a viewer may lag behind
	inputDepth = 64        // pieces of input that wait for the BMC
	readSize   = 4 << 10
	firstRetry = time.Second
	lastRetry  = 30 * time.Second

	// A console that somebody else uses is asked for rarely. BMCs forget
	// clients that died after a minute.
	firstInUseRetry = time.Minute
	lastInUseRetry  = 10 * time.Minute
)

// ErrNotConnected says that input cannot reach the machine now.
var ErrNotConnected = errors.New("the console is not connected")

// ErrBusy says that the BMC takes input more slowly than it comes.
var ErrBusy = errors.New("the console takes no more input right now")

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
	InUse bool  // lost to somebody else, from whom it is not taken unless a viewer joins
}

// Config is what a [Console] needs.
type Config struct {
	// Open opens the stream of a machine; takeOver asks it to take the stream
	// from whoever has it. Closing the stream must make a Read on it return.
	Open func(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error)

	// InUse reports whether an error of Open or of the stream says that
	// somebody else has it.
	InUse func(error) bool

	Log *transcript.Log // of what the machine prints
}

// Console is the console of one machine. It is safe for concurrent use.
type Console struct {
	Config
	input chan input
	retry chan struct{} // holds one token while the connection is to be tried at once

	mu       sync.Mutex
	users    int  // viewers, holds and keeps
	wanted   int  // viewers and holds
	takeOver bool // somebody has come for whom it may be taken over
	waiting  bool // for the next try
	viewers  map[*Viewer]struct{}
	status   Status
	changed  chan struct{}      // closed when status changes
	cancel   context.CancelFunc // ends the connection; nil while it is closed
	done     chan struct{}      // closed when the connection has ended
	closed   bool
}

// New prepares a console. Nothing is opened before somebody needs it.
func New(cfg Config) *Console {
	return &Console{
		Config: cfg, input: make(chan input, inputDepth), retry: make(chan struct{}, 1),
		viewers: make(map[*Viewer]struct{}), changed: make(chan struct{}),
	}
}

// input is what a viewer types.
type input struct {
	keys  []byte
	taken chan error // receives once: nil when the BMC has taken it
}

func newInput(keys []byte) input {
	return input{keys: append([]byte(nil), keys...), taken: make(chan error, 1)}
}

// Hold has the console connected, as a viewer has, until the returned function
// is called.
func (c *Console) Hold() (release func()) { return c.use(true) }

// Keep keeps the console connected, so that its output is logged though nobody
// watches, until the returned function is called. A stream that somebody else
// uses is left to them meanwhile.
func (c *Console) Keep() (release func()) { return c.use(false) }

func (c *Console) use(wanted bool) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addUserLocked(wanted)
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removeUserLocked(wanted)
	})
}

// AwaitConnected blocks until the console is connected, or ctx has ended.
func (c *Console) AwaitConnected(ctx context.Context) error {
	v := c.View(nil)
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
		c.takeOver = true
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

// keepConnected opens the stream, again and again, until ctx ends.
func (c *Console) keepConnected(ctx context.Context) {
	wait, inUseWait := firstRetry, firstInUseRetry
	for {
		stream, err := c.Open(ctx, c.mayTakeOver())
		if err == nil {
			c.refuseInput()
			c.setStatus(ctx, Status{State: Connected})
			wait, inUseWait = firstRetry, firstInUseRetry
			err = c.pump(ctx, stream)
		}
		pause := &wait
		limit := lastRetry
		if c.InUse(err) {
			pause, limit = &inUseWait, lastInUseRetry
		}
		if !c.lose(ctx, err) || !c.pause(ctx, *pause) {
			return
		}
		*pause = min(2**pause, limit)
	}
}

func (c *Console) mayTakeOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeOver
}

// lose notes that there is no connection, and reports whether there is to be
// one again.
func (c *Console) lose(ctx context.Context, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	inUse := c.InUse(err)
	if inUse {
		c.takeOver = false // once was enough, or two would take it from each other for ever
	}
	c.waiting = true
	select {
	case <-c.retry: // of somebody who came when it was about to be tried anyway
	default:
	}
	c.setStatusLocked(Status{State: Lost, Err: err, InUse: inUse})
	return true
}

// pause waits about that long before the next try, or until somebody comes. It
// reports whether there is to be one.
func (c *Console) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // spreads load, guards nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-c.retry:
		return true
	case <-timer.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		c.retryLocked()
	}
	return ctx.Err() == nil
}

// pump moves bytes both ways until the stream or ctx ends, and closes the stream.
func (c *Console) pump(ctx context.Context, stream io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { // ends with ctx, which this function cancels
		for {
			select {
			case <-ctx.Done():
				return
			case in := <-c.input:
				_, err := stream.Write(in.keys)
				in.taken <- err
				if err != nil {
					return // the reader will learn it too, and says why
				}
			}
		}
	})
	unhook := context.AfterFunc(ctx, func() { _ = stream.Close() })
	buffer := make([]byte, readSize)
	var err error
	for err == nil {
		var n int
		n, err = stream.Read(buffer)
		c.deliver(buffer[:n])
	}
	cancel()
	if unhook() {
		_ = stream.Close()
	}
	writer.Wait()
	c.refuseInput()
	return err
}

// refuseInput drops what was typed into a line that is dead: it is not meant
// for the next one.
func (c *Console) refuseInput() {
	for {
		select {
		case in := <-c.input:
			in.taken <- ErrNotConnected
		default:
			return
		}
	}
}

func (c *Console) deliver(p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Log.Append(p)
	for v := range c.viewers {
		v.addLocked(p)
	}
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
