package ipmi

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// failuresMost is how often a BMC may fail in a row before it is left alone.
	failuresMost = 3

	// A BMC that does not answer is left alone for one second first, and for
	// twice as long each time.
	pauseFirst = time.Second
	pauseMost  = 30 * time.Second

	// One that refuses our credentials is left alone at once, and for longer:
	// many lock a user out, or a network address, after a few wrong passwords.
	lockoutFirst = time.Minute
	lockoutMost  = 10 * time.Minute
)

// PausedError says that a BMC could not be reached lately, and is not asked
// again before a pause is over. Calls meanwhile fail with it at once.
type PausedError struct {
	Err   error     // of the last attempt
	Until time.Time // when the next one may be made

	left time.Duration // the rest of the pause, when the error was made
}

// Error reads like "no answer in 5s; next try in 12s".
func (e *PausedError) Error() string {
	return fmt.Sprintf("%v; next try in %v", e.Err, max(e.left.Round(time.Second), time.Second))
}

// Unwrap returns the error of the last attempt.
func (e *PausedError) Unwrap() error { return e.Err }

// RetryAfter returns how long it is until the next attempt may be made, zero
// when it may be made now.
func (e *PausedError) RetryAfter() time.Duration { return max(0, time.Until(e.Until)) }

// breaker keeps a Client from asking a BMC again and again that does not
// answer, or does not let us in (a circuit breaker). After a few failures in a
// row all calls fail for a while; then one attempt is made for all who ask.
// Its zero value lets everything through. It is safe for concurrent use.
type breaker struct {
	mu       sync.Mutex
	failures int       // in a row
	pauses   int       // in a row, for the same reason
	lockout  bool      // the reason: credentials
	last     error     // why it is paused
	until    time.Time // for how long; zero: not
}

// check returns a *PausedError while no attempt is to be made.
func (b *breaker) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Until(b.until)
	if left <= 0 {
		return nil
	}
	return &PausedError{Err: b.last, Until: b.until, left: left}
}

// failed counts an attempt that came to nothing and returns its error, as a
// *PausedError when a pause begins.
func (b *breaker) failed(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	lockout := errors.Is(err, ErrBadCredentials)
	if lockout != b.lockout {
		b.lockout, b.pauses = lockout, 0
	}
	b.failures++
	if b.failures < failuresMost && !lockout {
		return err
	}
	first, most := pauseFirst, pauseMost
	if lockout {
		first, most = lockoutFirst, lockoutMost
	}
	pause := jitter(min(first<<min(b.pauses, 8), most))
	b.pauses++
	b.last, b.until = err, time.Now().Add(pause)
	return &PausedError{Err: err, Until: b.until, left: pause}
}

// answered notes that the BMC is well.
func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.pauses, b.last, b.until = 0, 0, nil, time.Time{}
}

// reset ends a pause. The failures stay counted.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
}

// Retry lets the next call reach the BMC even if it failed a moment ago, for a
// person who asks now. Where it fails again, the pause is longer than the last.
func (c *Client) Retry() { c.peer.breaker.reset() }
