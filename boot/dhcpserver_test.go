package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// fakeLeases lends one address, and writes down what it is asked.
type fakeLeases struct {
	fakeAnswers
	lease    AddressLease
	leaseErr error
	wanted   string
}

func (f *fakeLeases) note(what string, r AddressRequest) error {
	f.wanted = fmt.Sprintf("%s %s link %s wants %s", what, r.MAC, r.Link, r.Wanted)
	if r.Offered {
		f.wanted += " as offered"
	}
	if r.Server != proxyAddress {
		f.wanted += " of " + r.Server.String()
	}
	return f.leaseErr
}

func (f *fakeLeases) Offer(_ context.Context, r AddressRequest) (AddressLease, error) {
	return f.lease, f.note("offer", r)
}

func (f *fakeLeases) Lend(_ context.Context, r AddressRequest) (AddressLease, error) {
	return f.lease, f.note("lend", r)
}

func (f *fakeLeases) Network(_ context.Context, r AddressRequest) (AddressNetwork, error) {
	return f.lease.Network, f.note("network", r)
}

func (f *fakeLeases) Release(_ context.Context, r AddressRequest) error { return f.note("release", r) }

func (f *fakeLeases) Decline(_ context.Context, r AddressRequest) error { return f.note("decline", r) }

// fullLease has all that a network may have.
func fullLease() AddressLease {
	return AddressLease{
		Address: netip.MustParseAddr("10.77.0.50"), Duration: time.Hour,
		Network: AddressNetwork{
			Subnet: netip.MustParsePrefix("10.77.0.0/22"), Gateway: netip.MustParseAddr("10.77.0.254"), Domain: "lab.example.org",
			Nameservers: []netip.Addr{netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("192.0.2.53")},
		},
	}
}

func withAddresses(server, requested, current string) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) {
		if server != "" {
			d.Options.Update(dhcpv4.OptServerIdentifier(net.ParseIP(server)))
		}
		if requested != "" {
			d.Options.Update(dhcpv4.OptRequestedIPAddress(net.ParseIP(requested)))
		}
		if current != "" {
			d.ClientIPAddr = net.ParseIP(current).To4()
		}
	}
}

func relayed(by string) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) {
		d.GatewayIPAddr = net.ParseIP(by).To4()
		d.Options.Update(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(1), []byte("port 7"))))
	}
}

// TestDHCPServerAnswers has a line for each kind of message (RFC 2131 §4.3).
func TestDHCPServerAnswers(t *testing.T) {
	const (
		discover = dhcpv4.MessageTypeDiscover
		request  = dhcpv4.MessageTypeRequest
		offer    = dhcpv4.MessageTypeOffer
		ack      = dhcpv4.MessageTypeAck
		nak      = dhcpv4.MessageTypeNak
		nothing  = dhcpv4.MessageTypeNone
		inform   = dhcpv4.MessageTypeInform
		release  = dhcpv4.MessageTypeRelease
		decline  = dhcpv4.MessageTypeDecline
		mac      = knownMAC
		own      = "10.77.0.1"
	)
	for _, test := range []struct {
		name    string
		unicast bool
		kind    dhcpv4.MessageType
		change  dhcpv4.Modifier
		err     error // of the lab
		wanted  string
		answer  dhcpv4.MessageType
		to      string
		counts  DHCPServerStats
	}{
		{"DISCOVER", false, discover, withAddresses("", "", ""), nil, "offer " + mac + " link 10.77.0.1 wants invalid IP", offer, "255.255.255.255:68", DHCPServerStats{Offered: 1}},
		{"DISCOVER of an address", false, discover, withAddresses("", "10.77.0.9", ""), nil, "offer " + mac + " link 10.77.0.1 wants 10.77.0.9", offer, "255.255.255.255:68", DHCPServerStats{Offered: 1}},
		{"DISCOVER by a relay", true, discover, relayed("10.5.0.1"), nil, "offer " + mac + " link 10.5.0.1 wants invalid IP", offer, "10.5.0.1:67", DHCPServerStats{Offered: 1}},
		{"DISCOVER without an address left", false, discover, withAddresses("", "", ""), fmt.Errorf("pool: %w", ErrNoAddress), "offer " + mac + " link 10.77.0.1 wants invalid IP", nothing, "", DHCPServerStats{NoAddress: 1}},
		{"DISCOVER of a lab that fails", false, discover, withAddresses("", "", ""), errors.New("disk full"), "offer " + mac + " link 10.77.0.1 wants invalid IP", nothing, "", DHCPServerStats{Failed: 1}},

		{"SELECTING", false, request, withAddresses(own, "10.77.0.50", ""), nil, "lend " + mac + " link 10.77.0.1 wants 10.77.0.50 as offered", ack, "255.255.255.255:68", DHCPServerStats{Lent: 1}},
		{"SELECTING by a relay", true, request, func(d *dhcpv4.DHCPv4) { withAddresses(own, "10.77.0.50", "")(d); relayed("10.5.0.1")(d) }, nil, "lend " + mac + " link 10.5.0.1 wants 10.77.0.50 as offered", ack, "10.5.0.1:67", DHCPServerStats{Lent: 1}},
		{"SELECTING another server", false, request, withAddresses("10.77.0.2", "10.77.0.50", ""), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
		{"SELECTING what is lent by now", false, request, withAddresses(own, "10.77.0.50", ""), ErrWrongAddress, "lend " + mac + " link 10.77.0.1 wants 10.77.0.50 as offered", nak, "255.255.255.255:68", DHCPServerStats{Refused: 1}},
		{"SELECTING nothing", false, request, withAddresses(own, "", ""), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},

		{"INIT-REBOOT", false, request, withAddresses("", "10.77.0.50", ""), nil, "lend " + mac + " link 10.77.0.1 wants 10.77.0.50", ack, "255.255.255.255:68", DHCPServerStats{Lent: 1}},
		{"INIT-REBOOT of somebody unknown", false, request, withAddresses("", "10.77.0.50", ""), ErrUnknownLease, "lend " + mac + " link 10.77.0.1 wants 10.77.0.50", nothing, "", DHCPServerStats{Unanswered: 1}},
		{"INIT-REBOOT elsewhere", false, request, withAddresses("", "192.0.2.9", ""), ErrWrongAddress, "lend " + mac + " link 10.77.0.1 wants 192.0.2.9", nak, "255.255.255.255:68", DHCPServerStats{Refused: 1}},
		{"INIT-REBOOT elsewhere, by a relay", true, request, func(d *dhcpv4.DHCPv4) { withAddresses("", "192.0.2.9", "")(d); relayed("10.5.0.1")(d); d.SetUnicast() }, ErrWrongAddress, "lend " + mac + " link 10.5.0.1 wants 192.0.2.9", nak, "10.5.0.1:67", DHCPServerStats{Refused: 1}},

		{"RENEWING", true, request, withAddresses("", "", "10.77.0.50"), nil, "lend " + mac + " link 10.77.0.50 wants 10.77.0.50", ack, "10.77.0.50:68", DHCPServerStats{Lent: 1}},
		{"RENEWING behind a relay", true, request, withAddresses("", "", "10.5.0.50"), nil, "lend " + mac + " link 10.5.0.50 wants 10.5.0.50", ack, "10.5.0.50:68", DHCPServerStats{Lent: 1}},
		{"REBINDING", false, request, withAddresses("", "", "10.77.0.50"), nil, "lend " + mac + " link 10.77.0.1 wants 10.77.0.50", ack, "10.77.0.50:68", DHCPServerStats{Lent: 1}},
		{"REBINDING on another wire", false, request, withAddresses("", "", "10.5.0.50"), ErrWrongAddress, "lend " + mac + " link 10.77.0.1 wants 10.5.0.50", nak, "255.255.255.255:68", DHCPServerStats{Refused: 1}},
		{"a REQUEST of nothing", false, request, withAddresses("", "", ""), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
		{"a REQUEST of two addresses", false, request, withAddresses("", "10.77.0.50", "10.77.0.51"), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},

		{"INFORM", false, inform, withAddresses("", "", "10.77.1.9"), nil, "network " + mac + " link 10.77.0.1 wants 10.77.1.9", ack, "10.77.1.9:68", DHCPServerStats{}},
		{"INFORM to be sent elsewhere", false, inform, withAddresses("", "", "192.0.2.9"), nil, "network " + mac + " link 10.77.0.1 wants 192.0.2.9", nothing, "", DHCPServerStats{Ignored: 1}},
		{"INFORM without an address", false, inform, withAddresses("", "", ""), nil, "network " + mac + " link 10.77.0.1 wants invalid IP", nothing, "", DHCPServerStats{Ignored: 1}},
		{"RELEASE", true, release, withAddresses(own, "", "10.77.0.50"), nil, "release " + mac + " link 10.77.0.50 wants 10.77.0.50", nothing, "", DHCPServerStats{Released: 1}},
		{"RELEASE of another's", true, release, withAddresses(own, "", "10.77.0.50"), ErrUnknownLease, "release " + mac + " link 10.77.0.50 wants 10.77.0.50", nothing, "", DHCPServerStats{Unanswered: 1}},
		{"RELEASE to another server", true, release, withAddresses("10.77.0.2", "", "10.77.0.50"), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
		{"RELEASE of nothing", true, release, withAddresses(own, "", ""), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
		{"DECLINE", false, decline, withAddresses(own, "10.77.0.50", ""), nil, "decline " + mac + " link 10.77.0.1 wants 10.77.0.50", nothing, "", DHCPServerStats{Declined: 1}},
		{"DECLINE of nothing", false, decline, withAddresses(own, "", ""), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
		{"an OFFER of somebody", false, offer, withAddresses(own, "", ""), nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
		{"BOOTP", false, nothing, func(d *dhcpv4.DHCPv4) { d.Options.Del(dhcpv4.OptionDHCPMessageType) }, nil, "", nothing, "", DHCPServerStats{Ignored: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lab := &fakeLeases{fakeAnswers: fakeAnswers{answer: proxyFile}, lease: fullLease(), leaseErr: test.err}
			server := NewDHCPServer(lab, slog.New(slog.DiscardHandler))
			conn := proxyOn(portDHCPServer)
			conn.unicast = test.unicast
			asked := proxyRequest(t, test.kind, test.change)
			packet, to := server.respond(t.Context(), conn, asked.ToBytes(), netip.MustParseAddrPort("0.0.0.0:68"))
			test.counts.Received = 1
			if got := server.Stats(); got != test.counts {
				t.Errorf("counted %+v, want %+v", got, test.counts)
			}
			if lab.wanted != test.wanted {
				t.Errorf("the lab was asked %q, want %q", lab.wanted, test.wanted)
			}
			if packet == nil || test.answer == nothing {
				if packet != nil || test.answer != nothing {
					t.Errorf("an answer: %v, want %s", packet != nil, test.answer)
				}
				return
			}
			answer, err := dhcpv4.FromBytes(packet)
			if err != nil {
				t.Fatal(err)
			}
			if answer.MessageType() != test.answer || to.String() != test.to {
				t.Errorf("%s to %s, want %s to %s", answer.MessageType(), to, test.answer, test.to)
			}
			checkRepeated(t, asked, answer)
			if test.answer == nak {
				if !answer.YourIPAddr.IsUnspecified() || answer.BootFileName != "" || answer.SubnetMask() != nil || !answer.IsBroadcast() || answer.Message() == "" {
					t.Errorf("NAK: %s", answer.Summary())
				}
			}
		})
	}
}

// checkRepeated checks what every answer has from its request, and of us.
func checkRepeated(t *testing.T, asked, answer *dhcpv4.DHCPv4) {
	t.Helper()
	if answer.OpCode != dhcpv4.OpcodeBootReply || answer.TransactionID != asked.TransactionID || !bytes.Equal(answer.ClientHWAddr, asked.ClientHWAddr) ||
		!answer.GatewayIPAddr.Equal(asked.GatewayIPAddr) || ipv4Of(answer.ServerIdentifier()) != proxyAddress {
		t.Errorf("not an answer to the request: %s", answer.Summary())
	}
	for _, code := range []uint8{optionClientUUID, optionRelay} {
		if was, is := asked.Options.Get(dhcpv4.GenericOptionCode(code)), answer.Options.Get(dhcpv4.GenericOptionCode(code)); !bytes.Equal(was, is) {
			t.Errorf("option %d: %x, want %x", code, is, was)
		}
	}
}

// TestDHCPServerTellsOfTheNetwork looks at all that an answer holds.
func TestDHCPServerTellsOfTheNetwork(t *testing.T) {
	netboot := proxyFile
	netboot.Hostname = "web-1"
	url := DHCPAnswer{BootFile: "http://10.77.0.2/grubnetx64.efi", HTTP: true, NextServer: netip.MustParseAddr("10.77.0.2")}
	for _, test := range []struct {
		name   string
		lease  AddressLease
		answer DHCPAnswer
		mac    net.HardwareAddr
		want   string
	}{
		{"all", fullLease(), netboot, proxyClient, "10.77.0.50/22 via 10.77.0.254 broadcast 10.77.3.255 DNS 10.77.0.3 192.0.2.53 lab.example.org web-1 1h0m0s 30m0s 52m30s boots 10.77.0.2 bootloaders/amd64/uefi/grubnetx64.efi bootloaders/amd64/uefi/grubnetx64.efi"},
		{"from disk", fullLease(), DHCPAnswer{Hostname: "web-1"}, proxyClient, "10.77.0.50/22 via 10.77.0.254 broadcast 10.77.3.255 DNS 10.77.0.3 192.0.2.53 lab.example.org web-1 1h0m0s 30m0s 52m30s boots 0.0.0.0"},
		{"a URL", fullLease(), url, proxyClient, "10.77.0.50/22 via 10.77.0.254 broadcast 10.77.3.255 DNS 10.77.0.3 192.0.2.53 lab.example.org  1h0m0s 30m0s 52m30s boots 10.77.0.2 http://10.77.0.2/grubnetx64.efi http://10.77.0.2/grubnetx64.efi HTTPClient"},
		{"a stranger", fullLease(), netboot, net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}, "10.77.0.50/22 via 10.77.0.254 broadcast 10.77.3.255 DNS 10.77.0.3 192.0.2.53 lab.example.org  1h0m0s 30m0s 52m30s boots 0.0.0.0"},
		{"little", AddressLease{
			Address: netip.MustParseAddr("10.77.0.51"), Duration: 61 * time.Second, Network: AddressNetwork{Subnet: netip.MustParsePrefix("10.77.0.0/24")},
		}, DHCPAnswer{}, proxyClient, "10.77.0.51/24 via broadcast 10.77.0.255 DNS   1m1s 30s 53s boots 0.0.0.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest} {
				server := NewDHCPServer(&fakeLeases{fakeAnswers: fakeAnswers{answer: test.answer}, lease: test.lease}, slog.New(slog.DiscardHandler))
				request := proxyRequest(t, kind, dhcpv4.WithHwAddr(test.mac), withAddresses("10.77.0.1", "10.77.0.50", ""))
				packet, _ := server.respond(t.Context(), proxyOn(portDHCPServer), request.ToBytes(), broadcast)
				answer, err := dhcpv4.FromBytes(packet)
				if err != nil {
					t.Fatal(err)
				}
				if got := told(answer); got != test.want {
					t.Errorf("%s:\n got %s\nwant %s", answer.MessageType(), got, test.want)
				}
			}
		})
	}
}

// told writes down what an answer says.
func told(d *dhcpv4.DHCPv4) string {
	bits, _ := d.SubnetMask().Size()
	words := []string{fmt.Sprintf("%s/%d via", d.YourIPAddr, bits)}
	for _, router := range d.Router() {
		words = append(words, router.String())
	}
	words = append(words, "broadcast", d.BroadcastAddress().String(), "DNS")
	for _, server := range d.DNS() {
		words = append(words, server.String())
	}
	words = append(words, d.DomainName(), d.HostName(), d.IPAddressLeaseTime(0).String(), d.IPAddressRenewalTime(0).String(), d.IPAddressRebindingTime(0).String())
	words = append(words, "boots", d.ServerIPAddr.String())
	if d.BootFileName != "" {
		words = append(words, d.BootFileName, d.BootFileNameOption())
	}
	if class := d.ClassIdentifier(); class != "" {
		words = append(words, class)
	}
	return strings.Join(words, " ")
}

// TestDHCPServerFitsTheClient has more to say than a small client can read.
func TestDHCPServerFitsTheClient(t *testing.T) {
	lease := fullLease()
	lease.Network.Domain = strings.Repeat("a", 250) + ".com"
	lease.Network.Nameservers = slices.Repeat(lease.Network.Nameservers, 4)
	answer := DHCPAnswer{BootFile: strings.Repeat("x", 200), NextServer: proxyAddress, Hostname: "web-1"}
	for size, whole := range map[uint16]bool{0: false, 1: false, 576: false, 1024: true, 65535: true} {
		server := NewDHCPServer(&fakeLeases{fakeAnswers: fakeAnswers{answer: answer}, lease: lease}, slog.New(slog.DiscardHandler))
		var change []dhcpv4.Modifier
		if size > 0 {
			change = append(change, dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(size)))
		}
		packet, _ := server.respond(t.Context(), proxyOn(portDHCPServer), proxyRequest(t, dhcpv4.MessageTypeDiscover, change...).ToBytes(), broadcast)
		reply, err := dhcpv4.FromBytes(packet)
		if err != nil {
			t.Fatal(err)
		}
		if len(packet) > max(576, min(int(size), 1500))-28 {
			t.Errorf("%d bytes for a client that takes %d", len(packet), size)
		}
		if reply.BootFileNameOption() != answer.BootFile || reply.BootFileName != "" || len(reply.Router()) != 1 || reply.SubnetMask() == nil {
			t.Errorf("%d: something is missing: %s", size, reply.Summary())
		}
		if (reply.DomainName() != "") != whole {
			t.Errorf("%d: domain %q", size, reply.DomainName())
		}
	}
}

func TestDHCPServerDropsWhatIsNoRequest(t *testing.T) {
	discover := proxyRequest(t, dhcpv4.MessageTypeDiscover).ToBytes()
	for name, packet := range map[string][]byte{
		"nothing": nil, "rubbish": []byte("rubbish"), "half": discover[:100], "an option that is cut off": discover[:245],
		"an answer":         append([]byte{2}, discover[1:]...),
		"more than a frame": append(bytes.Clone(discover), make([]byte, 1500)...),
		"a group's address": func() []byte { p := bytes.Clone(discover); p[28] |= 1; return p }(),
	} {
		lab := &fakeLeases{lease: fullLease()}
		server := NewDHCPServer(lab, slog.New(slog.DiscardHandler))
		if reply, _ := server.respond(t.Context(), proxyOn(portDHCPServer), packet, broadcast); reply != nil || lab.wanted != "" {
			t.Errorf("%s: an answer of %d bytes, and %q", name, len(reply), lab.wanted)
		}
		if got := server.Stats(); got != (DHCPServerStats{Received: 1, Malformed: 1}) {
			t.Errorf("%s: counted %+v", name, got)
		}
	}
}

func TestDHCPServerSaysItOnce(t *testing.T) {
	var log bytes.Buffer
	lab := &fakeLeases{fakeAnswers: fakeAnswers{answer: proxyFile}, leaseErr: fmt.Errorf("%w: the pool is used up", ErrNoAddress)}
	server := NewDHCPServer(lab, slog.New(slog.NewTextHandler(&log, nil)))
	for range 100 {
		server.respond(t.Context(), proxyOn(portDHCPServer), proxyRequest(t, dhcpv4.MessageTypeDiscover).ToBytes(), broadcast)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "the pool is used up") {
		t.Errorf("logged:\n%s", log.String())
	}
	if got := server.Stats().NoAddress; got != 100 {
		t.Errorf("counted %d", got)
	}
}

func FuzzDHCPServer(f *testing.F) {
	for _, kind := range []dhcpv4.MessageType{
		dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline,
	} {
		for _, addresses := range [][3]string{{"10.77.0.1", "10.77.0.50", ""}, {"", "10.77.0.50", ""}, {"", "", "10.77.0.50"}} {
			f.Add(proxyRequest(f, kind, withAddresses(addresses[0], addresses[1], addresses[2])).ToBytes(), false)
		}
		f.Add(proxyRequest(f, kind, relayed("10.5.0.1"), dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(577))).ToBytes(), true)
	}
	lab := &fakeLeases{fakeAnswers: fakeAnswers{answer: proxyFile}, lease: fullLease()}
	server := NewDHCPServer(lab, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, packet []byte, unicast bool) {
		conn := proxyOn(portDHCPServer)
		conn.unicast = unicast
		reply, to := server.respond(t.Context(), conn, packet, broadcast)
		if reply == nil {
			return
		}
		parsed, err := dhcpv4.FromBytes(reply)
		if err != nil || len(reply) > 1472 || !to.IsValid() || to.Port() != 67 && to.Port() != 68 || ipv4Of(parsed.ServerIdentifier()) != proxyAddress {
			t.Fatalf("%d bytes to %s, %v: %v", len(reply), to, err, parsed)
		}
	})
}
