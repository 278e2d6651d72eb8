package lab

import (
	"context"
	"sync"

	"provisioner/store"
)

// Bus carries events to whoever watches. The one of this package lives inside
// the process; another may carry them between processes.
type Bus interface {
	// Publish tells all subscribers, which share what they are told: nobody
	// changes it any more. It never blocks.
	Publish(events ...store.Event)
	// Subscribe begins a subscription. It must be closed.
	Subscribe() Subscription
	// Watched reports whether there is a subscriber.
	Watched() bool
}

// Subscription receives what is published after it began.
type Subscription interface {
	// Next blocks until something was published or ctx has ended, and returns
	// what was published together, in its order. lost says that there was more
	// than the subscription could hold: look at everything anew.
	Next(ctx context.Context) (events []store.Event, lost bool, err error)
	Close()
}

// subscriptionDepth is how many events a slow subscriber may lag behind.
const subscriptionDepth = 8192

// localBus is a Bus inside the process. A subscriber that is slow loses events
// and learns that it did; it never delays the publisher or another subscriber.
type localBus struct {
	mu          sync.Mutex
	subscribers map[*localSubscription]struct{}
}

func newLocalBus() *localBus {
	return &localBus{subscribers: make(map[*localSubscription]struct{})}
}

func (b *localBus) Publish(events ...store.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subscribers {
		s.add(events)
	}
}

func (b *localBus) Subscribe() Subscription {
	s := &localSubscription{bus: b, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribers[s] = struct{}{}
	return s
}

func (b *localBus) Watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subscribers) > 0
}

type localSubscription struct {
	bus  *localBus
	wake chan struct{} // holds one token while there is something to read

	mu      sync.Mutex
	pending [][]store.Event
	depth   int // events in pending
	lost    bool
}

func (s *localSubscription) add(events []store.Event) {
	s.mu.Lock()
	if s.depth += len(events); s.depth > subscriptionDepth {
		s.pending, s.depth, s.lost = nil, 0, true
	} else {
		s.pending = append(s.pending, events)
	}
	s.mu.Unlock()
	s.wakeUp()
}

func (s *localSubscription) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *localSubscription) Next(ctx context.Context) ([]store.Event, bool, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-s.wake:
		}
		if events, lost := s.take(); len(events) > 0 || lost {
			return events, lost, nil
		}
	}
}

func (s *localSubscription) take() (events []store.Event, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		s.lost = false
		lost = true
	} else if len(s.pending) > 0 {
		events, s.pending = s.pending[0], s.pending[1:]
		s.depth -= len(events)
	}
	if len(s.pending) > 0 {
		s.wakeUp()
	}
	return events, lost
}

func (s *localSubscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subscribers, s)
}
