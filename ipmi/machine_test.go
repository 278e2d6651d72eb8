package ipmi_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

const (
	user     = "ADMIN"
	password = "correct horse"
)

// machine is the hardware behind a simulated BMC.
type machine struct {
	mu     sync.Mutex
	on     bool
	events []string // what the BMC did, in order
	out    []byte   // printed, not read by the BMC yet
	typed  []byte
	most   int // characters taken at once; 0: all
}

func (m *machine) event(e string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

func (m *machine) did() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

func (m *machine) PoweredOn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

func (m *machine) SetPower(on bool) {
	m.mu.Lock()
	m.on = on
	m.mu.Unlock()
	m.event(map[bool]string{true: "on", false: "off"}[on])
}

func (m *machine) Reset() { m.event("reset") }

func (m *machine) Interrupt() { m.event("diag") }

func (m *machine) Identify(light ipmi.Light) { m.event("light " + light.String()) }

func (m *machine) SetBootDevice(dev ipmi.BootDevice, persistent, efi bool) {
	e := "boot " + dev.String()
	if persistent {
		e += " persistent"
	}
	if efi {
		e += " efi"
	}
	m.event(e)
}

func (m *machine) print(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = append(m.out, p...)
}

func (m *machine) ReadSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n
}

func (m *machine) WriteSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.most > 0 {
		p = p[:min(len(p), m.most)]
	}
	m.typed = append(m.typed, p...)
	return len(p)
}

func (m *machine) wasTyped() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.typed)
}

// start runs a BMC on conn until the test ends, and after every client.
func start(t testing.TB, b *sim.BMC, conn net.PacketConn) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("simulated BMC: %v", err)
		}
	})
}

// onLoopback starts a BMC on UDP and returns its address.
func onLoopback(t testing.TB, b *sim.BMC) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	start(t, b, conn)
	return conn.LocalAddr().String()
}

// connect makes a client that is closed when the test ends.
func connect(t testing.TB, cfg ipmi.Config) *ipmi.Client {
	t.Helper()
	if cfg.Username == "" {
		cfg.Username, cfg.Password = user, password
	}
	c := ipmi.NewClient(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// onWire starts a BMC in memory and returns a client of it.
func onWire(t testing.TB, hw *machine, opts ...sim.Option) (*wire, *ipmi.Client) {
	t.Helper()
	w := newWire()
	start(t, sim.New(user, password, hw, opts...), w.bmc)
	return w, connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
}
