package ipmi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"
)

// keepalive is how often the BMC is asked for its device ID while a console
// is open, give or take a sixth, so that a thousand consoles do not ask in
// step. It must be well below the 60 s after which BMCs forget a session.
const keepalive = 25 * time.Second

const solInstance = 1 // the only one that BMCs have

// SOL is a machine's serial console over the network (IPMI v2.0 §15). It is
// event driven: while nothing is typed or printed, nothing is sent but a
// keepalive about every 25 s.
//
// One goroutine may read and any number write at the same time.
type SOL struct {
	client  *Client
	session *session
	polite  bool // leaves the console to whoever has it

	writing chan struct{} // one place, held while a Write enqueues, so that writes do not mix

	mu     sync.Mutex
	change sync.Cond // of anything below
	active bool      // the BMC has agreed
	floor  uint32    // session sequence number of its agreement
	err    error     // why the console ended
	alive  *time.Timer
	in     inbound
	out    outbound
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
	began := time.Now()
	for again := true; ; again = false {
		s, fresh, err := c.acquire(ctx, began)
		if err != nil {
			return nil, c.fail(op, err)
		}
		sol, err := c.newSOL(s)
		if err != nil {
			c.release(s)
			return nil, c.fail(op, err)
		}
		sol.polite = polite
		patience := c.cfg.Timeout
		if again && !fresh {
			patience = c.firstPatience()
		}
		err = sol.activate(ctx, patience)
		if err == nil {
			return sol, nil
		}
		sol.end(err)
		sol.detach()
		if again && !fresh && s.ended() != nil && ctx.Err() == nil {
			continue
		}
		return nil, c.fail(op, err)
	}
}

// newSOL makes s hand its SOL payloads to a new console.
func (c *Client) newSOL(s *session) (*SOL, error) {
	sol := &SOL{client: c, session: s, writing: make(chan struct{}, 1)}
	sol.change.L = &sol.mu
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if s.sol != nil {
		return nil, fmt.Errorf("%w: this program has it open already", ErrSOLActive)
	}
	s.sol = sol
	return sol, nil
}

// activate asks the BMC for the console (IPMI v2.0 §24.1), and takes it away
// from whoever has it, once, unless it is to be polite.
func (l *SOL) activate(ctx context.Context, patience time.Duration) error {
	protection := l.session.keys.Load().flags()
	req := &transport.ActivatePayloadRequest{
		PayloadType:          types.PayloadTypeSOL,
		PayloadInstance:      solInstance,
		EnableEncryption:     protection&types.PayloadFlagEncrypted != 0,
		EnableAuthentication: protection&types.PayloadFlagAuthenticated != 0,
	}
	r, err := l.session.run(ctx, req, patience)
	if err == nil && r.code == uint8(types.CodeActivatePayloadAlreadyActive) {
		// A client that died, or our own activation whose answer was lost.
		if l.polite && !l.holds(ctx) {
			return fmt.Errorf("%w: another client has it", ErrSOLActive)
		}
		if err := l.deactivate(ctx); err != nil {
			return fmt.Errorf("%w, and its holder could not be disconnected: %w", ErrSOLActive, err)
		}
		r, err = l.session.run(ctx, req, l.client.cfg.Timeout)
	}
	switch {
	case err != nil:
		if ctx.Err() != nil {
			_ = l.deactivate(ctx) // the BMC may have agreed meanwhile; this waits for nothing
		}
		return err
	case r.code == uint8(types.CodeActivatePayloadAlreadyActive):
		return fmt.Errorf("%w: another client took it back at once", ErrSOLActive)
	case r.code == uint8(types.CodeActivatePayloadCannotActivateWithoutEncryption):
		return fmt.Errorf("%w; the BMC wants its console encrypted, which the session's cipher suite does not do", refused(req.Command(), r.code))
	case r.code != uint8(types.CodeOK):
		return refused(req.Command(), r.code)
	}
	var res transport.ActivatePayloadResponse
	if err := res.Unpack(r.data); err != nil {
		_ = l.deactivate(ctx)
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if port := strconv.Itoa(int(res.PayloadUDPPort)); res.PayloadUDPPort != 0 && port != l.client.port() {
		_ = l.deactivate(ctx)
		return fmt.Errorf("%w: the BMC sends the console on UDP port %s, which is not supported; set its SOL payload port to %s",
			ErrProtocol, port, l.client.port())
	}
	return l.start(r.seq, int(res.InboundPayloadSize))
}

// holds asks the BMC whether the active console is of this session (IPMI v2.0
// §24.5). A BMC that does not know is taken to say no.
func (l *SOL) holds(ctx context.Context) bool {
	req := &transport.GetPayloadInstanceInfoRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance}
	r, err := l.session.run(ctx, req, l.client.cfg.Timeout)
	var res transport.GetPayloadInstanceInfoResponse
	return err == nil && r.code == uint8(types.CodeOK) && res.Unpack(r.data) == nil && res.SessionID == l.session.bmcID
}

func (c *Client) port() string {
	_, port, _ := net.SplitHostPort(c.cfg.Addr)
	return port
}

// start lets the data flow. seq is the session sequence number of the BMC's
// agreement: what it sent before belongs to an earlier console.
func (l *SOL) start(seq uint32, inboundSize int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.active, l.floor = true, seq
	l.in.init(seq)
	l.out.init(inboundSize)
	l.alive = time.AfterFunc(jitter(keepalive), l.keepalive)
	return nil
}

// jitter returns d give or take a sixth.
func jitter(d time.Duration) time.Duration {
	return d - d/6 + rand.N(d/3) //nolint:gosec // it need not be unguessable
}

// deactivate ends the BMC's SOL payload, whosever it is (IPMI v2.0 §24.2).
func (l *SOL) deactivate(ctx context.Context) error {
	req := &transport.DeactivatePayloadRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance}
	r, err := l.session.do(ctx, l.session.toMachine(req), min(farewell, l.client.cfg.Timeout))
	switch {
	case errors.Is(err, errSilent):
		return l.session.noAnswer()
	case err != nil:
		return err
	case r.code == uint8(types.CodeOK), r.code == uint8(types.CodeDeactivatePayloadAlreadyDeactivated):
		return nil
	}
	return refused(req.Command(), r.code)
}

// keepalive asks for the device ID, which every BMC and user may. Two times
// without an answer, nor anything else from the BMC, end the session.
func (l *SOL) keepalive() {
	s := l.session
	for try := 1; ; try++ {
		heard := s.heard.Load()
		_, err := s.do(l.client.life, &app.GetDeviceIDRequest{}, s.timeout)
		if !errors.Is(err, errSilent) || s.heard.Load() != heard {
			break
		}
		if try == 2 {
			s.end(s.noAnswer())
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.alive.Reset(jitter(keepalive))
	}
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

// detach leaves the session, for an end that was not the session's.
func (l *SOL) detach() {
	l.session.mu.Lock()
	if l.session.sol == l {
		l.session.sol = nil
	}
	l.session.mu.Unlock()
	l.client.release(l.session)
}
