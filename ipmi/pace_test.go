package ipmi_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// pacedOnWire is onWire with a client that is configured.
func pacedOnWire(t *testing.T, hw *machine, cfg ipmi.Config) (*wire, *ipmi.Client) {
	t.Helper()
	w := newWire()
	start(t, sim.New(user, password, hw), w.bmc)
	cfg.Addr, cfg.Dial = bmcName.String(), w.Dial
	return w, connect(t, cfg)
}

func TestCommandsKeepTheirDistanceAndTypingDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gap = 100 * time.Millisecond
		hw := &machine{}
		w, c := pacedOnWire(t, hw, ipmi.Config{Gap: gap})
		sol := openSOL(t, c)
		pass(2 * time.Second) // the console has asked who has it

		var all sync.WaitGroup
		sent := w.sendsOf(func() {
			for range 10 {
				all.Go(func() {
					if _, err := c.Power(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
		if len(sent) != 10 || sent[0] != 0 {
			t.Fatalf("sent at %v, want ten commands", sent)
		}
		for i := range sent[1:] {
			if sent[i+1]-sent[i] < gap {
				t.Errorf("sent at %v, want %v between any two", sent, gap)
				break
			}
		}

		for range 10 {
			all.Go(func() { _, _ = c.Power(t.Context()) })
		}
		synctest.Wait()
		began := time.Now()
		if _, err := sol.Write([]byte("x")); err != nil || time.Since(began) > 2*time.Millisecond {
			t.Errorf("a key waited %v for commands, %v", time.Since(began), err)
		}
		all.Wait()
	})
}

func TestBMCIsGivenFewCommandsAtOnceAndTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := pacedOnWire(t, &machine{}, ipmi.Config{InFlight: 2, Gap: -1})
		openSOL(t, c)
		w.setDelay(200 * time.Millisecond) // within which nothing is repeated

		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 2+64)
		sent := w.sendsOf(func() {
			for range 2 + 64 {
				go func() {
					_, err := c.Power(ctx)
					failed <- err
				}()
			}
			synctest.Wait()
		})
		if len(sent) != 2 {
			t.Errorf("%d commands were sent at once, want 2", len(sent))
		}
		_, err := c.Power(t.Context())
		if !errors.Is(err, ipmi.ErrBusy) || !strings.Contains(err.Error(), "64 commands wait") {
			t.Errorf("one too many: %v", err)
		}
		cancel() // those who wait go at once, too
		began := time.Now()
		for range 2 + 64 {
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
		}
		if time.Since(began) != 0 {
			t.Errorf("giving up took %v", time.Since(began))
		}
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

func TestPaceMustBePossible(t *testing.T) {
	for _, n := range []int{-1, 33} {
		_, err := ipmi.NewClient(ipmi.Config{Addr: "bmc", InFlight: n}).Power(t.Context())
		if err == nil || !strings.Contains(err.Error(), "1 to 32 commands at once") {
			t.Errorf("%d in flight: %v", n, err)
		}
	}
}
