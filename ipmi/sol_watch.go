package ipmi

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	// keepalive is how often the BMC is asked something while a console is
	// open, give or take a sixth, so that a thousand consoles do not ask in
	// step. It must be well below the 60 s after which BMCs forget a session, and
	// OpenIPMI's 30.
	keepalive = 20 * time.Second
	// recently is when the BMC has answered a command that need not be asked now.
	// What its console says does not count: BMCs forget the session of a machine
	// that prints all the time, too, where nobody asks for anything.
	recently = keepalive * 3 / 4
	// firstLook is when it is asked for the first time, while the console is
	// most likely still ours: what it says then is what it must go on saying.
	firstLook = time.Second
	// A client that takes a console ends it first: it is looked for again, some
	// times, before it is held to be nobody.
	lookAgain  = 250 * time.Millisecond
	looksAgain = 4
)

// watch is what a console's keepalive knows. It is the timer's alone.
type watch struct {
	blind bool // the BMC does not say who has the console
	known bool // it said once that we have it
}

// jitter returns d give or take a sixth.
func jitter(d time.Duration) time.Duration {
	return d - d/6 + rand.N(d/3) //nolint:gosec // it need not be unguessable
}

// together is the grid on which keepalives are due. That of several consoles
// at once costs a process that sleeps otherwise hardly more than that of one.
const together = 250 * time.Millisecond

// aligned returns d, and up to the grid more.
func aligned(d time.Duration) time.Duration {
	now := time.Now()
	return now.Add(d + together).Truncate(together).Sub(now)
}

// keepAlive asks the BMC who has the console, or for its device ID where it
// does not say. Two times without an answer, nor anything else from the BMC,
// end the session. When somebody else has the console it ends: not all BMCs
// tell the one that they take it from.
func (l *SOL) keepAlive() {
	s := l.session
	if unasked := s.unasked(); unasked < recently && (l.watch.known || l.watch.blind) {
		l.keepAliveIn(keepalive - unasked)
		return
	}
	for try := 1; ; try++ {
		heard := s.heard.Load()
		lost, err := l.look()
		if lost {
			l.deactivated(l.client.life)
			return
		}
		if !errors.Is(err, errSilent) || s.heard.Load() != heard {
			break
		}
		if try == 2 {
			s.end(s.noAnswer())
			return
		}
	}
	l.keepAliveIn(keepalive)
}

func (l *SOL) keepAliveIn(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.alive.Reset(aligned(jitter(d)))
	}
}

// look does the asking, and reports whether the console is not ours any more.
func (l *SOL) look() (lost bool, err error) {
	s, w := l.session, &l.watch
	if w.blind || s.bridge != nil {
		_, err := s.do(l.client.life, &app.GetDeviceIDRequest{}, s.timeout)
		return false, err
	}
	req := &transport.GetPayloadInstanceInfoRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance}
	r, err := s.do(l.client.life, req, s.timeout)
	if err != nil {
		return false, err
	}
	var res transport.GetPayloadInstanceInfoResponse
	switch {
	case r.code != uint8(types.CodeOK) || res.Unpack(r.data) != nil:
		w.blind = true
	case l.ours(res.SessionID):
		w.known = true
	case w.known:
		return true, nil
	default:
		w.blind = true // it has a way of its own to number sessions
	}
	return false, nil
}

// deactivated ends a console that the BMC has given to somebody else, or to
// nobody. It takes a second to find out whom, or holderWait if the BMC is slow,
// and ends with ctx.
func (l *SOL) deactivated(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, holderWait)
	defer cancel()
	l.mu.Lock()
	if l.err != nil || l.leaving {
		l.mu.Unlock()
		return
	}
	l.leaving = true
	l.mu.Unlock()

	h, _ := l.holder(ctx)
	for try := 0; h == (Holder{}) && try < looksAgain && ctx.Err() == nil; try++ {
		select {
		case <-time.After(lookAgain):
			h, _ = l.holder(ctx)
		case <-l.session.done:
			return // with which the console has ended
		case <-ctx.Done():
		}
	}
	if l.end(&SOLActiveError{Holder: h, Lost: true}) {
		l.detach()
	}
}
