package ipmi_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// opened counts the sessions that clients ask for.
func (w *wire) opened() (count func() int) {
	n := 0
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toBMC = instead(openSessionRequest, func(pkt []byte) [][]byte {
		n++
		return one(pkt)
	})
	return func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		was := n
		n = 0
		return was
	}
}

// retryAfter returns what an error says of the next attempt, zero where it
// says nothing.
func retryAfter(err error) time.Duration {
	var paused *ipmi.PausedError
	if errors.As(err, &paused) {
		return paused.RetryAfter()
	}
	return 0
}

func TestDeadBMCIsLeftAloneWhoeverAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire() // nobody serves
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
		for range 2 {
			if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) || retryAfter(err) != 0 {
				t.Errorf("one of the first failures: %v", err)
			}
		}
		_, err := c.Power(t.Context())
		if left := retryAfter(err); !errors.Is(err, ipmi.ErrNoAnswer) || left < 800*time.Millisecond || left > 1200*time.Millisecond {
			t.Errorf("third failure: %v, next attempt in %v; want about a second", err, left)
		}
		if want := "BMC bmc:623: chassis status: no answer in 5s; next try in 1s"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		began := time.Now()
		_, err = c.OpenSOL(t.Context())
		if time.Since(began) != 0 || !errors.Is(err, ipmi.ErrNoAnswer) || retryAfter(err) == 0 {
			t.Errorf("a call during the pause: %v after %v", err, time.Since(began))
		}

		// Ten people and programs, each of which asks every second for ten minutes.
		opened := w.opened()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 600 {
					if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) {
						t.Errorf("error %v", err)
					}
					pass(time.Second)
				}
			})
		}
		all.Wait()
		// At least 25 s of each pause and 5 s of silence; four packets for each attempt at most.
		if n := opened(); n < 20 || n > 4*(5+600/30) {
			t.Errorf("the dead BMC was sent %d packets in ten minutes", n)
		}
	})
}

func TestBMCThatWasAwayIsBackAfterItsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		w.setCut(true)
		for ago := time.Duration(0); ago < time.Hour; ago += 10 * time.Second {
			_, _ = c.Power(t.Context())
			pass(10 * time.Second)
		}
		w.setCut(false)
		opened := w.opened()
		_, err := c.Power(t.Context())
		if left := retryAfter(err); left > 35*time.Second {
			t.Fatalf("after an hour the pause is %v, want 35s at most", left)
		}
		pass(retryAfter(err))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := c.Power(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := opened(); n != 1 {
			t.Errorf("50 callers opened %d sessions, want one", n)
		}

		// It is as good as new: one more failure is no reason for a pause.
		w.setCut(true)
		if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) || retryAfter(err) != 0 {
			t.Errorf("the first failure after that: %v", err)
		}
	})
}

func TestWrongPasswordIsRarelyTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		start(t, sim.New(user, password, &machine{}), w.bmc)
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial, Username: user, Password: "incorrect donkey"})
		opened := w.opened()
		_, err := c.Power(t.Context())
		if left := retryAfter(err); !errors.Is(err, ipmi.ErrBadCredentials) || left < 50*time.Second || left > 70*time.Second {
			t.Errorf("first time: %v, next attempt in %v; want about a minute", err, left)
		}
		for range 6 * 60 {
			pass(10 * time.Second)
			if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrBadCredentials) {
				t.Fatalf("error %v", err)
			}
		}
		if n := opened(); n > 12 {
			t.Errorf("a wrong password was tried %d times in an hour", n)
		}
	})
}

func TestPersonMayInsist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		w.setCut(true)
		for retry := time.Duration(0); retry < 10*time.Second; {
			_, err := c.Power(t.Context())
			retry = retryAfter(err)
			pass(retry)
		}
		w.setCut(false)
		_, _ = c.Power(t.Context())
		c.Retry()
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("after Retry: %v", err)
		}

		w.setCut(true)
		for err := error(nil); retryAfter(err) == 0; _, err = c.Power(t.Context()) {
		}
		c.Retry()
		if _, err := c.Power(t.Context()); retryAfter(err) < time.Second {
			t.Errorf("Retry has ended the counting: %v", err)
		}
	})
}

// The first IPMI message of a session, in which it is set up, is answered, and
// nothing after that.
func TestBMCThatOnlyOpensSessionsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		sessions, packets := 0, 0
		w.toBMC = func(pkt []byte) [][]byte {
			switch payloadType(pkt) {
			case openSessionRequest:
				sessions, packets = sessions+1, 0
			case 0:
				if packets++; packets > 1 {
					return nil
				}
			}
			return one(pkt)
		}
		for range 3600 {
			// It may also have no session left for us, after so many.
			if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) && !errors.Is(err, ipmi.ErrRefused) {
				t.Fatalf("error %v", err)
			}
			pass(time.Second)
		}
		if sessions > 3+3600/25 {
			t.Errorf("%d sessions in an hour", sessions)
		}
	})
}

func TestHasteOfACallerIsNoFailureOfTheBMC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		w.setDelay(time.Second)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			if _, err := c.Power(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			cancel()
		}
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("with time: %v", err)
		}
	})
}
