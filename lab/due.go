package lab

import (
	"context"
	"time"
)

// tendEvery is how often what is due is looked for where nothing is known to
// be: the clock may have been set, and machines may have become idle.
const tendEvery = time.Minute

// tendWhatIsDue calls tend when something is due, which tend knows of the next
// (the zero time: of none), and when it is woken, until ctx ends. What fails is
// logged as trouble and tried again.
func (l *Lab) tendWhatIsDue(ctx context.Context, woken <-chan struct{}, tend func(context.Context) (next time.Time, err error), trouble string) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-woken:
		}
		next, err := tend(ctx)
		wait := tendEvery
		switch {
		case err != nil && ctx.Err() == nil:
			l.log.Error(trouble+", which will be tried again", "error", err)
		case err == nil && !next.IsZero():
			wait = min(max(next.Sub(l.now()), time.Millisecond), tendEvery)
		}
		timer.Reset(wait)
	}
}

// wake leaves a token for who waits for one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is one already
	}
}
