package sim

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"

	"provisioner/ipmi"
)

type nothing struct{}

func (nothing) PoweredOn() bool                           { return false }
func (nothing) SetPower(bool)                             {}
func (nothing) Reset()                                    {}
func (nothing) SetBootDevice(ipmi.BootDevice, bool, bool) {}
func (nothing) ReadSerial([]byte) int                     { return 0 }
func (nothing) WriteSerial(p []byte) int                  { return len(p) }

// once delivers some datagrams and then has failed.
type once struct {
	net.PacketConn
	pkts [][]byte
}

func (o *once) ReadFrom(p []byte) (int, net.Addr, error) {
	if len(o.pkts) == 0 {
		return 0, nil, net.ErrClosed
	}
	n := copy(p, o.pkts[0])
	o.pkts = o.pkts[1:]
	return n, &net.UDPAddr{}, nil
}

func (*once) WriteTo(p []byte, _ net.Addr) (int, error) { return len(p), nil }
func (*once) LocalAddr() net.Addr                       { return &net.UDPAddr{} }
func (*once) Close() error                              { return nil }

// FuzzBMC is anyone who sends a simulated BMC what it likes: a panic of the
// reference server would end the whole program.
func FuzzBMC(f *testing.F) {
	long := make([]byte, 28)
	long[27] = 250 // a user name as long as the library cannot count
	f.Add(protocol.BuildRMCPPlusPacket(0x12, 0, 0, 0, long))
	f.Add(protocol.BuildRMCPPlusPacket(0x10, 0, 0, 0, make([]byte, 32)))
	f.Add(protocol.BuildRMCPPlusPacket(0x14, 0, 0, 0, make([]byte, 40)))
	f.Add(protocol.BuildRMCPPlusPacket(0x00, 0xc0, 1, 1, make([]byte, 17)))
	f.Add([]byte{6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0})
	f.Add([]byte{6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xc8, 0x81, 0, 0x38, 0x8e, 4, 0xb5})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := New("ADMIN", "ADMIN", nothing{}).Serve(ctx, &once{pkts: [][]byte{pkt, pkt}}); err == nil {
			t.Error("Serve ended well on a connection that failed")
		}
	})
}

// FuzzEnvelope is what an authentic client may hand to a chassis manager.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte{0x40, 0x8e, 0x18, 0x5a, 0x81, 0x14, 0x34, 0x37})
	f.Add([]byte{0x40})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, envelope []byte) {
		m, code := open(envelope, ipmb, 0x8e, remoteConsole)
		if code == types.CodeOK && len(m.data) != len(envelope)-8 {
			t.Errorf("%d bytes of data in an envelope of %d", len(m.data), len(envelope))
		}
	})
}
