package ipmi_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// onTwoPorts is a BMC whose consoles are on UDP port 7000: to whoever asks on
// port 623 it names that. Both ends have the same machine. Dials are counted.
func onTwoPorts(t *testing.T, hw *machine, opts ...sim.Option) (main, aside *wire, c *ipmi.Client) {
	main, aside = newWire(), newWire()
	opts = append(opts, sim.WithSOLPort(7000))
	start(t, sim.New(user, password, hw, opts...), main.bmc)
	start(t, sim.New(user, password, hw, opts...), aside.bmc)
	return main, aside, connect(t, ipmi.Config{
		Addr: "bmc:623",
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			switch addr {
			case "bmc:623":
				return main.Dial(ctx, addr)
			case "bmc:7000":
				return aside.Dial(ctx, addr)
			}
			return nil, errors.New("unknown address " + addr)
		},
	})
}

func TestConsoleOnAPortOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		main, aside, c := onTwoPorts(t, hw)
		sol := openSOL(t, c)
		aside.mu.Lock()
		aside.loss, aside.double, aside.late = 0.05, 0.05, 0.05
		aside.mu.Unlock()
		typed := text(2000)
		hw.print([]byte("login: "))
		buf := make([]byte, 100)
		if n, err := sol.Read(buf); err != nil || string(buf[:n]) != "login: " {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if _, err := sol.Write(typed); err != nil || hw.wasTyped() != string(typed) {
			t.Errorf("typed something else: %v", err)
		}
		if _, err := c.OpenSOL(t.Context()); !errors.Is(err, ipmi.ErrSOLActive) {
			t.Errorf("a second console: %v", err)
		}
		pass(10 * time.Minute)
		before := len(main.sentTimes())
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("power beside the console: %v", err)
		}
		if n := len(main.sentTimes()) - before; n == 0 {
			t.Error("the command went another way than the session for commands")
		}
		if _, err := sol.Write([]byte("!")); err != nil {
			t.Errorf("after ten minutes: %v", err)
		}
		if err := sol.Close(); err != nil {
			t.Error(err)
		}
		before = len(aside.sentTimes())
		pass(10 * time.Minute)
		if n := len(aside.sentTimes()) - before; n != 0 {
			t.Errorf("%d packets on the console's port after its end", n)
		}
		openSOL(t, c) // and is closed with the client
	})
}

func TestConsoleOnAPortOfItsOwnEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, aside, c := onTwoPorts(t, &machine{})
		sol := openSOL(t, c)
		aside.setCut(true)
		if _, err := sol.Read(make([]byte, 1)); !errors.Is(err, ipmi.ErrNoAnswer) {
			t.Errorf("read: %v", err)
		}
		aside.setCut(false)
		sol = openSOL(t, c)
		if _, err := sol.Write([]byte("x")); err != nil {
			t.Errorf("a new console: %v", err)
		}
	})
}

// Boards are known that name a port at which nobody is.
func TestConsoleIsWhereTheSessionIsIfNobodyIsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		_, aside, c := onTwoPorts(t, hw)
		aside.setCut(true)
		began := time.Now()
		sol := openSOL(t, c)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		if _, err := sol.Write([]byte("x")); err != nil || hw.wasTyped() != "x" {
			t.Errorf("typed %q, %v", hw.wasTyped(), err)
		}
	})
}

func TestConsoleOnAPortOfItsOwnIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, aside, c := onTwoPorts(t, &machine{})
		aside.toClient = instead(rakp2, func(pkt []byte) [][]byte {
			pkt[17] = 0x01
			return one(pkt)
		})
		_, err := c.OpenSOL(t.Context())
		if !errors.Is(err, ipmi.ErrRefused) || !strings.Contains(err.Error(), "on UDP port 7000, which the BMC has for its console") {
			t.Errorf("error %v", err)
		}
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("power: %v", err)
		}
	})
}
