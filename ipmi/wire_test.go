package ipmi_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// wire is a network of one BMC in memory. It delivers after a millisecond, if
// it is not told otherwise, and as badly as it is told to. Under testing/synctest its time is the bubble's.
type wire struct {
	loss, double, late float64 // probabilities, each way
	// toBMC and toClient may replace a datagram by any number of others.
	toBMC, toClient func(pkt []byte) [][]byte

	mu      sync.Mutex
	rng     *rand.Rand
	delay   time.Duration // each way
	cut     bool          // nothing is delivered
	clients map[string]*plug
	bmc     *plug
	sent    []time.Time // when clients sent something
}

// plug is one end of the wire: net.PacketConn for the BMC, net.Conn for clients.
type plug struct {
	wire  *wire
	name  name
	queue chan datagram
	once  sync.Once
	done  chan struct{}
}

type datagram struct {
	from name
	data []byte
}

// pass lets time go by, which in a bubble of testing/synctest is no waiting.
func pass(d time.Duration) { <-time.After(d) }

type name string

func (name) Network() string  { return "memory" }
func (n name) String() string { return string(n) }

const bmcName name = "bmc:623"

func newWire() *wire {
	w := &wire{rng: rand.New(rand.NewPCG(1, 2)), delay: time.Millisecond, clients: map[string]*plug{}}
	w.bmc = w.plug(bmcName)
	return w
}

func (w *wire) plug(n name) *plug {
	return &plug{wire: w, name: n, queue: make(chan datagram, 4096), done: make(chan struct{})}
}

// Dial is for ipmi.Config.
func (w *wire) Dial(context.Context, string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.plug(name(fmt.Sprintf("client:%d", len(w.clients)+1)))
	w.clients[p.name.String()] = p
	return p, nil
}

// setCut cuts or mends the wire.
func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
}

// setDelay changes how long a datagram travels.
func (w *wire) setDelay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

// inject delivers a datagram to all clients at once, as a forger could.
func (w *wire) inject(pkt []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		c.put(datagram{bmcName, pkt})
	}
}

func (w *wire) sentTimes() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.sent...)
}

func (w *wire) carry(from name, to *plug, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	alter := w.toBMC
	if to != w.bmc {
		alter = w.toClient
	} else {
		w.sent = append(w.sent, time.Now())
	}
	pkts := [][]byte{append([]byte(nil), data...)}
	if alter != nil {
		pkts = alter(pkts[0])
	}
	for _, pkt := range pkts {
		if w.cut || w.rng.Float64() < w.loss {
			continue
		}
		w.deliver(to, datagram{from, pkt})
		if w.rng.Float64() < w.double {
			w.deliver(to, datagram{from, append([]byte(nil), pkt...)})
		}
	}
}

func (w *wire) deliver(to *plug, d datagram) {
	delay := w.delay
	if w.rng.Float64() < w.late {
		delay += time.Duration(w.rng.IntN(20)) * time.Millisecond
	}
	time.AfterFunc(delay, func() { to.put(d) })
}

func (p *plug) put(d datagram) {
	select {
	case <-p.done:
	case p.queue <- d:
	default: // full, as the buffer of a socket may be
	}
}

func (p *plug) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-p.done:
		return 0, nil, net.ErrClosed
	case d := <-p.queue:
		return copy(b, d.data), d.from, nil
	}
}

func (p *plug) WriteTo(b []byte, to net.Addr) (int, error) {
	p.wire.mu.Lock()
	c := p.wire.clients[to.String()]
	p.wire.mu.Unlock()
	if c != nil {
		p.wire.carry(p.name, c, b)
	}
	return len(b), nil
}

func (p *plug) Read(b []byte) (int, error) {
	n, _, err := p.ReadFrom(b)
	return n, err
}

func (p *plug) Write(b []byte) (int, error) {
	select {
	case <-p.done:
		return 0, io.ErrClosedPipe
	default:
	}
	p.wire.carry(p.name, p.wire.bmc, b)
	return len(b), nil
}

func (p *plug) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *plug) LocalAddr() net.Addr              { return p.name }
func (p *plug) RemoteAddr() net.Addr             { return bmcName }
func (p *plug) SetDeadline(time.Time) error      { return nil }
func (p *plug) SetReadDeadline(time.Time) error  { return nil }
func (p *plug) SetWriteDeadline(time.Time) error { return nil }
