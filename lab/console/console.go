// Package console owns the serial consoles of machines: one connection for
// each, any number of viewers on it.
//
// A [Console] is handed something that opens a stream of bytes (Serial over
// LAN of a BMC), and knows nothing of BMCs. While somebody watches it, or a
// provisioning run holds it, it keeps that stream open, opens it again when it
// was lost, and gives what it reads to every viewer. Each viewer has a bounded
// queue of its own: a slow one loses output and is told, and never delays the
// machine or another viewer.
package console

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	historySize = 64 << 10  // bytes of output that a late viewer is shown
	queueSize   = 256 << 10 // bytes that a viewer may lag behind
	inputDepth  = 64        // pieces of input that wait for the BMC
	readSize    = 4 << 10
	firstRetry  = time.Second
	lastRetry   = 30 * time.Second
)

// ErrNotConnected says that input cannot reach the machine now.
var ErrNotConnected = errors.New("the console is not connected")

// ErrBusy says that the BMC takes input more slowly than it comes.
var ErrBusy = errors.New("the console takes no more input right now")

// State is how the connection to the machine stands.
type State int

const (
	Closed State = iota // nobody watches
	Connecting
	Connected
	Lost // it will be tried again
)

// Status is the state of the connection, and what is in its way.
type Status struct {
	State State
	Err   error // why it was lost; nil otherwise
}

// Open opens the stream of a machine. Closing the stream must make a Read on
// it return.
type Open func(ctx context.Context) (io.ReadWriteCloser, error)

// Console is the console of one machine. It is safe for concurrent use.
type Console struct {
	open  Open
	input chan input

	mu      sync.Mutex
	users   int // viewers and holds
	viewers map[*Viewer]struct{}
	status  Status
	changed chan struct{} // closed when status changes
	history history
	cancel  context.CancelFunc // ends the connection; nil while it is closed
	done    chan struct{}      // closed when the connection has ended
	closed  bool
}

// New prepares a console. Nothing is opened before somebody needs it.
func New(open Open) *Console {
	return &Console{
		open: open, input: make(chan input, inputDepth),
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

// Hold keeps the console connected, so that its output is remembered though
// nobody watches, until the returned function is called.
func (c *Console) Hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addUserLocked()
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removeUserLocked()
	})
}

// AwaitConnected blocks until the console is connected, or ctx has ended.
func (c *Console) AwaitConnected(ctx context.Context) error {
	v := c.View()
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
// stream is closed, so that no BMC keeps a session that nobody uses.
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
}

func (c *Console) addUserLocked() {
	c.users++
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

func (c *Console) removeUserLocked() {
	c.users--
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
	wait := firstRetry
	for {
		stream, err := c.open(ctx)
		if err == nil {
			c.refuseInput()
			c.setStatus(ctx, Status{State: Connected})
			wait = firstRetry
			err = c.pump(ctx, stream)
		}
		if ctx.Err() != nil {
			return
		}
		c.setStatus(ctx, Status{State: Lost, Err: err})
		timer := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // spreads load, guards nothing
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, lastRetry)
		c.setStatus(ctx, Status{State: Connecting})
	}
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
	c.history.add(p)
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
