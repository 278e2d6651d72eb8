package ipmi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

func openSOL(t testing.TB, c *ipmi.Client) *ipmi.SOL {
	t.Helper()
	sol, err := c.OpenSOL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sol.Close() })
	return sol
}

// text returns n printable characters, with line ends.
func text(n int) []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(' ' + rng.IntN(95))
		if i%80 == 79 {
			p[i] = '\n'
		}
	}
	return p
}

func TestConsoleCarriesBothWaysOnUDP(t *testing.T) {
	hw := &machine{}
	c := connect(t, ipmi.Config{Addr: onLoopback(t, sim.New(user, password, hw))})
	sol := openSOL(t, c)

	hw.print([]byte("login: "))
	got := make([]byte, 7)
	if _, err := io.ReadFull(sol, got); err != nil || string(got) != "login: " {
		t.Fatalf("read %q, %v", got, err)
	}
	paste := text(10 << 10)
	if n, err := sol.Write(paste); n != len(paste) || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if hw.wasTyped() != string(paste) {
		t.Error("the machine was typed something else than the paste")
	}
	if s, err := c.Power(t.Context()); err != nil || s != ipmi.PowerOff {
		t.Errorf("power beside the console: %v, %v", s, err)
	}
}

func TestConsoleLosesNoByteOnABadNetwork(t *testing.T) {
	for _, opts := range [][]sim.Option{nil, {sim.WithoutSuite17()}} {
		synctest.Test(t, func(t *testing.T) {
			hw := &machine{}
			w, c := onWire(t, hw, opts...)
			sol := openSOL(t, c)
			w.mu.Lock()
			w.loss, w.double, w.late = 0.05, 0.05, 0.05
			w.mu.Unlock()

			printed := text(256 << 10)
			typed := text(10 << 10)
			hw.print(printed)
			var both sync.WaitGroup
			both.Go(func() {
				got := make([]byte, len(printed))
				if n, err := io.ReadFull(sol, got); err != nil {
					t.Errorf("read %d bytes: %v", n, err)
				}
				compare(t, "printed", got, printed)
			})
			both.Go(func() {
				if n, err := sol.Write(typed); n != len(typed) || err != nil {
					t.Errorf("wrote %d, %v", n, err)
				}
			})
			both.Wait()
			compare(t, "typed", []byte(hw.wasTyped()), typed)
		})
	}
}

func compare(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("%s: %d bytes, want %d; they differ from byte %d on", what, len(got), len(want), i)
}

func TestIdleConsoleSendsOnlyKeepalives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		sol := openSOL(t, c)
		before := len(w.sentTimes())
		pass(10 * time.Minute)
		if n := len(w.sentTimes()) - before; n < 25 || n > 37 {
			t.Errorf("%d packets in 10 minutes, want 25 to 37", n)
		}
		if _, err := sol.Write([]byte("still there")); err != nil {
			t.Error(err)
		}
	})
}

func TestConsoleEndsWhenTheBMCDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		sol := openSOL(t, c)
		w.setCut(true)
		began := time.Now()
		_, err := sol.Read(make([]byte, 1))
		if !errors.Is(err, ipmi.ErrNoAnswer) || err.Error() != "BMC bmc:623: console: no answer in 5s" {
			t.Errorf("read: %v", err)
		}
		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("took %v", took)
		}
		if _, err := sol.Write([]byte("x")); !errors.Is(err, ipmi.ErrNoAnswer) {
			t.Errorf("write: %v", err)
		}
		w.setCut(false)
		// The simulated BMC has the console still in use by the lost session.
		again := openSOL(t, c)
		if _, err := again.Write([]byte("x")); err != nil {
			t.Errorf("a new console: %v", err)
		}
	})
}

func TestTypingIntoADeadBMCFailsAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		sol := openSOL(t, c)
		w.setCut(true)
		began := time.Now()
		n, err := sol.Write([]byte("hello"))
		if n != 0 || !errors.Is(err, ipmi.ErrNoAnswer) || time.Since(began) != 5*time.Second {
			t.Errorf("wrote %d, %v after %v", n, err, time.Since(began))
		}
		w.setCut(false)
	})
}

func TestConsoleIsTakenOver(t *testing.T) {
	hw := &machine{}
	addr := onLoopback(t, sim.New(user, password, hw))
	first := openSOL(t, connect(t, ipmi.Config{Addr: addr}))
	second := openSOL(t, connect(t, ipmi.Config{Addr: addr}))

	var active *ipmi.SOLActiveError
	_, err := first.Read(make([]byte, 1))
	if !errors.As(err, &active) || !active.Lost || active.Holder.User != user || !active.Holder.Addr.Addr().IsLoopback() {
		t.Errorf("the first console ends with %v", err)
	}
	if err == nil || !strings.Contains(err.Error(), "console: console taken over by "+user+" from 127.0.0.1:") {
		t.Errorf("the first console ends with %v", err)
	}
	if _, err := first.Write([]byte("x")); !errors.Is(err, ipmi.ErrSOLActive) {
		t.Errorf("typing into the first console: %v", err)
	}
	if _, err := second.Write([]byte("mine")); err != nil || hw.wasTyped() != "mine" {
		t.Errorf("typed %q, %v", hw.wasTyped(), err)
	}
}

func TestConsoleThatIsOpenElsewhereIsLeftThereIfAsked(t *testing.T) {
	hw := &machine{}
	addr := onLoopback(t, sim.New(user, password, hw))
	first := openSOL(t, connect(t, ipmi.Config{Addr: addr}))
	second := connect(t, ipmi.Config{Addr: addr})
	_, err := second.OpenFreeSOL(t.Context())
	if !errors.Is(err, ipmi.ErrSOLActive) || !strings.Contains(err.Error(), "open console: console in use by "+user+" from 127.0.0.1:") {
		t.Errorf("a console in use: %v", err)
	}
	if _, err := first.Write([]byte("still mine")); err != nil || hw.wasTyped() != "still mine" {
		t.Errorf("typed %q, %v", hw.wasTyped(), err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	sol, err := second.OpenFreeSOL(t.Context())
	if err != nil {
		t.Fatalf("a free console: %v", err)
	}
	if err := sol.Close(); err != nil {
		t.Error(err)
	}
}

func TestOneClientHasOneConsole(t *testing.T) {
	c := connect(t, ipmi.Config{Addr: onLoopback(t, sim.New(user, password, &machine{}))})
	sol := openSOL(t, c)
	if _, err := c.OpenSOL(t.Context()); !errors.Is(err, ipmi.ErrSOLActive) {
		t.Errorf("a second console: %v", err)
	}
	for range 2 {
		if err := sol.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for op, err := range map[string]error{
		"read":  second(sol.Read(make([]byte, 1))),
		"write": second(sol.Write([]byte("x"))),
		"break": sol.SendBreak(t.Context()),
	} {
		if !errors.Is(err, ipmi.ErrClosed) {
			t.Errorf("%s after close: %v", op, err)
		}
	}
	openSOL(t, c)
}

func second(_ int, err error) error { return err }

// A reader that does not read makes the BMC wait; nothing is lost by it.
func TestUnreadConsoleHoldsTheBMCBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		w, c := onWire(t, hw)
		sol := openSOL(t, c)
		printed := text(64 << 10)
		hw.print(printed)
		pass(5 * time.Minute)
		before := len(w.sentTimes())
		pass(time.Minute)
		if n := len(w.sentTimes()) - before; n > 4 {
			t.Errorf("%d packets in a minute of not reading, want keepalives only", n)
		}
		w.mu.Lock()
		w.loss = 0.05
		w.mu.Unlock()
		got := make([]byte, len(printed))
		if n, err := io.ReadFull(sol, got); err != nil {
			t.Errorf("read %d bytes: %v", n, err)
		}
		compare(t, "printed", got, printed)
	})
}

func TestSlowSerialPortTakesItBitByBit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{most: 7}
		_, c := onWire(t, hw)
		sol := openSOL(t, c)
		typed := text(1000)
		if n, err := sol.Write(typed); n != len(typed) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		compare(t, "typed", []byte(hw.wasTyped()), typed)
	})
}

func TestBreakIsAcknowledged(t *testing.T) {
	hw := &machine{}
	sol := openSOL(t, connect(t, ipmi.Config{Addr: onLoopback(t, sim.New(user, password, hw))}))
	if _, err := sol.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := sol.SendBreak(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := sol.Write([]byte(" after")); err != nil || hw.wasTyped() != "before after" {
		t.Errorf("typed %q, %v", hw.wasTyped(), err)
	}
}

func TestBreakGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		sol := openSOL(t, c)
		w.setCut(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := sol.SendBreak(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		w.setCut(false)
		if _, err := sol.Write([]byte("on")); err != nil {
			t.Error(err)
		}
	})
}

func TestClosingTheClientEndsTheConsole(t *testing.T) {
	addr := onLoopback(t, sim.New(user, password, &machine{}))
	c := connect(t, ipmi.Config{Addr: addr})
	sol := openSOL(t, c)
	ended := make(chan error)
	go func() { ended <- second(sol.Read(make([]byte, 1))) }()
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ipmi.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}

func TestCommandsRunBesideAStreamingConsole(t *testing.T) {
	hw := &machine{}
	c := connect(t, ipmi.Config{Addr: onLoopback(t, sim.New(user, password, hw))})
	sol := openSOL(t, c)
	printed, typed := text(64<<10), text(4<<10)
	hw.print(printed)

	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				if _, err := c.Power(t.Context()); err != nil {
					t.Error(err)
				}
				if err := c.SetBootDevice(t.Context(), ipmi.BootPXE, ipmi.BootOptions{}); err != nil {
					t.Error(err)
				}
				_ = c.Stats()
			}
		})
	}
	all.Go(func() {
		if _, err := sol.Write(typed); err != nil {
			t.Error(err)
		}
	})
	got := make([]byte, len(printed))
	if n, err := io.ReadFull(sol, got); err != nil {
		t.Errorf("read %d bytes: %v", n, err)
	}
	compare(t, "printed", got, printed)
	all.Wait()
	compare(t, "typed", []byte(hw.wasTyped()), typed)
}
