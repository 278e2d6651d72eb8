package boot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The options of PXE (PXE 2.1 table 2-1, RFC 4578 §2).
const (
	optionVendorSpecific = 43

	tagDiscoveryControl = 6
	tagBootItem         = 71
	tagEnd              = 255

	// useBootFile is the bit of PXE_DISCOVERY_CONTROL that has the client load
	// the boot file of this very packet, without a menu and without looking
	// for more boot servers.
	useBootFile = 8
)

// ProxyAnswers decides what a [ProxyDHCP] answers; [DHCPAnswers] has its methods.
type ProxyAnswers interface {
	Seen(ctx context.Context, request SeenRequest) (known bool, err error)
	Answer(ctx context.Context, mac net.HardwareAddr) (DHCPAnswer, error)
}

// ProxyDHCP tells machines what to boot, beside a DHCP server that gives them
// addresses and knows nothing of that (PXE 2.1 §2.2). It hands out no address
// and answers nobody but the PXE and UEFI HTTP clients that answers has a boot
// file for.
//
//	client                    DHCP server, ProxyDHCP server
//	DISCOVER (broadcast, 67)  ->  both
//	                          <-  OFFER with an address from the one, with a boot file from us
//	REQUEST, ACK                  with the DHCP server alone
//	REQUEST (unicast, 4011)   ->  us, where the client wants to hear the boot file once more
//	                          <-  ACK
type ProxyDHCP struct {
	answers ProxyAnswers
	sockets *dhcpSockets

	ignored, unknown, fromDisk atomic.Uint64
}

// NewProxyDHCP makes a server that listens nowhere yet: see [ProxyDHCP.Listen].
func NewProxyDHCP(answers ProxyAnswers, logger *slog.Logger) *ProxyDHCP {
	return &ProxyDHCP{answers: answers, sockets: newDHCPSockets("ProxyDHCP", logger)}
}

// Serve answers until ctx ends, and then returns nil with its sockets closed.
func (p *ProxyDHCP) Serve(ctx context.Context) error { return p.sockets.serve(ctx, p.respond) }

// Close gives up the ports of a server that will not serve.
func (p *ProxyDHCP) Close() error { return p.sockets.close() }

// respond answers one packet; no reply is nil. The packet is not kept.
func (p *ProxyDHCP) respond(ctx context.Context, c *dhcpConn, packet []byte, from netip.AddrPort) (reply []byte, to netip.AddrPort) {
	p.sockets.received.Add(1)
	request, seen, err := parseDHCP(packet)
	if err != nil {
		p.sockets.malformed.Add(1)
		p.sockets.log.Debug("ProxyDHCP got a packet that is none", "socket", c.name, "from", from, "error", err)
		return nil, to
	}
	if !seen.Netboots() || !asksProxy(c, request) {
		p.ignored.Add(1)
		return nil, to
	}
	answer, err := p.ask(ctx, seen)
	switch {
	case errors.Is(err, ErrUnknownMAC):
		p.unknown.Add(1)
		return nil, to
	case err == nil && answer.BootFile == "":
		p.fromDisk.Add(1)
		return nil, to
	case err == nil:
		reply, err = proxyReply(c, request, answer)
	}
	if err != nil {
		p.sockets.failed.Add(1)
		p.sockets.trouble.Do(func() {
			p.sockets.log.Error("ProxyDHCP has no answer", "socket", c.name, "mac", seen.MAC.String(), "error", err)
		})
		return nil, to
	}
	p.sockets.log.Debug("ProxyDHCP answers", "socket", c.name, "mac", seen.MAC.String(), "client", seen.Client().String(), "file", answer.BootFile)
	return reply, proxyDestination(c, request, from)
}

func (p *ProxyDHCP) ask(ctx context.Context, seen SeenRequest) (DHCPAnswer, error) {
	known, err := p.answers.Seen(ctx, seen)
	if err != nil {
		return DHCPAnswer{}, err
	}
	if !known {
		return DHCPAnswer{}, ErrUnknownMAC
	}
	return p.answers.Answer(ctx, seen.MAC)
}

// asksProxy reports whether a request is for us. At port 67 everybody's requests
// arrive. A REQUEST names the server whose offer it takes, but where there is a
// DHCP server on this host that is our address, too: one that speaks of an
// address to lease is for that server.
func asksProxy(c *dhcpConn, request *dhcpv4.DHCPv4) bool {
	kind := request.MessageType()
	switch {
	case c.port == portProxyDHCP:
		return kind == dhcpv4.MessageTypeRequest || kind == dhcpv4.MessageTypeInform
	case kind != dhcpv4.MessageTypeRequest:
		return kind == dhcpv4.MessageTypeDiscover
	case request.RequestedIPAddress() != nil || !request.ClientIPAddr.IsUnspecified():
		return false
	}
	own, err := c.address()
	return err == nil && own == ipv4Of(request.ServerIdentifier())
}

// proxyDestination is where an answer goes: to the relay that has forwarded the
// request, to the client where it has an address, and else to everybody on the
// wire (RFC 2131 §4.1).
func proxyDestination(c *dhcpConn, request *dhcpv4.DHCPv4, from netip.AddrPort) netip.AddrPort {
	if relay := relayOf(request); relay.IsValid() && c.port == portDHCPServer {
		return netip.AddrPortFrom(relay, portDHCPServer)
	}
	if c.port == portProxyDHCP && from.Addr().IsValid() && !from.Addr().IsUnspecified() {
		return from
	}
	return netip.AddrPortFrom(everybody, portDHCPClient)
}

// proxyReply writes an OFFER or an ACK that holds a boot file and no address.
func proxyReply(c *dhcpConn, request *dhcpv4.DHCPv4, answer DHCPAnswer) ([]byte, error) {
	own, err := c.address()
	if err != nil {
		return nil, err
	}
	kind := dhcpv4.MessageTypeAck
	if request.MessageType() == dhcpv4.MessageTypeDiscover {
		kind = dhcpv4.MessageTypeOffer
	}
	reply, err := replyTo(request, kind, own)
	if err != nil {
		return nil, err
	}
	if err := setBootFile(reply, answer); err != nil {
		return nil, err
	}
	reply.Options.Update(dhcpv4.OptTFTPServerName(answer.NextServer.String()))
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = request.ClientIPAddr
	}
	if answer.HTTP {
		reply.Options.Update(dhcpv4.OptClassIdentifier(vendorHTTP))
	} else {
		reply.Options.Update(dhcpv4.OptClassIdentifier(vendorPXE))
		reply.Options.Update(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(optionVendorSpecific), pxeOptions(request)))
	}
	return reply.ToBytes(), nil
}

// pxeOptions is what option 43 holds for a PXE client (PXE 2.1 §2.4.1). A boot
// item that it has asked for is repeated, or it would not know the answer.
func pxeOptions(request *dhcpv4.DHCPv4) []byte {
	options := []byte{tagDiscoveryControl, 1, useBootFile}
	asked := request.Options.Get(dhcpv4.GenericOptionCode(optionVendorSpecific))
	for len(asked) >= 2 && asked[0] != tagEnd {
		if asked[0] == 0 { // padding
			asked = asked[1:]
			continue
		}
		end := 2 + int(asked[1])
		if end > len(asked) {
			break
		}
		if asked[0] == tagBootItem && asked[1] == 4 {
			options = append(options, asked[:end]...)
			break
		}
		asked = asked[end:]
	}
	return append(options, tagEnd)
}

// ProxyDHCPStats counts packets since the start.
type ProxyDHCPStats struct {
	Received  uint64
	Answered  uint64
	Malformed uint64 // no DHCP request of an Ethernet client
	Ignored   uint64 // of clients that do not boot from the network, or for another server
	Unknown   uint64 // of no machine of ours
	FromDisk  uint64 // of machines that are not to boot from the network, or not so
	Failed    uint64 // no answer could be made, or sent
}

// Stats returns the counters. It does not block.
func (p *ProxyDHCP) Stats() ProxyDHCPStats {
	s := p.sockets
	return ProxyDHCPStats{
		Received: s.received.Load(), Answered: s.answered.Load(), Malformed: s.malformed.Load(), Failed: s.failed.Load(),
		Ignored: p.ignored.Load(), Unknown: p.unknown.Load(), FromDisk: p.fromDisk.Load(),
	}
}
