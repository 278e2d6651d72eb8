package e2e

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	dhcpPort   = "dhcp-server" // the end of the cable where the DHCP server is
	clientPort = "dhcp-client"
)

// newCable makes a veth pair whose one end has the server's address. A client on the other one speaks over packet
// sockets, as firmware does that has no address yet.
func newCable(t *testing.T) {
	t.Helper()
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", dhcpPort, "type", "veth", "peer", "name", clientPort)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", dhcpPort).Run() })
	run(t, "ip", "addr", "add", serverIP+"/24", "dev", dhcpPort)
	run(t, "ip", "link", "set", dhcpPort, "up")
	run(t, "ip", "link", "set", clientPort, "up")
}

// A dhcpClient is a network card that asks for an address.
type dhcpClient struct {
	mac     net.HardwareAddr
	options []dhcpv4.Modifier // of all its requests
	socket  int
	to      syscall.SockaddrLinklayer
}

func newDHCPClient(t *testing.T, mac string, options ...dhcpv4.Modifier) *dhcpClient {
	t.Helper()
	address, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	card, err := net.InterfaceByName(clientPort)
	if err != nil {
		t.Fatal(err)
	}
	const protocol = syscall.ETH_P_IP<<8 | syscall.ETH_P_IP>>8 // in network byte order
	c := &dhcpClient{mac: address, options: append(options, dhcpv4.WithBroadcast(true))}
	c.to = syscall.SockaddrLinklayer{
		Protocol: protocol & 0xffff, Ifindex: card.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}
	if c.socket, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, protocol&0xffff); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(c.socket) })
	if err := syscall.Bind(c.socket, &syscall.SockaddrLinklayer{Protocol: protocol & 0xffff, Ifindex: card.Index}); err != nil {
		t.Fatal(err)
	}
	tick := syscall.Timeval{Usec: 100_000}
	if err := syscall.SetsockoptTimeval(c.socket, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tick); err != nil {
		t.Fatal(err)
	}
	return c
}

var errNoAnswer = errors.New("no DHCP server answers")

// ask sends a request and waits up to limit for its answer.
func (c *dhcpClient) ask(request *dhcpv4.DHCPv4, limit time.Duration) (*dhcpv4.DHCPv4, error) {
	payload := request.ToBytes()
	packet := make([]byte, 28, 28+len(payload))
	packet[0], packet[8], packet[9] = 0x45, 64, 17 // IPv4, TTL, UDP (RFC 791 §3.1)
	binary.BigEndian.PutUint16(packet[2:], uint16(28+len(payload)))
	copy(packet[16:20], []byte{255, 255, 255, 255})
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	binary.BigEndian.PutUint16(packet[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(packet[20:], dhcpv4.ClientPort)
	binary.BigEndian.PutUint16(packet[22:], dhcpv4.ServerPort)
	binary.BigEndian.PutUint16(packet[24:], uint16(8+len(payload)))
	if err := syscall.Sendto(c.socket, append(packet, payload...), 0, &c.to); err != nil {
		return nil, err
	}
	buffer := make([]byte, 2048)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		n, _, err := syscall.Recvfrom(c.socket, buffer, 0)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n < 28 || buffer[9] != 17 || binary.BigEndian.Uint16(buffer[22:]) != dhcpv4.ClientPort {
			continue
		}
		answer, err := dhcpv4.FromBytes(buffer[28:n])
		if err == nil && answer.OpCode == dhcpv4.OpcodeBootReply && answer.TransactionID == request.TransactionID {
			return answer, nil
		}
	}
	return nil, errNoAnswer
}

// discover asks for an offer.
func (c *dhcpClient) discover(t *testing.T) *dhcpv4.DHCPv4 {
	t.Helper()
	request, err := dhcpv4.NewDiscovery(c.mac, c.options...)
	if err != nil {
		t.Fatal(err)
	}
	offer, err := c.ask(request, soon)
	if err != nil {
		t.Fatal(err)
	}
	return offer
}

// request takes an offer.
func (c *dhcpClient) request(t *testing.T, offer *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	t.Helper()
	request, err := dhcpv4.NewRequestFromOffer(offer, c.options...)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.ask(request, soon)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// sentTo is what a machine was told to boot. dnsmasq ends the option with a NUL, as RFC 2132 §2 lets it.
func sentTo(answer *dhcpv4.DHCPv4) (nextServer, file, option string) {
	if address, ok := netip.AddrFromSlice(answer.ServerIPAddr.To4()); ok && !address.IsUnspecified() {
		nextServer = address.String()
	}
	return nextServer, answer.BootFileName, strings.TrimRight(string(answer.Options.Get(dhcpv4.OptionBootfileName)), "\x00")
}
