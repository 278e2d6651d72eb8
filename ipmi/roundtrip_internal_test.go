package ipmi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// The figures follow from RFC 6298 §2.2 and §2.3.
func TestRoundTripIsSmoothed(t *testing.T) {
	var r roundTrip
	if got := r.timeout(retryFirst); got != retryFirst || r.estimate() != 0 {
		t.Errorf("before anything was measured: timeout %v, estimate %v", got, r.estimate())
	}
	for _, step := range []struct{ took, smoothed, timeout time.Duration }{
		{80 * time.Millisecond, 80 * time.Millisecond, 240 * time.Millisecond}, // 80 + 4*40
		{160 * time.Millisecond, 90 * time.Millisecond, 290 * time.Millisecond},
		{90 * time.Millisecond, 90 * time.Millisecond, 240 * time.Millisecond},
	} {
		r.measure(step.took)
		if r.estimate() != step.smoothed || r.timeout(retryFirst) != step.timeout {
			t.Errorf("after %v: estimate %v, timeout %v; want %v, %v", step.took, r.estimate(), r.timeout(retryFirst), step.smoothed, step.timeout)
		}
	}
	for range 100 {
		r.measure(time.Microsecond)
	}
	if got := r.timeout(retryFirst); got < clockGranularity || got > 2*clockGranularity {
		t.Errorf("timeout %v after many quick answers, want little more than the granularity of the clock", got)
	}
}

func TestAmbiguousAnswerMeasuresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r roundTrip
		r.measure(10 * time.Millisecond)

		// An answer after three seconds, to the first packet or to a later one.
		ex := r.exchange(retryQuestion)
		var waited []time.Duration
		for range 4 {
			waited = append(waited, ex.again())
		}
		pass(3 * time.Second)
		ex.answered()
		if want := 250 * time.Millisecond; waited[0] != want || waited[1] != 2*want || waited[2] != 4*want || waited[3] != 8*want {
			t.Errorf("waited %v", waited)
		}
		if got := r.estimate(); got != 10*time.Millisecond {
			t.Errorf("estimate %v of an answer that nobody can assign", got)
		}

		// The next packet waits for long enough to be measured.
		ex = r.exchange(retryQuestion)
		if got := ex.again(); got <= 3*time.Second || got > retryMost {
			t.Errorf("the next packet waits for %v, want more than 3s", got)
		}
		pass(20 * time.Millisecond)
		ex.answered()
		ex.answered() // a second copy of the answer
		ex = r.exchange(retryQuestion)
		if got := ex.again(); got != retryQuestion {
			t.Errorf("after a quick answer %v is waited for, want %v", got, retryQuestion)
		}
	})
}

func TestOrdersAreRepeatedLateAndQuestionsSoon(t *testing.T) {
	for _, tt := range []struct {
		cmd  types.Command
		want time.Duration
	}{
		{types.CommandGetChassisStatus, retryQuestion},
		{types.CommandGetSDR, retryQuestion},
		{types.CommandChassisControl, retryOrder},
		{types.CommandActivatePayload, retryOrder},
		{types.CommandReserveSDRRepo, retryOrder}, // it ends the last reservation
		{types.Command{NetFn: 0x2e, ID: 1}, retryOrder},
	} {
		if got := leastRetry(tt.cmd); got != tt.want {
			t.Errorf("%s is repeated after %v, want %v", tt.cmd.Name, got, tt.want)
		}
	}
}
