package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// The one account of the simulated BMCs.
const (
	bmcUser     = "ADMIN"
	bmcPassword = "ADMIN"
)

// bmcAddress is the address of simulated BMC i, on UDP port 623: a /16 of
// loopback addresses in blocks of 250.
func bmcAddress(i int) string { return fmt.Sprintf("127.1.%d.%d", i/250, i%250+1) }

// bmcs is the role of n simulated BMCs, each at its own address.
type bmcs struct {
	hosts  []*host
	ctrls  []*sim.BMC
	silent []net.PacketConn // kept, for one that is forgotten is closed, and that answers by ICMP
}

// Boards says how many BMCs there are, and how many are not well: every other
// one of those is silent, the rest answer each datagram with random bytes. They
// are spread evenly over all.
type Boards struct{ Well, Sick int }

// sick returns the number of BMC i among those that are not well.
func (b Boards) sick(i int) (number int, sick bool) {
	all := b.Well + b.Sick
	number = i * b.Sick / all
	return number, (i+1)*b.Sick/all > number
}

// Start starts the BMCs. They run until the process ends.
func (b *bmcs) Start(cfg Boards, _ *none) error {
	for i := range cfg.Well + cfg.Sick {
		conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", net.JoinHostPort(bmcAddress(i), "623"))
		if err != nil {
			return fmt.Errorf("start the simulated BMC %s: %w", bmcAddress(i), err)
		}
		switch number, sick := cfg.sick(i); {
		case !sick:
			h := &host{number: i}
			ctrl := sim.New(bmcUser, bmcPassword, h)
			b.hosts, b.ctrls = append(b.hosts, h), append(b.ctrls, ctrl)
			go func() { _ = ctrl.Serve(context.Background(), conn) }() // until the process ends
		case number%2 == 0:
			go talkRubbish(conn) // until the process ends
		default:
			b.silent = append(b.silent, conn)
		}
	}
	return nil
}

func talkRubbish(conn net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, addr, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = rand.Read(buf[:n])
		_, _ = conn.WriteTo(buf[:n], addr)
	}
}

// AwaitOpen waits until that many consoles are open.
func (b *bmcs) AwaitOpen(want int, _ *none) error {
	const patience = 5 * time.Minute // conmand takes its time with those that failed once
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for now := range tick.C {
		open := 0
		for _, c := range b.ctrls {
			if c.ConsoleOpen() {
				open++
			}
		}
		if open >= want {
			return nil
		}
		if now.After(deadline) {
			return fmt.Errorf("%d of %d consoles are open after %v", open, want, patience)
		}
	}
	return nil
}

// Speech is what machines are to print.
type Speech struct {
	Talkers int // how many machines print; they are spread over all
	Rate    int // bytes a second of each
	For     time.Duration
}

// Talk has machines print at a steady rate, and returns when the BMCs have
// taken all of it. Machine i prints the first Rate*For bytes of printout(i).
func (b *bmcs) Talk(s Speech, _ *none) error {
	var talkers []*host
	for _, i := range talking(len(b.hosts), s.Talkers) {
		talkers = append(talkers, b.hosts[i])
	}
	total := int(int64(s.Rate) * int64(s.For) / int64(time.Second))
	texts := make([]string, len(talkers))
	for i, h := range talkers {
		texts[i] = printout(h.number, total)
	}
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < total; <-tick.C {
		due := min(total, int(int64(s.Rate)*int64(time.Since(began))/int64(time.Second)))
		for i, h := range talkers {
			h.print(texts[i][sent:due])
		}
		sent = due
	}
	for _, h := range talkers {
		for deadline := time.Now().Add(10 * time.Second); h.waiting() > 0; <-tick.C {
			if time.Now().After(deadline) {
				return fmt.Errorf("machine %d has %d bytes that nobody takes", h.number, h.waiting())
			}
		}
	}
	return nil
}

// talking are the numbers of the machines that print.
func talking(machines, talkers int) []int {
	numbers := make([]int, talkers)
	for i := range numbers {
		numbers[i] = i * machines / talkers
	}
	return numbers
}

// printout is n bytes that only machine number prints: no two of its lines are
// the same, nor are any of two machines.
func printout(number, n int) string {
	var text strings.Builder
	for line := 0; text.Len() < n; line++ {
		fmt.Fprintf(&text, "[%9d.%03d] node-%04d kernel: line %d of what this machine has to say\r\n", line/100, line%1000, number, line)
	}
	return text.String()[:n]
}

// host is the machine behind a simulated BMC: it is on, prints what it is told
// to, and swallows what is typed.
type host struct {
	number int

	mu     sync.Mutex
	out    []byte
	notify func()
}

func (h *host) print(text string) {
	if text == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out = append(h.out, text...)
	h.notify()
}

func (h *host) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.out)
}

func (h *host) ReadSerial(p []byte) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := copy(p, h.out)
	if h.out = h.out[n:]; len(h.out) == 0 {
		h.out = nil
	}
	return n
}

func (h *host) NotifySerial(notify func()) { h.notify = notify }

func (*host) PoweredOn() bool                            { return true }
func (*host) SetPower(bool)                              {}
func (*host) Reset()                                     {}
func (*host) SetBootDevice(_ ipmi.BootDevice, _, _ bool) {}
func (*host) WriteSerial(p []byte) int                   { return len(p) }

// privileged says why BMCs cannot have their own port, 623, which peers insist
// on; nil where they can.
func privileged() error {
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", net.JoinHostPort(bmcAddress(0), "623"))
	if errors.Is(err, os.ErrPermission) {
		return leftOut{errors.New("the simulated BMCs need UDP port 623, for some peers know no other: run it as root")}
	}
	if err != nil {
		return err
	}
	return conn.Close()
}
