package ipmi

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultInFlight = 4
	maxInFlight     = 32 // well below the numbers that commands have, see sequences

	// defaultGap costs nobody anything who asks one thing after the other:
	// hardly any BMC answers in less.
	defaultGap = 5 * time.Millisecond

	// queueMost is how many commands may wait for their turn.
	queueMost = 64
)

// pacer holds commands back, so that a weak BMC is not asked more at once, or
// faster, than it can take. Commands have their turn in the order in which
// they came. Console data, its acknowledgements and session setup pass by.
type pacer struct {
	places  chan struct{} // one for each command in flight
	starts  *rate.Limiter // nil: no gap between them
	waiting atomic.Int32
}

func newPacer(inFlight int, gap time.Duration) *pacer {
	p := &pacer{places: make(chan struct{}, inFlight)}
	if gap > 0 {
		p.starts = rate.NewLimiter(rate.Every(gap), 1)
	}
	return p
}

// enter waits for the turn of a command on s, until ctx or the session ends.
// One whose ctx is over already is the last word of somebody who leaves: it
// has no gap to keep. leave must follow, unless there is an error. A nil
// pacer lets everything through.
func (p *pacer) enter(ctx context.Context, s *session) error {
	if p == nil {
		return nil
	}
	select {
	case p.places <- struct{}{}:
	default:
		if err := p.queue(ctx, s); err != nil {
			return err
		}
	}
	if p.starts == nil || ctx.Err() != nil {
		return nil
	}
	start := p.starts.Reserve()
	if start.Delay() == 0 {
		return nil
	}
	timer := time.NewTimer(start.Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.done:
		start.Cancel()
		p.leave()
		return s.ended()
	case <-ctx.Done():
		start.Cancel()
		p.leave()
		return contextError(ctx)
	}
}

// queue waits for a place.
func (p *pacer) queue(ctx context.Context, s *session) error {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > queueMost {
		return fmt.Errorf("%w: %d commands wait for it already", ErrBusy, queueMost)
	}
	select {
	case p.places <- struct{}{}: // first come, first served: channels are fair
		return nil
	case <-s.done:
		return s.ended()
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (p *pacer) leave() {
	if p != nil {
		<-p.places
	}
}
