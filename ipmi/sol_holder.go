package ipmi

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"
)

// holderWait is how long the end of a console, or the refusal of one, may be
// delayed by asking who has it.
const holderWait = 2 * time.Second

// Holder is who has a machine's console, as far as its BMC says: what it does
// not say is zero.
type Holder struct {
	User      string         // the BMC's name of the user
	Privilege Privilege      // at which the user acts
	Addr      netip.AddrPort // of the user's program; BMCs tell IPv4 only
}

// String reads like "root from 10.0.0.5:41234", or "another client".
func (h Holder) String() string {
	switch {
	case h.User != "" && h.Addr.IsValid():
		return h.User + " from " + h.Addr.String()
	case h.User != "":
		return h.User
	case h.Addr.IsValid():
		return "somebody at " + h.Addr.String()
	}
	return "another client"
}

// SOLActiveError is ErrSOLActive, and who it is.
type SOLActiveError struct {
	Holder Holder
	// Lost says that the console was open here, and is no more.
	Lost bool

	tried string // what the holder withstood
	err   error
}

// Error reads like "console in use by root from 10.0.0.5:41234".
func (e *SOLActiveError) Error() string {
	switch {
	case e.Lost && e.Holder == Holder{}:
		return ErrSOLActive.Error() + ": the BMC ended it; another client took it over, or the BMC was told to"
	case e.Lost:
		return "console taken over by " + e.Holder.String()
	case e.err != nil:
		return fmt.Sprintf("%v by %v, who %s: %v", ErrSOLActive, e.Holder, e.tried, e.err)
	case e.tried != "":
		return fmt.Sprintf("%v by %v, who %s", ErrSOLActive, e.Holder, e.tried)
	}
	return fmt.Sprintf("%v by %v", ErrSOLActive, e.Holder)
}

// Is makes it ErrSOLActive.
func (e *SOLActiveError) Is(target error) bool { return target == ErrSOLActive }

// Unwrap returns why the holder could not be disconnected, if that was tried.
func (e *SOLActiveError) Unwrap() error { return e.err }

// instance asks the BMC for the session that has the console, 0 for none
// (IPMI v2.0 §24.5). ok is false for a BMC that cannot say.
func (l *SOL) instance(ctx context.Context) (session uint32, ok bool) {
	req := &transport.GetPayloadInstanceInfoRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: solInstance}
	var res transport.GetPayloadInstanceInfoResponse
	ok = l.query(ctx, req, &res)
	return res.SessionID, ok
}

// ours reports whether a session ID of the BMC means the session of this
// console. It is the BMC's own ID, but some BMCs say that of the other end.
func (l *SOL) ours(session uint32) bool {
	return session == l.session.bmcID || session == l.session.consoleID
}

// holder asks the BMC who has the console, and whether it is us: this session,
// or the one before it that the BMC has not missed yet. It takes holderWait at
// most, and is content with what comes.
func (l *SOL) holder(ctx context.Context) (h Holder, ours bool) {
	ctx, cancel := context.WithTimeout(ctx, holderWait)
	defer cancel()
	session, ok := l.instance(ctx)
	switch {
	case !ok || session == 0:
		return Holder{}, false
	case l.ours(session):
		return Holder{}, true
	}
	h = l.describe(ctx, session)
	return h, l.client.hadConsole(session, h)
}

// lastConsole is the session that had the console when it was open last.
type lastConsole struct {
	bmcID uint32
	local netip.AddrPort // our end of it
}

// hasConsole notes whose session has the console from now on.
func (c *Client) hasConsole(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = lastConsole{bmcID: s.bmcID}
	if local, ok := s.conn.LocalAddr().(*net.UDPAddr); ok {
		addr := local.AddrPort()
		c.last.local = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
}

// hadConsole reports whether a BMC's session, of which it says that, is the one
// that had the console when it was open here last.
func (c *Client) hadConsole(session uint32, h Holder) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return session == c.last.bmcID && session != 0 && (!h.Addr.IsValid() || h.Addr == c.last.local)
}

// describe asks the BMC whose a session is (IPMI v2.0 §22.20, §22.29).
func (l *SOL) describe(ctx context.Context, session uint32) (h Holder) {
	const byID, userIDMask, privilegeMask = 0xff, 0x3f, 0x0f
	var info app.GetSessionInfoResponse
	if !l.query(ctx, &app.GetSessionInfoRequest{SessionIndex: byID, SessionID: session}, &info) {
		return h
	}
	h.Privilege = Privilege(info.OperatingPrivilegeLevel & privilegeMask)
	if addr, ok := netip.AddrFromSlice(info.RemoteConsoleIPAddr); ok && !addr.IsUnspecified() {
		h.Addr = netip.AddrPortFrom(addr, info.RemoteConsolePort)
	}
	user := info.UserID & userIDMask
	if user == 0 {
		return h
	}
	var name app.GetUsernameResponse
	if l.query(ctx, &app.GetUsernameRequest{UserID: user}, &name) {
		h.User = plain(name.Username)
	}
	return h
}

// query runs a command to the machine that may fail. It does not find the
// session dead, as others do who wait for longer.
func (l *SOL) query(ctx context.Context, req request, res interface{ Unpack([]byte) error }) (ok bool) {
	r, err := l.session.do(ctx, l.session.toMachine(req), holderWait)
	return err == nil && r.code == uint8(types.CodeOK) && res.Unpack(r.data) == nil
}

// inUse is the error of a console whose holder withstood something.
func (l *SOL) inUse(ctx context.Context, tried string, err error) error {
	h, _ := l.holder(ctx)
	return &SOLActiveError{Holder: h, tried: tried, err: err}
}
