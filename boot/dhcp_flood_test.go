package boot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// dhcpNoise is what somebody broadcasts who means no good: clients that there
// are not, by the thousand, and datagrams that are none.
func dhcpNoise(t *testing.T) func(i int) []byte {
	t.Helper()
	request := proxyRequest(t, dhcpv4.MessageTypeRequest).ToBytes()
	return func(i int) []byte {
		packet := append([]byte(nil), request...)
		copy(packet[28:], []byte{0x02, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}) // chaddr
		switch i % 8 {
		case 0:
			return packet[:i/8%len(packet)]
		case 1:
			return append(packet, make([]byte, 100+i%2000)...) // of an option that is no end, or more than a frame
		case 2:
			packet[0] = byte(2 + i/8%250) // no request
		case 3:
			packet[1+i/8%2] = byte(7 + i%200) // no Ethernet
		case 4:
			packet[240+i/8%(len(packet)-240)] ^= byte(1 + i%255) // in the options
		}
		return packet
	}
}

// countingAnswers knows one machine, and counts who asks.
type countingAnswers struct {
	fakeLeases
	asked atomic.Int64
}

func (a *countingAnswers) Seen(_ context.Context, r SeenRequest) (bool, error) {
	a.asked.Add(1)
	return r.MAC.String() == knownMAC, nil
}

func (a *countingAnswers) Answer(_ context.Context, mac net.HardwareAddr) (DHCPAnswer, error) {
	if mac.String() != knownMAC {
		return DHCPAnswer{}, ErrUnknownMAC
	}
	return proxyFile, nil
}

func (a *countingAnswers) Lend(_ context.Context, r AddressRequest) (AddressLease, error) {
	if r.MAC.String() != knownMAC {
		return AddressLease{}, ErrNoAddress
	}
	return a.lease, nil
}

// While one address floods a DHCP server, it holds no more than before, counts
// what it drops, and answers the machine that asks in between.
func TestDHCPServersAnswerDuringAFlood(t *testing.T) {
	type counts struct{ received, dropped, answered uint64 }
	for name, test := range map[string]func(answers *countingAnswers, log *slog.Logger) (*dhcpSockets, respond, func() counts){
		"DHCP server": func(answers *countingAnswers, log *slog.Logger) (*dhcpSockets, respond, func() counts) {
			s := NewDHCPServer(answers, log)
			return s.sockets, s.respond, func() counts {
				c := s.Stats()
				return counts{c.Received, c.Malformed + c.Ignored + c.NoAddress + c.Failed + c.Unanswered, c.Lent}
			}
		},
		"ProxyDHCP": func(answers *countingAnswers, log *slog.Logger) (*dhcpSockets, respond, func() counts) {
			s := NewProxyDHCP(answers, log)
			return s.sockets, s.respond, func() counts {
				c := s.Stats()
				return counts{c.Received, c.Malformed + c.Ignored + c.Unknown + c.Failed + c.FromDisk, c.Answered}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			var log lineCounter
			sockets, respond, count := test(&countingAnswers{fakeLeases: fakeLeases{lease: fullLease()}}, slog.New(slog.NewTextHandler(&log, nil)))
			socket := proxyOn(portProxyDHCP)
			socket.conn = conn
			sockets.conns = append(sockets.conns, socket)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { // ends with stop
				ended <- sockets.serve(ctx, func(ctx context.Context, c *dhcpConn, packet []byte, from netip.AddrPort) ([]byte, netip.AddrPort) {
					reply, _ := respond(ctx, c, packet, from)
					return reply, from // the ports of DHCP are the system's own
				})
			}()
			client, err := net.DialUDP("udp4", nil, conn.LocalAddr().(*net.UDPAddr))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			request := proxyRequest(t, dhcpv4.MessageTypeRequest, withAddresses(proxyAddress.String(), "10.77.0.50", ""))
			buffer := make([]byte, maxDHCPPacket)
			asked := uint64(0)
			ask := func() { // and again where the kernel drops it, as clients do
				t.Helper()
				n, err := 0, os.ErrDeadlineExceeded
				for tries := 0; errors.Is(err, os.ErrDeadlineExceeded) && tries < 10; tries++ {
					asked++
					_, err = client.Write(request.ToBytes())
					if err == nil {
						_ = client.SetReadDeadline(time.Now().Add(time.Second))
						n, err = client.Read(buffer)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				if reply, err := dhcpv4.FromBytes(buffer[:n]); err != nil || reply.TransactionID != request.TransactionID || reply.MessageType() != dhcpv4.MessageTypeAck {
					t.Fatalf("answer %v, %v", reply, err)
				}
			}
			ask()
			before := measure(t)

			rate := flood(t, conn.LocalAddr().(*net.UDPAddr), dhcpNoise(t))
			var most footprint
			reached := 0
			for rounds := 0; reached == 0; rounds++ {
				ask()
				if rounds%100 == 0 {
					most = most.most(measure(t))
				}
				select {
				case reached = <-rate:
				default:
				}
			}
			ask() // what came before has been read
			most, lost, got := most.most(measure(t)), kernelDrops(t, conn), count()
			t.Logf("%d datagrams, %d a second, of which the kernel dropped %d; %d answers meanwhile; %s before, %s at most; %+v",
				floodSize, reached, lost, got.answered, before, most, got)
			if !most.within(before, 4<<20, 8, floodPorts+4) {
				t.Errorf("before the flood %s, at most %s", before, most)
			}
			if got.received+lost != floodSize+asked || got.answered > asked || got.answered+lost < asked || got.dropped+got.answered != got.received {
				t.Errorf("of %d and %d datagrams %+v are counted, %d lost", floodSize, asked, got, lost)
			}
			if lines := log.lines.Load(); lines > floodSize/1000 {
				t.Errorf("the log has %d lines of it", lines)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// lineCounter is a log of which only the length matters.
type lineCounter struct{ lines atomic.Int64 }

func (c *lineCounter) Write(line []byte) (int, error) {
	c.lines.Add(1)
	return len(line), nil
}
