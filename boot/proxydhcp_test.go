package boot

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

var (
	proxyAddress = netip.MustParseAddr("10.77.0.1")
	proxyClient  = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1} // knownMAC
	proxyFile    = DHCPAnswer{BootFile: "bootloaders/amd64/uefi/grubnetx64.efi", NextServer: netip.MustParseAddr("10.77.0.2")}
	broadcast    = netip.MustParseAddrPort("255.255.255.255:68")
)

// proxyRequest is what a UEFI client sends, changed as the test needs it.
func proxyRequest(t testing.TB, kind dhcpv4.MessageType, change ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	request, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(proxyClient), dhcpv4.WithMessageType(kind), dhcpv4.WithBroadcast(true),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64)),
		dhcpv4.WithGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, bytes.Repeat([]byte{7}, 16)...)),
	}, change...)...)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// proxyOn is a socket of an interface that has an address, and no kernel.
func proxyOn(port int) *dhcpConn {
	return &dhcpConn{name: "test", port: port, address: func() (netip.Addr, error) { return proxyAddress, nil }}
}

func TestProxyDHCPOffersABootFile(t *testing.T) {
	url := DHCPAnswer{BootFile: "http://10.77.0.2/bootloaders/amd64/uefi/grubnetx64.efi", HTTP: true, NextServer: netip.MustParseAddr("10.77.0.2")}
	from := netip.MustParseAddrPort("10.77.0.100:68")
	bootItem := []byte{0, 6, 1, 0, 71, 4, 0, 0, 0, 0, 255}
	for _, test := range []struct {
		name    string
		port    int
		request *dhcpv4.DHCPv4
		answer  DHCPAnswer
		kind    dhcpv4.MessageType
		class   string
		vendor  []byte // option 43
		to      netip.AddrPort
	}{
		{"DISCOVER", 67, proxyRequest(t, dhcpv4.MessageTypeDiscover), proxyFile,
			dhcpv4.MessageTypeOffer, "PXEClient", []byte{6, 1, 8, 255}, broadcast},
		{"DISCOVER by a relay", 67, proxyRequest(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithGatewayIP(net.IP{10, 5, 0, 1}),
			dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(1), []byte("port 7"))))), proxyFile,
			dhcpv4.MessageTypeOffer, "PXEClient", []byte{6, 1, 8, 255}, netip.MustParseAddrPort("10.5.0.1:67")},
		{"DISCOVER of UEFI HTTP boot", 67, proxyRequest(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003001"))), url,
			dhcpv4.MessageTypeOffer, "HTTPClient", nil, broadcast},
		{"REQUEST to us", 67, proxyRequest(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP(proxyAddress.AsSlice())))), proxyFile,
			dhcpv4.MessageTypeAck, "PXEClient", []byte{6, 1, 8, 255}, broadcast},
		{"REQUEST at port 4011", 4011, proxyRequest(t, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(from.Addr().AsSlice())), proxyFile,
			dhcpv4.MessageTypeAck, "PXEClient", []byte{6, 1, 8, 255}, from},
		{"INFORM at port 4011", 4011, proxyRequest(t, dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(from.Addr().AsSlice())), proxyFile,
			dhcpv4.MessageTypeAck, "PXEClient", []byte{6, 1, 8, 255}, from},
		{"REQUEST for a boot item", 4011, proxyRequest(t, dhcpv4.MessageTypeRequest, dhcpv4.WithGeneric(dhcpv4.OptionVendorSpecificInformation, bootItem)), proxyFile,
			dhcpv4.MessageTypeAck, "PXEClient", []byte{6, 1, 8, 71, 4, 0, 0, 0, 0, 255}, from},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := &fakeAnswers{answer: test.answer}
			server := NewProxyDHCP(answers, slog.New(slog.DiscardHandler))
			packet, to := server.respond(t.Context(), proxyOn(test.port), test.request.ToBytes(), from)
			if packet == nil {
				t.Fatalf("no answer; %+v", server.Stats())
			}
			reply, err := dhcpv4.FromBytes(packet)
			if err != nil {
				t.Fatal(err)
			}
			if len(packet) > 576 { // RFC 2131 §2: what every client takes
				t.Errorf("%d bytes", len(packet))
			}
			request := test.request
			if to != test.to || reply.OpCode != dhcpv4.OpcodeBootReply || reply.TransactionID != request.TransactionID || reply.Flags != request.Flags ||
				!bytes.Equal(reply.ClientHWAddr, proxyClient) || !reply.GatewayIPAddr.Equal(request.GatewayIPAddr) || !reply.ClientIPAddr.Equal(request.ClientIPAddr) {
				t.Errorf("to %s, want %s: %s", to, test.to, reply.Summary())
			}
			if !reply.YourIPAddr.IsUnspecified() {
				t.Errorf("it hands out the address %s", reply.YourIPAddr)
			}
			if reply.MessageType() != test.kind || reply.ClassIdentifier() != test.class || !reply.ServerIdentifier().Equal(net.IP(proxyAddress.AsSlice())) {
				t.Errorf("want %s of %s: %s", test.kind, test.class, reply.Summary())
			}
			if got := reply.ServerIPAddr.String() + " " + reply.BootFileName + " " + reply.BootFileNameOption() + " " + reply.TFTPServerName(); got !=
				"10.77.0.2 "+test.answer.BootFile+" "+test.answer.BootFile+" 10.77.0.2" {
				t.Errorf("boot file: %s", got)
			}
			if got := reply.Options.Get(dhcpv4.OptionVendorSpecificInformation); !bytes.Equal(got, test.vendor) {
				t.Errorf("option 43 is %v, want %v", got, test.vendor)
			}
			for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionClientMachineIdentifier, dhcpv4.OptionRelayAgentInformation} {
				if got, want := reply.Options.Get(code), request.Options.Get(code); !bytes.Equal(got, want) {
					t.Errorf("%s is %v, want %v", code, got, want)
				}
			}
			if answers.asked != "answer "+knownMAC {
				t.Errorf("asked: %s", answers.asked)
			}
		})
	}
}

func TestProxyDHCPKeepsSilent(t *testing.T) {
	stranger := dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2})
	discover := proxyRequest(t, dhcpv4.MessageTypeDiscover).ToBytes()
	truncated := func(n int) []byte { return discover[:n] }
	for _, test := range []struct {
		name   string
		port   int
		packet []byte
		answer DHCPAnswer
		err    error
		want   ProxyDHCPStats
	}{
		{"a machine that boots from disk", 67, discover, DHCPAnswer{}, nil, ProxyDHCPStats{FromDisk: 1}},
		{"a stranger", 67, proxyRequest(t, dhcpv4.MessageTypeDiscover, stranger).ToBytes(), proxyFile, nil, ProxyDHCPStats{Unknown: 1}},
		{"an operating system", 67, proxyRequest(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptClassIdentifier("MSFT 5.0"))).ToBytes(), proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"a REQUEST to another server", 67, proxyRequest(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{10, 77, 0, 9}))).ToBytes(), proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"a REQUEST for an address, to a DHCP server on this host", 67, proxyRequest(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP(proxyAddress.AsSlice()))),
			dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IP{10, 77, 0, 100}))).ToBytes(), proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"a REQUEST to keep an address", 67, proxyRequest(t, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP(proxyAddress.AsSlice()))),
			dhcpv4.WithClientIP(net.IP{10, 77, 0, 100})).ToBytes(), proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"a REQUEST to nobody", 67, proxyRequest(t, dhcpv4.MessageTypeRequest).ToBytes(), proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"a RELEASE", 67, proxyRequest(t, dhcpv4.MessageTypeRelease).ToBytes(), proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"a DISCOVER at port 4011", 4011, discover, proxyFile, nil, ProxyDHCPStats{Ignored: 1}},
		{"an answer", 67, func() []byte { p := bytes.Clone(discover); p[0] = 2; return p }(), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"a client that has no Ethernet", 67, func() []byte { p := bytes.Clone(discover); p[1] = 32; return p }(), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"a long hardware address", 67, func() []byte { p := bytes.Clone(discover); p[2] = 255; return p }(), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"a group's address", 67, func() []byte { p := bytes.Clone(discover); p[28] |= 1; return p }(), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"nothing", 67, nil, proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"half a header", 67, truncated(100), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"an option that is cut off", 67, truncated(245), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"more than a frame", 67, append(bytes.Clone(discover), make([]byte, 1500)...), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"a UUID in pieces", 67, proxyRequest(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithGeneric(dhcpv4.OptionClientMachineIdentifier, make([]byte, 600))).ToBytes(), proxyFile, nil, ProxyDHCPStats{Malformed: 1}},
		{"a lab that fails", 67, discover, proxyFile, errors.New("disk full"), ProxyDHCPStats{Failed: 1}},
		{"a boot file that is too long", 67, discover, DHCPAnswer{BootFile: strings.Repeat("x", 256), NextServer: proxyAddress}, nil, ProxyDHCPStats{Failed: 1}},
		{"no next-server", 67, discover, DHCPAnswer{BootFile: "x"}, nil, ProxyDHCPStats{Failed: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			server := NewProxyDHCP(&fakeAnswers{answer: test.answer, err: test.err}, slog.New(slog.NewTextHandler(&log, nil)))
			for range 3 {
				if reply, to := server.respond(t.Context(), proxyOn(test.port), test.packet, broadcast); reply != nil {
					t.Errorf("%d bytes to %s", len(reply), to)
				}
			}
			test.want = ProxyDHCPStats{
				Received: 3, Malformed: 3 * test.want.Malformed, Ignored: 3 * test.want.Ignored,
				Unknown: 3 * test.want.Unknown, FromDisk: 3 * test.want.FromDisk, Failed: 3 * test.want.Failed,
			}
			if got := server.Stats(); got != test.want {
				t.Errorf("counted %+v, want %+v", got, test.want)
			}
			if lines := strings.Count(log.String(), "\n"); lines > 1 || lines == 1 != (test.want.Failed > 0) {
				t.Errorf("logged:\n%s", log.String())
			}
		})
	}
}

func TestProxyDHCPOfAnInterfaceWithoutAddress(t *testing.T) {
	server := NewProxyDHCP(&fakeAnswers{answer: proxyFile}, slog.New(slog.DiscardHandler))
	conn := &dhcpConn{name: "test", port: 67, address: func() (netip.Addr, error) { return netip.Addr{}, errors.New("it was unplugged") }}
	if reply, _ := server.respond(t.Context(), conn, proxyRequest(t, dhcpv4.MessageTypeDiscover).ToBytes(), broadcast); reply != nil {
		t.Error("it answers")
	}
	if got := server.Stats().Failed; got != 1 {
		t.Errorf("failed %d times", got)
	}
}

// TestProxyDHCPServes asks over a real socket, sends rubbish before, and ends
// the server.
func TestProxyDHCPServes(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server := NewProxyDHCP(&fakeAnswers{answer: proxyFile}, slog.New(slog.DiscardHandler))
	socket := proxyOn(portProxyDHCP)
	socket.conn = conn
	server.sockets.conns = append(server.sockets.conns, socket)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }() // ends with cancel, below

	client, err := net.DialUDP("udp4", nil, conn.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	request := proxyRequest(t, dhcpv4.MessageTypeRequest)
	for _, packet := range [][]byte{{}, []byte("rubbish"), make([]byte, 4000), request.ToBytes()} {
		if _, err := client.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, maxDHCPPacket)
	n, err := client.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := dhcpv4.FromBytes(buffer[:n]); err != nil || reply.TransactionID != request.TransactionID {
		t.Errorf("reply %v, %v", reply, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := conn.WriteTo(nil, client.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is open: %v", err)
	}
	if stats := server.Stats(); stats.Malformed != 3 || stats.Answered != 1 {
		t.Errorf("counted %+v", stats)
	}
}

func TestProxyDHCPNamesTheInterfacesThereAre(t *testing.T) {
	server := NewProxyDHCP(&fakeAnswers{}, slog.New(slog.DiscardHandler))
	err := server.Listen(t.Context(), "no-such-0", false)
	if err == nil || !strings.Contains(err.Error(), "no-such-0: no such network interface; there are ") || !strings.Contains(err.Error(), "lo") {
		t.Errorf("error: %v", err)
	}
}

func FuzzProxyDHCP(f *testing.F) {
	for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform} {
		f.Add(proxyRequest(f, kind).ToBytes(), true)
		f.Add(proxyRequest(f, kind, dhcpv4.WithGatewayIP(net.IP{10, 5, 0, 1})).ToBytes(), false)
	}
	f.Add(proxyRequest(f, dhcpv4.MessageTypeRequest, dhcpv4.WithGeneric(dhcpv4.OptionVendorSpecificInformation, []byte{71, 4, 0, 0, 0, 0, 255})).ToBytes(), true)
	f.Add(proxyRequest(f, dhcpv4.MessageTypeRequest, dhcpv4.WithGeneric(dhcpv4.OptionVendorSpecificInformation, []byte{71, 200, 0})).ToBytes(), true)
	server := NewProxyDHCP(&fakeAnswers{answer: proxyFile}, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, packet []byte, again bool) {
		port := portDHCPServer
		if again {
			port = portProxyDHCP
		}
		reply, to := server.respond(t.Context(), proxyOn(port), packet, netip.MustParseAddrPort("10.77.0.100:68"))
		if reply == nil {
			return
		}
		parsed, err := dhcpv4.FromBytes(reply)
		if err != nil || !parsed.YourIPAddr.IsUnspecified() || len(reply) > 1400 || !to.IsValid() {
			t.Fatalf("%d bytes to %s, %v: %v", len(reply), to, err, parsed)
		}
	})
}
