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
	readSize   = 4 << 10
	firstRetry = time.Second
	lastRetry  = 30 * time.Second

	// A console that another program uses is asked for rarely. BMCs forget
	// clients that died after a minute.
	firstInUseRetry = time.Minute
	lastInUseRetry  = 10 * time.Minute
)

// keepConnected opens the stream, again and again, until ctx ends.
func (c *Console) keepConnected(ctx context.Context) {
	wait, inUseWait := firstRetry, firstInUseRetry
	for {
		takeOver := c.mayTakeOver()
		stream, err := c.Open(ctx, takeOver)
		opened := err == nil
		polite := !opened && !takeOver
		if opened {
			c.refuseInput()
			c.setStatus(ctx, Status{State: Connected})
			wait, inUseWait = firstRetry, firstInUseRetry
			err = c.pump(ctx, stream)
		}
		pause := &wait
		limit := lastRetry
		if c.InUse(err) && (!opened || c.insists()) {
			// A BMC that restarts may take leave in the same words as one that
			// gives the console to somebody else: asking once is polite.
			pause, limit = &inUseWait, lastInUseRetry
		}
		var useless interface{ RetryAfter() time.Duration }
		if errors.As(err, &useless) {
			*pause = max(*pause, useless.RetryAfter())
		}
		if !c.lose(ctx, err, polite) || !c.pause(ctx, *pause) {
			return
		}
		*pause = min(2**pause, limit)
	}
}

func (c *Console) mayTakeOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeOver || c.insists()
}

func (c *Console) insists() bool { return c.Insist != nil && c.Insist() }

// lose notes that there is no connection, and reports whether there is to be
// one again. polite says that it was asked for and would not have been taken.
func (c *Console) lose(ctx context.Context, err error, polite bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	inUse := c.InUse(err)
	if inUse && !polite {
		c.takeOver = false // once was enough, or two would take it from each other for ever
	}
	c.waiting = true
	select {
	case <-c.retry: // of somebody who came when it was about to be tried anyway
	default:
	}
	c.setStatusLocked(Status{State: Lost, Err: err, InUse: inUse})
	if inUse && c.takeOver { // somebody has said so meanwhile
		c.retryLocked()
	}
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
				err := in.give(ctx, stream)
				if refusal := (*RefusedError)(nil); errors.As(err, &refusal) {
					c.refused(in.from, refusal)
					err = nil
				}
				in.taken <- err // of a stream that is dead, the reader learns it, too
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

func (c *Console) deliver(p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	at := c.Log.Append(p)
	for v := range c.viewers {
		v.addLocked(p)
	}
	c.mu.Unlock()
	if c.Printed != nil {
		c.Printed(p, at)
	}
}
