package ipmi

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// void is a connection on which nothing ever comes.
type void struct{ net.Conn }

func (void) Read([]byte) (int, error)    { return 0, net.ErrClosed }
func (void) Write(p []byte) (int, error) { return len(p), nil }
func (void) Close() error                { return nil }
func (void) LocalAddr() net.Addr         { return &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 40001} }

// sessionForTest is a session in use, without its reader: a command with
// request sequence number 0 and a console await the BMC.
func sessionForTest() *session {
	c := NewClient(Config{Addr: "bmc"})
	s := &session{
		conn: void{}, stats: &c.stats, peer: &c.peer, timeout: time.Second,
		hello: make(chan helloMessage, 4),
		done:  make(chan struct{}), readDone: make(chan struct{}),
		consoleID: 0x01020304, bmcID: 0x05060708,
	}
	s.keys.Store(keysForTest())
	s.calls[0] = &call{key: keyOf((&app.GetDeviceIDRequest{}).Command(), 0), reply: make(chan reply, 1)}
	sol := &SOL{client: c, session: s, writing: make(chan struct{}, 1), active: true}
	sol.change.L = &sol.mu
	sol.in.init(0)
	sol.out.init(255)
	s.sol = sol
	return s
}

var suite17, _ = CipherSuite(17).algorithms()

func keysForTest() *keys {
	return &keys{
		algorithms: suite17,
		k1:         []byte("01234567890123456789012345678901"),
		k2:         []byte("abcdefghijklmnopqrstuvwxyzabcdef"),
		password:   string(make([]byte, 20)),
	}
}

// keysOf are the keys of a supported suite, for any number.
func keysOf(suite uint8) *keys {
	supported := []CipherSuite{0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17}
	k := keysForTest()
	if alg, err := CipherSuite(suite).algorithms(); err == nil {
		k.algorithms = alg
	} else {
		k.algorithms, _ = supported[int(suite)%len(supported)].algorithms()
	}
	return k
}

// response is a sound IPMI response to the command that awaits one.
func response(data ...byte) []byte {
	cmd := (&app.GetDeviceIDRequest{}).Command()
	return protocol.BuildIPMIResponse(uint8(cmd.NetFn), cmd.ID, 0, 0, data)
}

// FuzzDatagram is what anyone can do who can reach our socket: with a session
// and before there is one. No mutation passes the HMAC but by its key.
func FuzzDatagram(f *testing.F) {
	for _, suite := range []uint8{0, 2, 11, 17} {
		sealed, err := keysOf(suite).seal(types.PayloadTypeIPMI, 0x01020304, 1, response(1, 2, 3))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(suite, sealed)
		for _, n := range []int{0, 1, 15, 16, 20, len(sealed) - 1} {
			f.Add(suite, sealed[:n])
		}
	}
	for _, payload := range []types.PayloadType{
		types.PayloadTypeIPMI, types.PayloadTypeSOL, types.PayloadTypeOEM, types.PayloadTypeRmcpOpenSessionResponse,
		types.PayloadTypeRAKPMessage2, types.PayloadTypeRAKPMessage4,
	} {
		f.Add(uint8(17), protocol.BuildRMCPPlusPacket(uint8(payload), 0, 0, 0, make([]byte, 20)))
		f.Add(uint8(17), protocol.BuildRMCPPlusPacket(uint8(payload), protected, 0x01020304, 1, make([]byte, 20)))
	}
	f.Fuzz(func(t *testing.T, suite uint8, pkt []byte) {
		s := sessionForTest()
		defer s.end(ErrClosed)
		s.keys.Store(keysOf(suite))
		s.receive(pkt)
		if s.heard.Load() > 0 {
			k := s.keys.Load()
			h, payload, err := parseHeader(pkt)
			if err != nil {
				t.Fatalf("believed a packet without a header: %v", err)
			}
			if _, err := k.open(pkt, h, payload); err != nil {
				t.Fatalf("believed a forged packet: %v", err)
			}
		}
		s.keys.Store(nil)
		s.receive(pkt)
	})
}

// FuzzAuthentic is what a broken or hostile BMC can do, which has the keys:
// any payload of any type, sealed as it should be, or with an HMAC around
// something that is not even encrypted.
func FuzzAuthentic(f *testing.F) {
	f.Add(uint8(types.PayloadTypeIPMI), true, response(1, 2, 3))
	f.Add(uint8(types.PayloadTypeIPMI), true, []byte{})
	f.Add(uint8(types.PayloadTypeSOL), true, []byte{1, 0, 0, 0, 'h', 'i'})
	f.Add(uint8(types.PayloadTypeSOL), true, []byte{0, 1, 5, 0x40})
	f.Add(uint8(types.PayloadTypeSOL), true, []byte{0, 0, 0, 0x10})
	f.Add(uint8(types.PayloadTypeSOL), false, make([]byte, 17))
	f.Add(uint8(types.PayloadTypeIPMI), false, make([]byte, 31))
	send, get := types.CommandSendMessage, (&app.GetDeviceIDRequest{}).Command()
	answer := protocol.BuildIPMIResponse(uint8(get.NetFn), get.ID, 1, 0, []byte{1, 2, 3})
	inner := protocol.BuildIPMIResponse(uint8(send.NetFn), send.ID, 1, 0, answer)
	f.Add(uint8(types.PayloadTypeIPMI), true, protocol.BuildIPMIResponse(uint8(send.NetFn), send.ID, 1, 0, inner))
	f.Add(uint8(types.PayloadTypeIPMI), true, protocol.BuildIPMIResponse(uint8(send.NetFn), send.ID, 1, 0x83, nil))
	f.Fuzz(func(t *testing.T, payload uint8, encrypt bool, plain []byte) {
		if len(plain) > maxDatagram {
			t.Skip("longer than what is read")
		}
		s := sessionForTest()
		s.calls[1] = &call{key: keyOf((&app.GetDeviceIDRequest{}).Command(), 1), bridged: true, reply: make(chan reply, 1)}
		k := s.keys.Load()
		pkt, err := k.seal(types.PayloadType(payload&0x3f), s.consoleID, 1, plain)
		if err != nil {
			t.Fatal(err)
		}
		if !encrypt {
			if pkt, err = k.sign(protocol.BuildRMCPPlusPacket(payload&0x3f, protected, s.consoleID, 1, plain)); err != nil {
				t.Fatal(err)
			}
		}
		s.receive(pkt)
		if s.stats.forged.Load() > 0 {
			t.Error("a signed packet counts as forged")
		}
		s.receive(pkt) // again: a replay
		s.end(ErrClosed)
	})
}

// FuzzHandshake is a BMC that answers the three messages of session setup
// with anything, under the tag and session that they must have to be looked at.
// But for suite 0, by which nobody proves anything, no session comes of it.
func FuzzHandshake(f *testing.F) {
	f.Add(uint8(17), make([]byte, 36), make([]byte, 72), make([]byte, 24))
	f.Add(uint8(17), []byte{0, 1}, []byte{0, 0x0d}, []byte{0, 0x0f})
	f.Add(uint8(17), make([]byte, 8), make([]byte, 8), make([]byte, 8))
	for _, suite := range []uint8{0, 1, 3, 8, 17} {
		alg := keysOf(suite).algorithms
		opened := append(make([]byte, 12),
			0, 0, 0, 8, uint8(alg.auth), 0, 0, 0, 1, 0, 0, 8, uint8(alg.integrity), 0, 0, 0, 2, 0, 0, 8, uint8(alg.crypt), 0, 0, 0)
		f.Add(suite, opened, make([]byte, 72), make([]byte, 24))
		f.Add(suite, opened, make([]byte, 41), make([]byte, 9))
	}
	f.Fuzz(func(t *testing.T, suite uint8, opened, rakp2, rakp4 []byte) {
		synctest.Test(t, func(t *testing.T) { // setup waits for something better than a refusal
			s := sessionForTest()
			s.keys.Store(nil)
			s.conn = answering{s: s, answers: map[types.PayloadType][]byte{
				types.PayloadTypeRmcpOpenSessionRequest: opened,
				types.PayloadTypeRAKPMessage1:           rakp2,
				types.PayloadTypeRAKPMessage3:           rakp4,
			}, consoleID: new(uint32)}
			since := time.Now()
			cfg := &Config{Username: "ADMIN", Password: "ADMIN"}
			err := s.greet(t.Context(), cfg, terms{CipherSuite(suite), types.PrivilegeLevelAdministrator}, &since)
			if suite != 0 && (err == nil || s.keys.Load() != nil) {
				t.Error("a session with a BMC that does not know the password")
			}
		})
	})
}

// answering answers each setup message at once.
type answering struct {
	void
	s         *session
	answers   map[types.PayloadType][]byte
	consoleID *uint32 // which the first message names
}

func (a answering) Write(p []byte) (int, error) {
	h, body, err := parseHeader(p)
	if err != nil {
		return 0, err
	}
	if h.payload == types.PayloadTypeRmcpOpenSessionRequest {
		*a.consoleID = binary.LittleEndian.Uint32(body[4:8])
	}
	answer := append([]byte(nil), a.answers[h.payload]...)
	if len(answer) > 0 {
		answer[0] = body[0]
	}
	if len(answer) >= 8 {
		binary.LittleEndian.PutUint32(answer[4:8], *a.consoleID)
	}
	a.s.receive(protocol.BuildRMCPPlusPacket(uint8(h.payload)+1, 0, 0, 0, answer))
	return len(p), nil
}

// FuzzSOL is a BMC that sends any SOL packets, in any order, to a console
// with something in flight and a reader that reads now and then.
func FuzzSOL(f *testing.F) {
	f.Add([]byte{4, 1, 1, 5, 0, 4, 1, 1, 5, 0, 6, 2, 0, 0, 0, 'a', 'b'})
	f.Add([]byte{4, 0, 1, 0, 0x40, 4, 0, 2, 2, 0x40, 4, 0, 3, 0, 0})
	f.Add([]byte{4, 0, 0, 0, 0x10})
	f.Fuzz(func(t *testing.T, packets []byte) {
		s := sessionForTest()
		defer s.end(ErrClosed)
		l := s.sol
		l.mu.Lock()
		l.out.queue = append(l.out.queue, "hello console, this is more than a packet of five"...)
		l.out.enqueued = int64(len(l.out.queue))
		l.out.size = 5
		l.launchLocked()
		l.mu.Unlock()
		for seq := uint32(1); len(packets) > 0; seq++ {
			n := min(int(packets[0]), len(packets)-1)
			_ = l.receive(seq, packets[1:1+n])
			packets = packets[1+n:]
			l.mu.Lock()
			if l.out.settled > l.out.enqueued || len(l.in.buf) > inboundMax || cap(l.in.buf) != inboundMax {
				t.Errorf("settled %d of %d, %d characters unread", l.out.settled, l.out.enqueued, len(l.in.buf))
			}
			unread := len(l.in.buf)
			l.mu.Unlock()
			if seq%8 == 0 && unread > 0 {
				if _, err := l.Read(make([]byte, 100)); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// FuzzResponse is what a BMC may put into an IPMI response.
func FuzzResponse(f *testing.F) {
	f.Add(response(1, 2, 3))
	f.Add(response())
	f.Add(response(0xc0, 3, 0x01, 0x41, 0x81, 0xc1, 0x80, 1, 2, 3, 0x02, 0xc0, 17, 0x03, 0x44, 0x81))
	f.Add(response(1, 4, 2, 3, 4, 0x11, 10, 0, 0, 5, 1, 2, 3, 4, 5, 6, 0x12, 0xa1))
	f.Add(response([]byte("root\x1b[2J\x00\x00\x00\x00\x00\x00\x00\x00")...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, r, err := parseResponse(msg)
		if err != nil {
			return
		}
		if len(r.data) != len(msg)-8 {
			t.Errorf("%d bytes of data in a message of %d", len(r.data), len(msg))
		}
		var status chassis.GetChassisStatusResponse
		_ = status.Unpack(r.data)
		var activated transport.ActivatePayloadResponse
		_ = activated.Unpack(r.data)
		var holder transport.GetPayloadInstanceInfoResponse
		_ = holder.Unpack(r.data)
		var session app.GetSessionInfoResponse
		_ = session.Unpack(r.data)
		var name app.GetUsernameResponse
		if name.Unpack(r.data) == nil && strings.ContainsFunc(plain(name.Username), unicode.IsControl) {
			t.Errorf("a user called %q", plain(name.Username))
		}
		var settings SOLSettings
		for _, param := range solParameters {
			if len(r.data) >= param.bytes {
				param.set(&settings, r.data)
			}
		}
		if suites := parseSuiteRecords(r.data); len(suites) > len(r.data)/2 {
			t.Errorf("%d suites in %d bytes", len(suites), len(r.data))
		}
	})
}
