package sim

import (
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// maxDatagram is longer than any request of RMCP+: an IPMI message or SOL
// payload of 255 bytes with its headers, padding and integrity trailer.
const maxDatagram = 512

// guard stands between the network and the reference server. It drops what
// the server's parsers panic on, and datagrams that the network has doubled,
// which the server would act on twice (IPMI v2.0 §6.12.13 asks to drop them).
//
// It drops late ones as well, and hands a session's packets on one by one,
// since the server starts a goroutine for each: its window of sequence numbers
// goes back with an old packet, and by 15 is enough to shut out all that
// follow. What was dropped is sent again, as on any bad network.
//
// It looks at datagrams before their integrity is checked, so that a forger
// may make it drop a genuine one. A simulator on loopback lives with that.
type guard struct {
	net.PacketConn
	sessions *bmc.SessionStore
	console  func() // called for each SOL packet that is handed on
	last     seen   // handed on; of the reader alone

	mu     sync.Mutex
	recent [64]seen // a ring
	next   int
	err    error
}

type seen struct{ session, seq uint32 }

func newGuard(conn net.PacketConn, sessions *bmc.SessionStore, console func()) *guard {
	return &guard{PacketConn: conn, sessions: sessions, console: console}
}

// ReadFrom returns the next datagram that is safe to hand on.
func (g *guard) ReadFrom(buf []byte) (int, net.Addr, error) {
	g.settle()
	for {
		n, addr, err := g.PacketConn.ReadFrom(buf)
		if err != nil {
			g.mu.Lock()
			g.err = err
			g.mu.Unlock()
			return 0, nil, net.ErrClosed // the server would retry anything else for ever
		}
		if g.accept(buf[:n]) {
			return n, addr, nil
		}
	}
}

// failure is the error that ended reading.
func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

func (g *guard) accept(pkt []byte) bool {
	if len(pkt) < 5 || pkt[4] != uint8(types.AuthTypeRMCPPlus) {
		return true // presence ping or IPMI v1.5: parsed with all checks
	}
	session, seq, payloadType, flags, payload, ok := protocol.ParseRMCPPlusHeader(pkt)
	if !ok {
		return false
	}
	if types.PayloadType(payloadType) == types.PayloadTypeRAKPMessage1 {
		// The library adds the length of the user name in eight bits.
		return len(payload) >= 28 && payload[27] <= 16
	}
	if session == 0 {
		return flags&types.PayloadFlagEncrypted == 0
	}
	if flags&types.PayloadFlagEncrypted != 0 && (len(payload) < 32 || len(payload)%16 != 0) {
		return false // the library decrypts partial blocks without asking
	}
	g.last = seen{session, seq}
	if !g.fresh(g.last) {
		return false
	}
	if types.PayloadType(payloadType) == types.PayloadTypeSOL {
		g.console()
	}
	return true
}

// settle waits until the server has taken up the packet handed on last, but
// not for ever: it may have dropped it.
func (g *guard) settle() {
	sess, err := g.sessions.Get(g.last.session)
	if err != nil {
		return
	}
	for tries := range 1100 {
		sess.ProcMu.Lock()
		taken := sess.InboundSeq == g.last.seq
		sess.ProcMu.Unlock()
		switch {
		case taken:
			return
		case tries < 1000:
			runtime.Gosched()
		default: // the thread that has it waits for a processor
			time.Sleep(time.Millisecond) //nolint:forbidigo // the library tells nobody
		}
	}
}

func (g *guard) fresh(s seen) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.recent {
		if r.session == s.session && int32(s.seq-r.seq) <= 0 {
			return false
		}
	}
	g.recent[g.next] = s
	g.next = (g.next + 1) % len(g.recent)
	return true
}
