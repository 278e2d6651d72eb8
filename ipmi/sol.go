package ipmi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// SOL is a machine's serial console over the network (IPMI v2.0 §15). It is
// event driven: while nothing is typed or printed, nothing is sent but a
// keepalive about every 20 s.
//
// One goroutine may read and any number write at the same time.
type SOL struct {
	client  *Client
	session *session
	polite  bool // leaves the console to whoever has it
	here    bool // whichever UDP port the BMC names, it is the session's
	aside   int  // the UDP port of a session for the console alone; 0: it shares one

	writing chan struct{} // one place, held while a Write enqueues, so that writes do not mix

	mu      sync.Mutex
	change  sync.Cond // of anything below
	active  bool      // the BMC has agreed
	leaving bool      // the BMC has ended it, and is asked for whom
	floor   uint32    // session sequence number of its agreement
	err     error     // why the console ended
	alive   *time.Timer
	watch   watch
	in      inbound
	out     outbound
}

// OpenSOL opens the machine's console on the Client's session. A console that
// somebody else has open is taken over: people who watch it elsewhere lose it.
//
// It blocks until the BMC has agreed, the end of ctx, or the timeout. The
// console then lives until Close, or until the BMC or the network ends it.
func (c *Client) OpenSOL(ctx context.Context) (*SOL, error) { return c.openSOL(ctx, false) }

// OpenFreeSOL is OpenSOL without taking over: a console that somebody else has
// open is left to them, and the error is ErrSOLActive.
func (c *Client) OpenFreeSOL(ctx context.Context) (*SOL, error) { return c.openSOL(ctx, true) }

func (c *Client) openSOL(ctx context.Context, polite bool) (*SOL, error) {
	const op = "open console"
	began, here := time.Now(), false
	for again := true; ; again = false {
		s, fresh, err := c.acquire(ctx, began)
		if err != nil {
			return nil, c.fail(op, err)
		}
		patience := c.cfg.Timeout
		if again && !fresh {
			patience = c.firstPatience()
		}
		sol, err := c.newSOL(s)
		if err != nil {
			c.release(s)
			return nil, c.fail(op, err)
		}
		sol.polite, sol.here = polite, here
		err = sol.activate(ctx, patience)
		if err == nil {
			return sol, nil
		}
		sol.end(err)
		sol.detach()
		var other *otherPortError
		switch {
		case errors.As(err, &other):
			if sol, err = c.openAside(ctx, other.port, polite); err == nil {
				return sol, nil
			}
			// Boards are known that name a port at which nobody is, and have
			// their console at the usual one.
			here = errors.Is(err, ErrNoAnswer) && ctx.Err() == nil && c.life.Err() == nil
			began = time.Now()
			if here {
				continue
			}
		case again && !fresh && s.ended() != nil && ctx.Err() == nil:
			continue
		}
		return nil, c.fail(op, err)
	}
}

// newSOL makes s hand its SOL payloads to a new console.
func (c *Client) newSOL(s *session) (*SOL, error) {
	sol := &SOL{client: c, session: s, writing: make(chan struct{}, 1)}
	sol.change.L = &sol.mu
	c.mu.Lock()
	defer c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if s.sol != nil || c.aside != nil && c.aside != s && c.aside.ended() == nil {
		return nil, fmt.Errorf("%w: this program has it open already", ErrSOLActive)
	}
	s.sol = sol
	return sol, nil
}

// Close ends the console on both sides and keeps the session for commands. It
// waits two seconds at most for the BMC's consent. A Read or Write under way
// returns ErrClosed. The second Close does nothing.
func (l *SOL) Close() error {
	if !l.end(ErrClosed) {
		return nil
	}
	defer l.detach()
	return l.client.fail("close console", l.deactivate(context.Background()))
}

// end ends the console on this side and reports whether it had not ended yet.
func (l *SOL) end(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.err = err
	for _, t := range []*time.Timer{l.alive, l.in.timer, l.out.timer} {
		if t != nil {
			t.Stop()
		}
	}
	l.change.Broadcast()
	return true
}

// detach leaves the session, for an end that was not the session's. A session
// that was the console's alone is closed, in two seconds at most.
func (l *SOL) detach() {
	s := l.session
	s.mu.Lock()
	if s.sol == l {
		s.sol = nil
	}
	s.mu.Unlock()
	if l.aside == 0 {
		l.client.release(s)
		return
	}
	l.client.mu.Lock()
	if l.client.aside == s {
		l.client.aside = nil
	}
	l.client.mu.Unlock()
	s.close(context.Background(), ErrClosed)
}
