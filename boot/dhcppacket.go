package boot

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// maxDHCPPacket is what an Ethernet frame holds. A client that sends more than
// that wants nothing from us.
const maxDHCPPacket = 1500

// maxBootFile is what the BOOTP field holds, which ends with a zero byte.
const maxBootFile = 127

// The options that every answer repeats (RFC 6842, RFC 3046, RFC 4578 §2.3).
const (
	optionClientID   = 61
	optionRelay      = 82
	optionClientUUID = 97
)

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

// replyTo begins an answer: it repeats the xid, the flags, the relay, and the
// options that have to be.
func replyTo(request *dhcpv4.DHCPv4, kind dhcpv4.MessageType, own netip.Addr) (*dhcpv4.DHCPv4, error) {
	reply, err := dhcpv4.NewReplyFromRequest(request, // which repeats options 61 and 82
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(own.AsSlice())),
	)
	if err != nil {
		return nil, err
	}
	if uuid := request.Options.Get(dhcpv4.GenericOptionCode(optionClientUUID)); len(uuid) > 0 {
		reply.Options.Update(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(optionClientUUID), uuid))
	}
	return reply, nil
}

// setBootFile has a reply say what to boot. Not all clients read option 67.
func setBootFile(reply *dhcpv4.DHCPv4, answer DHCPAnswer) error {
	if len(answer.BootFile) > maxDHCPText || strings.ContainsRune(answer.BootFile, 0) {
		return fmt.Errorf("boot file %q does not fit into a DHCP option", answer.BootFile)
	}
	if !answer.NextServer.Is4() {
		return fmt.Errorf("next-server %s is not an IPv4 address", answer.NextServer)
	}
	reply.ServerIPAddr = answer.NextServer.AsSlice()
	reply.Options.Update(dhcpv4.OptBootFileName(answer.BootFile))
	if len(answer.BootFile) <= maxBootFile {
		reply.BootFileName = answer.BootFile
	}
	return nil
}

// relayOf is the relay that has forwarded a request; not valid where none has.
func relayOf(request *dhcpv4.DHCPv4) netip.Addr {
	return ipv4Of(request.GatewayIPAddr)
}

// ipv4Of is not valid where there is no address, or 0.0.0.0.
func ipv4Of(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
