package lab

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"provisioner/ipmi"
	"provisioner/store"
)

const (
	// maxPolls bounds how many BMCs are asked for their power state at once,
	// apart from those that have been asked for placeTerm and do not answer. A
	// dead BMC is waited for without keeping the others waiting.
	maxPolls  = 64
	placeTerm = 10 * time.Millisecond

	// settleFirst is when a machine is asked again that was told something or
	// has changed. It is then asked in intervals that double up to the usual one.
	settleFirst = time.Second

	quietMost   = 4               // times the usual interval, where nobody looks
	failingMost = 5 * time.Minute // between two polls of a BMC that fails
)

// poller keeps what is known of the power of one machine fresh.
type poller struct {
	places chan struct{}   // of all pollers: one for each poll that was begun just now
	now    <-chan struct{} // tells of orders: the machine is about to change
	glance <-chan struct{} // tells that somebody begins to look
	ask    func(context.Context) (ipmi.PowerState, error)
	seen   func(context.Context, ipmi.PowerState, error) (changed bool)
	looked func() bool // whether somebody sees it
	pace   pollPace
}

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		ordered := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.now:
			ordered = true
		case <-p.glance:
			if wait, sooner := p.pace.hurry(time.Since(last)); sooner {
				timer.Reset(wait)
			}
			continue
		}
		state, err := p.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		last = time.Now()
		changed := p.seen(ctx, state, err)
		timer.Reset(aligned(p.pace.next(err, changed || ordered, p.looked())))
	}
}

// together is the grid on which long waits end. To poll several machines at
// once costs a process that sleeps otherwise hardly more than to poll one.
const together = 250 * time.Millisecond

// aligned returns d and, where it is long, up to the grid more.
func aligned(d time.Duration) time.Duration {
	if d < 20*together {
		return d
	}
	now := time.Now()
	return now.Add(d + together).Truncate(together).Sub(now)
}

// poll asks the BMC once it has a place, which it gives back before the answer
// if that takes long.
func (p *poller) poll(ctx context.Context) (ipmi.PowerState, error) {
	select {
	case <-ctx.Done():
		return ipmi.PowerOff, ctx.Err()
	case p.places <- struct{}{}:
	}
	leave := sync.OnceFunc(func() { <-p.places })
	defer leave()
	defer time.AfterFunc(placeTerm, leave).Stop()
	return p.ask(ctx)
}

// pollPace is how often one machine is polled.
type pollPace struct {
	every   time.Duration // as usual
	wait    time.Duration // the last interval, without its jitter
	failing bool
}

// next returns when to poll again after a poll that had this error. soon says
// that the machine has changed, or was told to; looked that somebody sees it.
func (p *pollPace) next(err error, soon, looked bool) time.Duration {
	settled := p.wait >= p.every
	switch {
	case err != nil && p.failing:
		p.wait = min(2*p.wait, max(failingMost, p.every))
	case err != nil, p.failing && !soon:
		p.wait = p.every
	case soon:
		p.wait = min(settleFirst, p.every)
	case p.wait > 0 && !settled:
		p.wait = min(2*p.wait, p.every)
	case looked || p.wait == 0:
		p.wait = p.every
	default:
		p.wait = min(p.wait+p.every/2, quietMost*p.every)
	}
	p.failing = err != nil
	var paused *ipmi.PausedError
	if errors.As(err, &paused) { // earlier, it would not even be asked
		return max(jittered(p.wait), paused.RetryAfter())
	}
	return jittered(p.wait)
}

// hurry ends the long intervals of a machine that nobody looked at, that long
// after the last poll, and returns when to poll again. It leaves alone those
// that are polled often enough, and BMCs that fail.
func (p *pollPace) hurry(since time.Duration) (wait time.Duration, sooner bool) {
	if p.failing || p.wait <= p.every {
		return 0, false
	}
	p.wait = p.every
	return max(jittered(p.every)-since, rand.N(p.every/16+1)), true //nolint:gosec // spreads load, guards nothing
}

// watchPower polls a machine until ctx ends.
func (l *Lab) watchPower(ctx context.Context, a *attachment) {
	p := &poller{
		places: l.polls,
		now:    a.pollNow,
		glance: a.glance,
		ask:    a.bmc.Power,
		seen: func(ctx context.Context, state ipmi.PowerState, err error) bool {
			return l.powerSeen(ctx, a, state, err)
		},
		looked: func() bool { return l.looksAt(a) },
		pace:   pollPace{every: l.pollEvery},
	}
	p.run(ctx)
}

// looksAt reports whether a dashboard is open, somebody sits at the console of
// the machine, or a run goes on.
func (l *Lab) looksAt(a *attachment) bool {
	if l.bus.Watched() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(a.seats) > 0 || a.let != nil
}

// glance has what is known of all machines made as fresh as somebody who looks
// expects it.
func (l *Lab) glance() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.machines {
		select {
		case a.glance <- struct{}{}:
		default:
		}
	}
}

// poll asks for a poll at once, because the machine was told something.
func (a *attachment) poll() {
	select {
	case a.pollNow <- struct{}{}:
	default:
	}
}

// answered polls a machine at once whose BMC answers again.
func (l *Lab) answered(m store.Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.machines[m.ID]; a != nil && a.power.Problem != "" {
		a.poll()
	}
}
