package ipmi_test

import (
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
)

// sendsOf returns when f had the client send something, from its beginning.
func (w *wire) sendsOf(f func()) (at []time.Duration) {
	before, began := len(w.sentTimes()), time.Now()
	f()
	for _, s := range w.sentTimes()[before:] {
		at = append(at, s.Sub(began))
	}
	return at
}

func TestSlowBMCIsMeasuredAndAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		w, c := onWire(t, hw)
		w.setDelay(1500 * time.Millisecond)
		if _, err := c.Power(t.Context()); err != nil {
			t.Fatalf("first contact: %v", err)
		}
		for range 3 {
			sent := w.sendsOf(func() {
				if _, err := c.Power(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
			if len(sent) != 1 {
				t.Errorf("a BMC known to take 3s was asked at %v", sent)
			}
		}
		if got := c.Stats().RoundTrip; got != 3*time.Second {
			t.Errorf("round trip %v, want 3s", got)
		}

		// A session that is forgotten, and one that is new, need their time, too.
		pass(time.Minute)
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("in a new session: %v", err)
		}
		sol := openSOL(t, c)
		if _, err := sol.Write([]byte("hello")); err != nil || hw.wasTyped() != "hello" {
			t.Errorf("typed %q, %v", hw.wasTyped(), err)
		}
		if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
			t.Error(err)
		}
	})
}

func TestQuickBMCIsAskedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		sol := openSOL(t, c)
		ask := func() {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		typed := func() {
			if _, err := sol.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			ask()
			typed()
		}
		pass(2 * time.Second) // the console has asked who has it
		for _, tt := range []struct {
			what string
			do   func()
			want time.Duration
		}{{"question", ask, 250 * time.Millisecond}, {"input", typed, 100 * time.Millisecond}} {
			lost := 0
			w.mu.Lock()
			w.toBMC = func(pkt []byte) [][]byte {
				if lost++; lost == 1 {
					return nil
				}
				return one(pkt)
			}
			w.mu.Unlock()
			pass(time.Second) // the gap between commands, and what the console echoes
			if got := w.sendsOf(tt.do); !slices.Contains(got, tt.want) {
				t.Errorf("lost %s: sent at %v, want it again after %v", tt.what, got, tt.want)
			}
		}
		if s := c.Stats(); s.RoundTrip != 2*time.Millisecond || s.InputRoundTrip != 2*time.Millisecond {
			t.Errorf("round trips %v and %v, want 2ms", s.RoundTrip, s.InputRoundTrip)
		}
	})
}

// A doubled power cycle is one too many, so that nothing is hurried.
func TestPowerOrderIsNotRepeatedTooSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		for range 20 {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		order := func() {
			if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		w.setDelay(495 * time.Millisecond)
		if got := w.sendsOf(order); !reflect.DeepEqual(got, []time.Duration{0}) {
			t.Errorf("a BMC that takes 990ms was told at %v", got)
		}
		w.setDelay(600 * time.Millisecond)
		for range 5 { // questions, which are asked again meanwhile
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		if got := w.sendsOf(order); !reflect.DeepEqual(got, []time.Duration{0}) {
			t.Errorf("a BMC known to take 1.2s was told at %v", got)
		}
	})
}
