package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
)

// pass lets time go by, which in a bubble of testing/synctest is no waiting.
func pass(d time.Duration) { <-time.After(d) }

// within reports whether got is want, give or take its jitter.
func within(got, want time.Duration) bool {
	return got >= want-want/8 && got <= want+want/8
}

func TestPaceOfPolls(t *testing.T) {
	const every = 30 * time.Second
	silence := &ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer}
	type step struct {
		err          error
		soon, looked bool
		want         time.Duration
	}
	repeat := func(n int, s step) (all []step) {
		for range n {
			all = append(all, s)
		}
		return all
	}
	for name, steps := range map[string][]step{
		"watched": repeat(10, step{looked: true, want: every}),
		"quiet":   {{want: every}, {want: 45 * time.Second}, {want: time.Minute}, {want: 75 * time.Second}, {want: 90 * time.Second}, {want: 105 * time.Second}, {want: 2 * time.Minute}, {want: 2 * time.Minute}, {looked: true, want: every}},
		"changed": {
			{want: every}, {want: 45 * time.Second},
			{soon: true, want: time.Second}, {want: 2 * time.Second}, {want: 4 * time.Second},
			{soon: true, want: time.Second}, {want: 2 * time.Second}, {want: 4 * time.Second}, {want: 8 * time.Second}, {want: 16 * time.Second}, {want: every},
		},
		"failing": {
			{want: every}, {err: silence, want: every}, {err: silence, want: time.Minute}, {err: silence, soon: true, want: 2 * time.Minute},
			{err: silence, want: 4 * time.Minute}, {err: silence, want: 5 * time.Minute}, {err: silence, looked: true, want: 5 * time.Minute},
			{want: every}, {err: silence, want: every},
		},
		"failing and changed": {{err: silence, want: every}, {err: silence, want: time.Minute}, {soon: true, want: time.Second}, {want: 2 * time.Second}},
	} {
		p := pollPace{every: every}
		for i, s := range steps {
			if got := p.next(s.err, s.soon, s.looked); !within(got, s.want) {
				t.Errorf("%s, poll %d: next in %v, want about %v", name, i, got, s.want)
			}
		}
	}
}

func TestPausedBMCIsNotPolledBeforeItsPauseIsOver(t *testing.T) {
	p := pollPace{every: 30 * time.Second}
	paused := &ipmi.PausedError{Err: ipmi.ErrBadCredentials, Until: time.Now().Add(10 * time.Minute)}
	got := p.next(advise(&ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: paused}), false, true)
	if got < 10*time.Minute-time.Second || got > 10*time.Minute {
		t.Errorf("next in %v, want 10m", got)
	}
}

func TestIntervalsAreNotInStep(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for range 100 {
		p := pollPace{every: 30 * time.Second}
		seen[p.next(nil, false, true)] = true
	}
	if len(seen) < 90 {
		t.Errorf("100 machines have %d different intervals", len(seen))
	}
}

// scale is how many times smaller a rack is than the one that it stands for.
const scale = 10

// rack is a number of machines that are polled together.
type rack struct {
	mu    sync.Mutex
	asked map[int][]time.Duration // since the beginning, by machine
	known map[int]time.Duration   // when a machine's state was first known
}

// poll runs the pollers of many machines for a while. dead of them, of every
// ten, do not answer; the others do in 10 ms.
func (r *rack) poll(t *testing.T, many, dead int, every, term time.Duration) {
	t.Helper()
	r.asked, r.known = make(map[int][]time.Duration), make(map[int]time.Duration)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), term)
	defer cancel()
	places := make(chan struct{}, maxPolls/scale)
	var all sync.WaitGroup
	for i := range many {
		p := poller{
			places: places,
			ask: func(ctx context.Context) (ipmi.PowerState, error) {
				r.mu.Lock()
				r.asked[i] = append(r.asked[i], time.Since(began))
				r.mu.Unlock()
				takes, err := placeTerm/2, error(nil)
				if i%10 < dead {
					takes, err = 5*time.Second, fmt.Errorf("%w in 5s", ipmi.ErrNoAnswer)
				}
				select {
				case <-ctx.Done():
				case <-time.After(takes):
				}
				return ipmi.PowerOn, err
			},
			seen: func(_ context.Context, _ ipmi.PowerState, err error) bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				if _, known := r.known[i]; !known && err == nil {
					r.known[i] = time.Since(began)
				}
				return false
			},
			looked: func() bool { return true },
			pace:   pollPace{every: every},
		}
		all.Go(func() { p.run(ctx) })
	}
	all.Wait()
}

// figures returns when all that answer were known, and how long one of them was
// not asked.
func (r *rack) figures() (start, longest time.Duration) {
	for i, at := range r.known {
		start = max(start, at)
		asked := r.asked[i]
		for j := range asked[1:] {
			longest = max(longest, asked[j+1]-asked[j])
		}
	}
	return start, longest
}

func TestDeadBMCsDoNotKeepTheOthersWaiting(t *testing.T) {
	// A rack of a thousand, at a tenth of its size: the race detector fails now
	// and then when some hundred goroutines share the timers of one bubble.
	const many, every, term = 1000 / scale, 30 * time.Second, 5 * time.Minute
	var start, longest [2]time.Duration
	var polls [2]int
	for i, dead := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			var r rack
			r.poll(t, many, dead, every, term)
			start[i], longest[i] = r.figures()
			if want := many - dead*many/10; len(r.known) != want {
				t.Errorf("%d in ten dead: %d machines are known, want %d", dead, len(r.known), want)
			}
			for j, asked := range r.asked {
				if j%10 < dead {
					polls[i] += len(asked)
				}
			}
		})
	}
	if start[1] > start[0]+2*placeTerm {
		t.Errorf("with one in ten dead the others are known after %v, without after %v", start[1], start[0])
	}
	// The longest interval there is, and the wait for a place at its end.
	if most := every + every/8 + together + 100*time.Millisecond; longest[1] > most {
		t.Errorf("with one in ten dead a machine was not asked for %v, without for %v; want %v at most", longest[1], longest[0], most)
	}
	if perDead := polls[1] / (many / 10); perDead > 5 {
		t.Errorf("each dead BMC was asked %d times in %v", perDead, term)
	}
}

func TestOrderIsFollowedByPollsUntilTheMachineHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		now := make(chan struct{}, 1)
		var asked []time.Time
		p := poller{
			places: make(chan struct{}, 1),
			now:    now,
			ask: func(context.Context) (ipmi.PowerState, error) {
				asked = append(asked, time.Now())
				return ipmi.PowerOn, nil
			},
			seen:   func(context.Context, ipmi.PowerState, error) bool { return false },
			looked: func() bool { return false },
			pace:   pollPace{every: 30 * time.Second},
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.run(ctx)
		}()
		pass(10 * time.Minute)
		ordered := time.Now()
		now <- struct{}{}
		pass(8500 * time.Millisecond) // 0, 1, 1+2, 1+2+4 s, give or take an eighth
		cancel()
		<-done
		var after []time.Duration
		for _, at := range asked {
			if !at.Before(ordered) {
				after = append(after, at.Sub(ordered))
			}
		}
		if len(after) != 4 || after[0] != 0 || !within(after[1], time.Second) || !within(after[3], 7*time.Second) {
			t.Errorf("asked at %v after an order, want at about 0, 1, 3 and 7 s", after)
		}
	})
}

func TestMachinesThatNobodyLookedAtAreAskedWhenSomebodyDoes(t *testing.T) {
	silence := &ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		asked := make(map[string]time.Time)
		var mu sync.Mutex
		glances := make(map[string]chan struct{})
		for name, err := range map[string]error{"quiet": nil, "failing": silence} {
			glance := make(chan struct{}, 1)
			glances[name] = glance
			p := poller{
				places: make(chan struct{}, 1),
				glance: glance,
				ask: func(context.Context) (ipmi.PowerState, error) {
					mu.Lock()
					defer mu.Unlock()
					asked[name] = time.Now()
					return ipmi.PowerOn, err
				},
				seen:   func(context.Context, ipmi.PowerState, error) bool { return false },
				looked: func() bool { return false },
				pace:   pollPace{every: 30 * time.Second},
			}
			all.Go(func() { p.run(ctx) })
		}
		ago := func(name string) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Since(asked[name])
		}
		pass(20 * time.Minute)
		// Until both are in the midst of their pause.
		for ago("quiet") < time.Minute || ago("failing") < time.Minute || ago("failing") > 3*time.Minute {
			pass(time.Second)
		}
		before := ago("failing")
		for _, glance := range glances {
			glance <- struct{}{}
		}
		pass(3 * time.Second)
		if got := ago("quiet"); got > 3*time.Second {
			t.Errorf("the last poll is %v old when somebody looks", got)
		}
		if got := ago("failing"); got != before+3*time.Second {
			t.Errorf("a BMC that fails was asked because somebody looks, %v after %v", got, before)
		}
		cancel()
		all.Wait()
	})
}

func TestProblemDoesNotChangeWithThePause(t *testing.T) {
	silence := fmt.Errorf("%w in 5s", ipmi.ErrNoAnswer)
	told := func(err error) error {
		return advise(&ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: err})
	}
	before := lasting(told(silence))
	if during := lasting(told(&ipmi.PausedError{Err: silence})); during != before {
		t.Errorf("%q during a pause, %q before", during, before)
	}
	if other := errors.New("else"); lasting(other) != "else" {
		t.Errorf("%q", lasting(other))
	}
}
