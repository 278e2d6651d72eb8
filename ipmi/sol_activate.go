package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"
)

const solInstance = 1 // the only one that BMCs have

// activate asks the BMC for the console (IPMI v2.0 §24.1), and takes it away
// from whoever has it, once, unless it is to be polite. A BMC that has its
// consoles on another UDP port is an *otherPortError.
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
		if l.polite {
			if h, ours := l.holder(ctx); !ours {
				return &SOLActiveError{Holder: h}
			}
		}
		if err := l.deactivate(ctx); err != nil {
			return l.inUse(ctx, "could not be disconnected", err)
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
		return l.inUse(ctx, "took it back at once", nil)
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
	if port := int(res.PayloadUDPPort); !l.here && port != l.aside && !l.client.isHere(port) {
		_ = l.deactivate(ctx)
		return &otherPortError{port}
	}
	l.client.hasConsole(l.session)
	return l.start(r.seq, int(res.InboundPayloadSize))
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
	l.alive = time.AfterFunc(jitter(firstLook), l.keepAlive)
	return nil
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

// otherPortError is a BMC that has its consoles on a UDP port of their own.
type otherPortError struct{ port int }

func (e *otherPortError) Error() string {
	return fmt.Sprintf("%v: it sends the console from one UDP port to the next, now to %d", ErrProtocol, e.port)
}

func (e *otherPortError) Unwrap() error { return ErrProtocol }

// isHere reports whether the UDP port that a BMC names for consoles means the
// one that its session is on. It need not look like it: behind a port
// forwarding the BMC does not know by which port we know it, and there are
// BMCs that send the two bytes in the wrong order.
func (c *Client) isHere(port int) bool {
	const standard = 623
	_, text, _ := net.SplitHostPort(c.cfg.Addr)
	ours, err := strconv.Atoi(text)
	swapped := port>>8 | port&0xff<<8
	return err != nil || port == 0 || port == ours || port == standard || swapped == ours || swapped == standard
}

// openAside opens the console on another UDP port of the BMC. It needs a
// session of its own there, for which the BMC has to know no more than what
// the console takes (IPMI v2.0 Table 24-2).
func (c *Client) openAside(ctx context.Context, port int, polite bool) (*SOL, error) {
	host, _, _ := net.SplitHostPort(c.cfg.Addr)
	c.mu.Lock()
	first := c.terms
	c.mu.Unlock()
	s, _, err := c.open(ctx, net.JoinHostPort(host, strconv.Itoa(port)), first, time.Now())
	if err != nil {
		return nil, fmt.Errorf("on UDP port %d, which the BMC has for its console: %w", port, err)
	}
	sol, err := c.newSOL(s)
	if err != nil {
		s.close(ctx, err)
		return nil, err
	}
	sol.polite, sol.aside = polite, port
	if err = c.setAside(s); err == nil {
		err = sol.activate(ctx, c.cfg.Timeout)
	}
	if err != nil {
		sol.end(err)
		sol.detach()
		return nil, err
	}
	return sol, nil
}

// setAside remembers a session for Close.
func (c *Client) setAside(s *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return ErrClosed
	}
	c.aside = s
	return nil
}
