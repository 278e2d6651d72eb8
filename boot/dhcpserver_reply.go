package boot

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// minDHCPMessage is what every client takes: an IP packet of 576 bytes
	// (RFC 2131 §2). One that takes more says so by option 57.
	minDHCPMessage = 576
	ipAndUDP       = 28 // bytes of headers around a DHCP message
)

// dhcpAsk is a client's message, and where it arrived.
type dhcpAsk struct {
	*dhcpv4.DHCPv4
	seen    SeenRequest
	own     netip.Addr // this server's address there
	unicast bool       // it was sent to that address
}

// address asks for an address in the network of the client: the relay's where
// there is one. What a client with an address sends to us alone comes from
// wherever it is, and what it sends to everybody comes from this wire.
func (a dhcpAsk) address(wanted netip.Addr) AddressRequest {
	link := a.own
	if relay := relayOf(a.DHCPv4); relay.IsValid() {
		link = relay
	} else if current := ipv4Of(a.ClientIPAddr); current.IsValid() && a.unicast {
		link = current
	}
	return AddressRequest{MAC: a.seen.MAC, Server: a.own, Link: link, Wanted: wanted}
}

// destination is where an answer goes (RFC 2131 §4.1). A client that has no
// address could be sent it alone by a raw socket only: it goes to everybody,
// which all clients accept.
func (a dhcpAsk) destination(answer *dhcpv4.DHCPv4) netip.AddrPort {
	if relay := relayOf(a.DHCPv4); relay.IsValid() {
		return netip.AddrPortFrom(relay, portDHCPServer)
	}
	current := ipv4Of(a.ClientIPAddr)
	if current.IsValid() && answer.MessageType() == dhcpv4.MessageTypeAck {
		return netip.AddrPortFrom(current, portDHCPClient)
	}
	return netip.AddrPortFrom(everybody, portDHCPClient)
}

// lease writes an OFFER or an ACK of an address.
func (a dhcpAsk) lease(kind dhcpv4.MessageType, lease AddressLease, boots DHCPAnswer) (*dhcpv4.DHCPv4, error) {
	return a.reply(kind, lease.Network, boots, func(reply *dhcpv4.DHCPv4) {
		reply.YourIPAddr = lease.Address.AsSlice()
		reply.Options.Update(dhcpv4.OptIPAddressLeaseTime(lease.Duration))
		// T1 and T2 as RFC 2131 §4.4.5 has them.
		reply.Options.Update(dhcpv4.OptRenewTimeValue((lease.Duration / 2).Truncate(time.Second)))
		reply.Options.Update(dhcpv4.OptRebindingTimeValue((lease.Duration / 8 * 7).Truncate(time.Second)))
	})
}

// reply writes what there is to say of a network and of booting. What a client
// can do without is left out where its buffer is too small.
func (a dhcpAsk) reply(kind dhcpv4.MessageType, network AddressNetwork, boots DHCPAnswer, with ...func(*dhcpv4.DHCPv4)) (*dhcpv4.DHCPv4, error) {
	reply, err := replyTo(a.DHCPv4, kind, a.own)
	if err != nil {
		return nil, err
	}
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = a.ClientIPAddr
	}
	for _, change := range with {
		change(reply)
	}
	reply.Options.Update(dhcpv4.OptSubnetMask(net.CIDRMask(network.Subnet.Bits(), 32)))
	if boots.BootFile != "" {
		if err := setBootFile(reply, boots); err != nil {
			return nil, err
		}
		if boots.HTTP {
			reply.Options.Update(dhcpv4.OptClassIdentifier(vendorHTTP))
		}
	}
	var wishes []dhcpv4.Option // the most important first
	if network.Gateway.IsValid() {
		wishes = append(wishes, dhcpv4.OptRouter(network.Gateway.AsSlice()))
	}
	if len(network.Nameservers) > 0 {
		servers := make([]net.IP, len(network.Nameservers))
		for i, server := range network.Nameservers {
			servers[i] = server.AsSlice()
		}
		wishes = append(wishes, dhcpv4.OptDNS(servers...))
	}
	if boots.Hostname != "" {
		wishes = append(wishes, dhcpv4.OptHostName(boots.Hostname))
	}
	if network.Domain != "" {
		wishes = append(wishes, dhcpv4.OptDomainName(network.Domain))
	}
	if boots.BootFile != "" {
		wishes = append(wishes, dhcpv4.OptTFTPServerName(boots.NextServer.String()))
	}
	wishes = append(wishes, dhcpv4.OptBroadcastAddress(broadcastOf(network.Subnet)))
	for _, wish := range wishes {
		reply.Options.Update(wish)
		if len(reply.ToBytes()) > a.limit() {
			delete(reply.Options, wish.Code.Code())
		}
	}
	return reply, nil
}

// limit is how many bytes of an answer the client takes.
func (a dhcpAsk) limit() int {
	size, err := a.MaxMessageSize()
	if err != nil { // it says nothing
		size = minDHCPMessage
	}
	return max(minDHCPMessage, min(int(size), maxDHCPPacket)) - ipAndUDP
}

// refusal writes a NAK. A relay has to send it to everybody: the client's own
// address is what is refused (RFC 2131 §4.3.2).
func (a dhcpAsk) refusal(address netip.Addr) (*dhcpv4.DHCPv4, error) {
	reply, err := replyTo(a.DHCPv4, dhcpv4.MessageTypeNak, a.own)
	if err != nil {
		return nil, err
	}
	if relayOf(a.DHCPv4).IsValid() {
		reply.SetBroadcast()
	}
	reply.Options.Update(dhcpv4.OptMessage(address.String() + " is not for this client"))
	return reply, nil
}

func broadcastOf(subnet netip.Prefix) net.IP {
	first := subnet.Masked().Addr().As4()
	number := binary.BigEndian.Uint32(first[:]) | uint32(1<<(32-subnet.Bits())-1)
	return binary.BigEndian.AppendUint32(nil, number)
}
