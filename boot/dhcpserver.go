package boot

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// DHCPServer hands out addresses on networks that have no other DHCP server,
// and tells machines what to boot (RFC 2131). Who gets which address is decided
// by its answers.
//
//	client                              server
//	DISCOVER (broadcast)            ->
//	                                <-  OFFER of an address
//	REQUEST of it (broadcast)       ->      and it is lent, on disk
//	                                <-  ACK, or NAK where it is another's by now
//	REQUEST after half of the time  ->
//	                                <-  ACK
//	RELEASE                         ->
//
// A client is known by its Ethernet address alone: firmware, bootloader and
// operating system of a machine have different client identifiers, and are to
// have one address. An address is not probed before it is offered; one that a
// client declines is set aside.
type DHCPServer struct {
	answers LeaseAnswers
	sockets *dhcpSockets

	ignored, offered, lent, refused, unanswered, noAddress, released, declined atomic.Uint64
}

// NewDHCPServer makes a server that listens nowhere yet: see [DHCPServer.Listen].
func NewDHCPServer(answers LeaseAnswers, logger *slog.Logger) *DHCPServer {
	return &DHCPServer{answers: answers, sockets: newDHCPSockets("DHCP server", logger)}
}

// Serve answers until ctx ends, and then returns nil with its sockets closed.
func (s *DHCPServer) Serve(ctx context.Context) error { return s.sockets.serve(ctx, s.respond) }

// Close gives up the ports of a server that will not serve.
func (s *DHCPServer) Close() error { return s.sockets.close() }

// respond answers one packet; no reply is nil. The packet is not kept.
func (s *DHCPServer) respond(ctx context.Context, c *dhcpConn, packet []byte, from netip.AddrPort) (reply []byte, to netip.AddrPort) {
	s.sockets.received.Add(1)
	message, seen, err := parseDHCP(packet)
	if err != nil {
		s.sockets.malformed.Add(1)
		s.sockets.log.Debug("DHCP server got a packet that is none", "socket", c.name, "from", from, "error", err)
		return nil, to
	}
	own, err := c.address()
	if err != nil {
		s.fail(c, seen, err)
		return nil, to
	}
	ask := dhcpAsk{DHCPv4: message, seen: seen, own: own, unicast: c.unicast}
	answer, err := s.answer(ctx, ask)
	switch {
	case err != nil:
		s.fail(c, seen, err)
	case answer != nil:
		s.sockets.log.Debug("DHCP server answers", "socket", c.name, "mac", seen.MAC.String(), "client", seen.Client().String(),
			"with", answer.MessageType().String(), "address", answer.YourIPAddr.String(), "file", answer.BootFileName)
		return answer.ToBytes(), ask.destination(answer)
	}
	return nil, to
}

// fail counts what could not be answered, and tells of it once in a while.
func (s *DHCPServer) fail(c *dhcpConn, seen SeenRequest, err error) {
	switch {
	case errors.Is(err, ErrUnknownLease):
		s.unanswered.Add(1)
		s.sockets.log.Debug("DHCP server does not know a lease", "socket", c.name, "mac", seen.MAC.String())
		return
	case errors.Is(err, ErrNoAddress):
		s.noAddress.Add(1)
	default:
		s.sockets.failed.Add(1)
	}
	s.sockets.trouble.Do(func() {
		s.sockets.log.Warn("DHCP server has no answer", "socket", c.name, "mac", seen.MAC.String(), "error", err)
	})
}

// answer does what a message asks for. Without an answer it returns nil.
func (s *DHCPServer) answer(ctx context.Context, ask dhcpAsk) (*dhcpv4.DHCPv4, error) {
	switch ask.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return s.discover(ctx, ask)
	case dhcpv4.MessageTypeRequest:
		return s.request(ctx, ask)
	case dhcpv4.MessageTypeInform:
		return s.inform(ctx, ask)
	case dhcpv4.MessageTypeRelease:
		return nil, s.giveBack(ctx, ask, ipv4Of(ask.ClientIPAddr), s.answers.Release, &s.released)
	case dhcpv4.MessageTypeDecline:
		return nil, s.giveBack(ctx, ask, ipv4Of(ask.RequestedIPAddress()), s.answers.Decline, &s.declined)
	}
	s.ignored.Add(1)
	return nil, nil //nolint:nilnil // as said above
}

func (s *DHCPServer) discover(ctx context.Context, ask dhcpAsk) (*dhcpv4.DHCPv4, error) {
	what, err := s.boots(ctx, ask)
	if err != nil {
		return nil, err
	}
	lease, err := s.answers.Offer(ctx, ask.address(ipv4Of(ask.RequestedIPAddress())))
	if err != nil {
		return nil, err
	}
	reply, err := ask.lease(dhcpv4.MessageTypeOffer, lease, what)
	if err == nil {
		s.offered.Add(1)
	}
	return reply, err
}

// request lends an address. What kind of REQUEST it is, is told by what it
// holds (RFC 2131 §4.3.2).
func (s *DHCPServer) request(ctx context.Context, ask dhcpAsk) (*dhcpv4.DHCPv4, error) {
	server, requested, current := ipv4Of(ask.ServerIdentifier()), ipv4Of(ask.RequestedIPAddress()), ipv4Of(ask.ClientIPAddr)
	wants := ask.address(requested)
	switch {
	case server.IsValid() && server != ask.own: // it takes another server's offer
		s.ignored.Add(1)
		return nil, nil //nolint:nilnil // no answer
	case server.IsValid() && requested.IsValid(): // SELECTING
		wants.Offered = true
	case !server.IsValid() && requested.IsValid() && !current.IsValid(): // INIT-REBOOT
	case !server.IsValid() && !requested.IsValid() && current.IsValid(): // RENEWING, REBINDING
		wants.Wanted = current
	default:
		s.ignored.Add(1)
		return nil, nil //nolint:nilnil // no answer
	}
	what, err := s.boots(ctx, ask)
	if err != nil {
		return nil, err
	}
	lease, err := s.answers.Lend(ctx, wants)
	if errors.Is(err, ErrWrongAddress) {
		s.refused.Add(1)
		return ask.refusal(wants.Wanted)
	}
	if err != nil {
		return nil, err
	}
	reply, err := ask.lease(dhcpv4.MessageTypeAck, lease, what)
	if err == nil {
		s.lent.Add(1)
	}
	return reply, err
}

// inform answers a client that has an address and asks for the rest (RFC 2131
// §4.3.5). It has to be in the network: the answer goes where it says that it is.
func (s *DHCPServer) inform(ctx context.Context, ask dhcpAsk) (*dhcpv4.DHCPv4, error) {
	current := ipv4Of(ask.ClientIPAddr)
	network, err := s.answers.Network(ctx, ask.address(current))
	if err != nil {
		return nil, err
	}
	if !network.Subnet.Contains(current) {
		s.ignored.Add(1)
		return nil, nil //nolint:nilnil // no answer
	}
	what, err := s.answers.Answer(ctx, ask.seen.MAC)
	if err != nil && !errors.Is(err, ErrUnknownMAC) {
		return nil, err
	}
	return ask.reply(dhcpv4.MessageTypeAck, network, what)
}

// giveBack takes an address back. Nobody waits for an answer.
func (s *DHCPServer) giveBack(ctx context.Context, ask dhcpAsk, address netip.Addr, take func(context.Context, AddressRequest) error, count *atomic.Uint64) error {
	if ipv4Of(ask.ServerIdentifier()) != ask.own || !address.IsValid() {
		s.ignored.Add(1)
		return nil
	}
	err := take(ctx, ask.address(address))
	if err == nil {
		count.Add(1)
	}
	return err
}

// boots notes that a client was seen, and tells what it is to boot: nothing
// where it is no machine.
func (s *DHCPServer) boots(ctx context.Context, ask dhcpAsk) (DHCPAnswer, error) {
	known, err := s.answers.Seen(ctx, ask.seen)
	if err != nil || !known {
		return DHCPAnswer{}, err
	}
	answer, err := s.answers.Answer(ctx, ask.seen.MAC)
	if errors.Is(err, ErrUnknownMAC) { // it was removed meanwhile
		return DHCPAnswer{}, nil
	}
	return answer, err
}

// DHCPServerStats counts packets since the start.
type DHCPServerStats struct {
	Received   uint64
	Malformed  uint64 // no DHCP request of an Ethernet client
	Ignored    uint64 // for another server, or of no kind that is answered
	Offered    uint64
	Lent       uint64 // and lent again
	Refused    uint64 // of an address that the client must not have
	Unanswered uint64 // of an address of which nothing is known
	NoAddress  uint64 // there was none to lend
	Released   uint64
	Declined   uint64
	Failed     uint64 // no answer could be made, or sent
}

// Stats returns the counters. It does not block.
func (s *DHCPServer) Stats() DHCPServerStats {
	return DHCPServerStats{
		Received: s.sockets.received.Load(), Malformed: s.sockets.malformed.Load(), Failed: s.sockets.failed.Load(),
		Ignored: s.ignored.Load(), Offered: s.offered.Load(), Lent: s.lent.Load(), Refused: s.refused.Load(),
		Unanswered: s.unanswered.Load(), NoAddress: s.noAddress.Load(), Released: s.released.Load(), Declined: s.declined.Load(),
	}
}
