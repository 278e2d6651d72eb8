package soak

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
	"provisioner/store"
)

const user, password = "ADMIN", "soak"

// controller is a BMC that can be restarted: it then has forgotten all sessions.
type controller struct {
	t       *testing.T
	addr    string
	machine *machine

	restarting sync.Mutex
	board      *sim.BMC
	power      *cord
	stop       context.CancelFunc
	served     chan error
	restarts   int
}

func startController(t *testing.T, number int) *controller {
	t.Helper()
	c := &controller{t: t, machine: &machine{number: number, on: true}}
	// An address of its own, and a port that is given to nobody who asks for
	// any: nobody else gets them while it is away.
	host := net.IPv4(127, byte(2+os.Getpid()%200), byte(number/250), byte(number%250+1))
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", net.JoinHostPort(host.String(), "6230"))
	if err != nil {
		t.Fatal(err)
	}
	c.addr = conn.LocalAddr().String()
	c.serve(conn)
	return c
}

// serve starts answering in a goroutine, which ends with close.
func (c *controller) serve(conn net.PacketConn) {
	// A machine under test may be late with its acknowledgements: it is busy.
	board := sim.New(user, password, c.machine, sim.WithSOLTiming(50*time.Millisecond, time.Second))
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	c.power = &cord{PacketConn: conn}
	c.board, c.stop, c.served = board, stop, served
	go func() { served <- board.Serve(ctx, c.power) }()
}

// cord is a BMC's connection to the network, and its power.
type cord struct {
	net.PacketConn
	cut atomic.Bool
}

func (c *cord) WriteTo(p []byte, addr net.Addr) (int, error) {
	if c.cut.Load() {
		return 0, net.ErrClosed
	}
	return c.PacketConn.WriteTo(p, addr)
}

// close stops answering and closes the socket.
func (c *controller) close() {
	c.stop()
	if err := <-c.served; err != nil {
		c.t.Errorf("BMC %s: %v", c.addr, err)
	}
}

// restart is away for a while, or until ctx ends. A BMC that crashes does not
// say that its console ends.
func (c *controller) restart(ctx context.Context, crash bool, away time.Duration) {
	c.restarting.Lock()
	defer c.restarting.Unlock()
	c.power.cut.Store(crash)
	c.close()
	c.machine.forget()
	c.restarts++
	wait(ctx, away)
	conn, err := (&net.ListenConfig{}).ListenPacket(context.WithoutCancel(ctx), "udp4", c.addr)
	if err != nil {
		c.t.Errorf("restart the BMC %s: %v", c.addr, err)
		return
	}
	c.serve(conn)
}

func (c *controller) consoleOpen() bool {
	c.restarting.Lock()
	defer c.restarting.Unlock()
	return c.board.ConsoleOpen()
}

func (c *controller) restarted() int {
	c.restarting.Lock()
	defer c.restarting.Unlock()
	return c.restarts
}

// connection is the lab's way to a controller: the product's client, which
// tells the machine when a console was opened though no BMC had restarted. What
// the BMC had for the console before, and has read since that was last heard,
// is lost then; and so may be what it reads while a console is being opened, if
// that takes more than one try.
type connection struct {
	*ipmi.Client
	to *controller

	mu     sync.Mutex
	opened bool
	failed bool  // to open since then: the BMC may have opened it
	at     int   // restarts
	again  int   // consoles that were opened though no BMC had restarted
	heard  int64 // where the machine was when its console was last heard
}

func connect(b store.BMC, to *controller) *connection {
	return &connection{to: to, Client: ipmi.NewClient(ipmi.Config{
		Addr: b.Address, Username: b.Username, Password: b.Password, Timeout: 2 * time.Second,
	})}
}

func (c *connection) OpenSOL(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	restarts := c.to.restarted()
	open := c.OpenFreeSOL
	if takeOver {
		open = c.Client.OpenSOL
	}
	from := c.to.machine.position()
	sol, err := open(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = true
		return nil, err
	}
	again := c.opened && c.at == restarts
	if again {
		c.again++
	}
	if again || c.failed {
		from = c.heard
	}
	if to := c.to.machine.position(); from < to || again {
		c.to.machine.dubious(from, to)
	}
	c.opened, c.failed, c.at = true, false, restarts
	c.heard = c.to.machine.position()
	return &stream{sol, c}, nil
}

// stream is a console that says when it is heard.
type stream struct {
	io.ReadWriteCloser
	connection *connection
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	if n > 0 {
		s.connection.mu.Lock()
		defer s.connection.mu.Unlock()
		s.connection.heard = s.connection.to.machine.position()
	}
	return n, err
}

func (c *connection) reopened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.again
}

// wait lets d pass, or ctx end.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

var errUnknownBMC = errors.New("there is no such BMC in this test")
