package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// The ports of DHCP (RFC 2131 §4.1), and the one at which a ProxyDHCP server
// is asked again by clients that have an address (PXE 2.1 §2.2.3).
const (
	portDHCPServer = 67
	portDHCPClient = 68
	portProxyDHCP  = 4011
)

const (
	// maxDHCPPacket is what an Ethernet frame holds. A client that sends more
	// than that wants nothing from us.
	maxDHCPPacket = 1500

	// proxyTerm is how long an answer may take. Clients collect offers for
	// some seconds; one that comes late serves nobody.
	proxyTerm = 2 * time.Second

	// trouble is how often the log tells of answers that failed: whoever sends
	// packets is not to fill it.
	trouble = time.Second

	// retryRead is how long a socket rests that could not be read, as when its
	// interface is down.
	retryRead = time.Second
)

// The options of PXE (PXE 2.1 table 2-1, RFC 4578 §2), and those that every
// answer repeats (RFC 6842, RFC 3046).
const (
	optionVendorSpecific = 43
	optionClientID       = 61
	optionRelay          = 82
	optionClientUUID     = 97

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
	log     *slog.Logger
	trouble rate.Sometimes
	conns   []*proxyConn
	counts  proxyCounts
}

// proxyConn is a socket of one interface.
type proxyConn struct {
	conn    *net.UDPConn
	name    string                     // of the interface and the port, for people
	port    int                        // at which it was asked: 67 or 4011
	address func() (netip.Addr, error) // the interface's own, now
}

// NewProxyDHCP makes a server that listens nowhere yet: see [ProxyDHCP.Listen].
func NewProxyDHCP(answers ProxyAnswers, logger *slog.Logger) *ProxyDHCP {
	return &ProxyDHCP{answers: answers, log: logger, trouble: rate.Sometimes{First: 1, Interval: trouble}}
}

// Serve answers until ctx ends, and then returns nil with its sockets closed.
func (p *ProxyDHCP) Serve(ctx context.Context) error {
	var group errgroup.Group
	for _, c := range p.conns {
		group.Go(func() error {
			p.serve(ctx, c) // ends with ctx
			return nil
		})
	}
	return group.Wait()
}

// Close gives up the ports of a server that will not serve.
func (p *ProxyDHCP) Close() error {
	var errs []error
	for _, c := range p.conns {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// serve answers what comes to one socket, one packet after the other: a flood
// takes one core at most, and the kernel drops what does not fit its buffer.
func (p *ProxyDHCP) serve(ctx context.Context, c *proxyConn) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() }) // ends the read
	defer stop()
	buffer := make([]byte, maxDHCPPacket+1)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buffer)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.log.Warn("ProxyDHCP cannot read; it tries again", "socket", c.name, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryRead):
			}
			continue
		}
		reply, to := p.handle(ctx, c, buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		if reply == nil {
			continue
		}
		if _, err := c.conn.WriteToUDPAddrPort(reply, to); err != nil {
			p.counts.failed.Add(1)
			p.trouble.Do(func() { p.log.Warn("ProxyDHCP could not send an answer", "socket", c.name, "to", to, "error", err) })
			continue
		}
		p.counts.answered.Add(1)
	}
}

// handle answers one packet; no reply is nil. The packet is not kept.
func (p *ProxyDHCP) handle(ctx context.Context, c *proxyConn, packet []byte, from netip.AddrPort) (reply []byte, to netip.AddrPort) {
	p.counts.received.Add(1)
	request, seen, err := parseDHCP(packet)
	if err != nil {
		p.counts.malformed.Add(1)
		p.log.Debug("ProxyDHCP got a packet that is none", "socket", c.name, "from", from, "error", err)
		return nil, to
	}
	if !seen.Netboots() || !c.asked(request) {
		p.counts.ignored.Add(1)
		return nil, to
	}
	ctx, cancel := context.WithTimeout(ctx, proxyTerm)
	defer cancel()
	answer, err := p.ask(ctx, seen)
	switch {
	case errors.Is(err, ErrUnknownMAC):
		p.counts.unknown.Add(1)
		return nil, to
	case err == nil && answer.BootFile == "":
		p.counts.fromDisk.Add(1)
		return nil, to
	case err == nil:
		reply, err = c.reply(request, answer)
	}
	if err != nil {
		p.counts.failed.Add(1)
		p.trouble.Do(func() {
			p.log.Error("ProxyDHCP has no answer", "socket", c.name, "mac", seen.MAC.String(), "error", err)
		})
		return nil, to
	}
	p.log.Debug("ProxyDHCP answers", "socket", c.name, "mac", seen.MAC.String(), "client", seen.Client().String(), "file", answer.BootFile)
	return reply, c.destination(request, from)
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

// parseDHCP reads a request of a client that has an Ethernet address.
func parseDHCP(packet []byte) (*dhcpv4.DHCPv4, SeenRequest, error) {
	if len(packet) > maxDHCPPacket {
		return nil, SeenRequest{}, fmt.Errorf("more than %d bytes", maxDHCPPacket)
	}
	request, err := dhcpv4.FromBytes(packet)
	if err != nil {
		return nil, SeenRequest{}, err
	}
	if request.OpCode != dhcpv4.OpcodeBootRequest || request.HWType != iana.HWTypeEthernet || len(request.ClientHWAddr) != 6 {
		return nil, SeenRequest{}, errors.New("not a request of an Ethernet client")
	}
	// What comes in several pieces (RFC 3396) is repeated to the client only
	// where it is as short as it ought to be.
	for _, code := range []uint8{optionClientID, optionRelay, optionClientUUID} {
		if length := len(request.Options.Get(dhcpv4.GenericOptionCode(code))); length > maxDHCPText {
			return nil, SeenRequest{}, fmt.Errorf("option %d of %d bytes", code, length)
		}
	}
	mac, err := ParseMAC(request.ClientHWAddr.String())
	if err != nil {
		return nil, SeenRequest{}, err
	}
	text := func(code uint8) string {
		return printable(string(request.Options.Get(dhcpv4.GenericOptionCode(code))))
	}
	seen := SeenRequest{
		Discover: request.MessageType() == dhcpv4.MessageTypeDiscover,
		MAC:      mac, Hostname: text(optionHostname), VendorClass: text(optionVendorClass), UserClass: text(optionUserClass), Arch: -1,
	}
	// A list where the client can run several; the first is what it runs now.
	if arch := request.Options.Get(dhcpv4.GenericOptionCode(optionArch)); len(arch) >= 2 {
		seen.Arch = int(arch[0])<<8 | int(arch[1])
	}
	return request, seen, nil
}

// asked reports whether a request is for us. At port 67 everybody's requests
// arrive. A REQUEST names the server whose offer it takes, but where there is a
// DHCP server on this host that is our address, too: one that speaks of an
// address to lease is for that server.
func (c *proxyConn) asked(request *dhcpv4.DHCPv4) bool {
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
	server, ok := netip.AddrFromSlice(request.ServerIdentifier().To4())
	return err == nil && ok && own == server
}

// destination is where an answer goes: to the relay that has forwarded the
// request, to the client where it has an address, and else to everybody on the
// wire (RFC 2131 §4.1).
func (c *proxyConn) destination(request *dhcpv4.DHCPv4, from netip.AddrPort) netip.AddrPort {
	if relay, ok := netip.AddrFromSlice(request.GatewayIPAddr.To4()); ok && !relay.IsUnspecified() && c.port == portDHCPServer {
		return netip.AddrPortFrom(relay, portDHCPServer)
	}
	if c.port == portProxyDHCP && from.Addr().IsValid() && !from.Addr().IsUnspecified() {
		return from
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), portDHCPClient)
}

// reply writes an OFFER or an ACK that holds a boot file and no address.
func (c *proxyConn) reply(request *dhcpv4.DHCPv4, answer DHCPAnswer) ([]byte, error) {
	if len(answer.BootFile) > maxDHCPText || strings.ContainsRune(answer.BootFile, 0) {
		return nil, fmt.Errorf("boot file %q does not fit into a DHCP option", answer.BootFile)
	}
	if !answer.NextServer.Is4() {
		return nil, fmt.Errorf("next-server %s is not an IPv4 address", answer.NextServer)
	}
	own, err := c.address()
	if err != nil {
		return nil, err
	}
	kind, class := dhcpv4.MessageTypeAck, vendorPXE
	if request.MessageType() == dhcpv4.MessageTypeDiscover {
		kind = dhcpv4.MessageTypeOffer
	}
	if answer.HTTP {
		class = vendorHTTP
	}
	reply, err := dhcpv4.NewReplyFromRequest(request, // which repeats the xid, the flags, the relay, and options 61 and 82
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithServerIP(net.IP(answer.NextServer.AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP(own.AsSlice()))),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(class)),
		dhcpv4.WithOption(dhcpv4.OptTFTPServerName(answer.NextServer.String())),
		dhcpv4.WithOption(dhcpv4.OptBootFileName(answer.BootFile)),
	)
	if err != nil {
		return nil, err
	}
	// Not all clients read option 67. The field ends with a zero byte.
	if len(answer.BootFile) < 128 {
		reply.BootFileName = answer.BootFile
	}
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = request.ClientIPAddr
	}
	if uuid := request.Options.Get(dhcpv4.GenericOptionCode(optionClientUUID)); len(uuid) > 0 {
		reply.Options.Update(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(optionClientUUID), uuid)) // RFC 4578 §2.3
	}
	if !answer.HTTP {
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

type proxyCounts struct {
	received, answered, malformed, ignored, unknown, fromDisk, failed atomic.Uint64
}

// Stats returns the counters. It does not block.
func (p *ProxyDHCP) Stats() ProxyDHCPStats {
	c := &p.counts
	return ProxyDHCPStats{
		Received: c.received.Load(), Answered: c.answered.Load(), Malformed: c.malformed.Load(), Ignored: c.ignored.Load(),
		Unknown: c.unknown.Load(), FromDisk: c.fromDisk.Load(), Failed: c.failed.Load(),
	}
}
