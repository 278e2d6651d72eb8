package lab

import (
	"context"
	"sync"

	"provisioner/store"
)

// Bus carries events to whoever watches. The one of this package lives inside
// the process; another may carry them between processes.
type Bus interface {
	// Publish tells all subscribers. It never blocks.
	Publish(events ...store.Event)
	// Subscribe begins a subscription. It must be closed.
	Subscribe() Subscription
	// Watched reports whether there is a subscriber.
	Watched() bool
}

// Subscription receives what is published after it began.
type Subscription interface {
	// Next blocks until something was published or ctx has ended, and returns
	// all that came since the last call, the oldest first. lost says that there
	// was more than the subscription could hold: look at everything anew.
	Next(ctx context.Context) (events []store.Event, lost bool, err error)
	Close()
}

// subscriptionDepth is how many events a slow subscriber may lag behind.
const subscriptionDepth = 1024

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
	pending []store.Event
	lost    bool
}

func (s *localSubscription) add(events []store.Event) {
	s.mu.Lock()
	if room := subscriptionDepth - len(s.pending); len(events) > room {
		s.pending, s.lost = nil, true
	} else {
		s.pending = append(s.pending, events...)
	}
	s.mu.Unlock()
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
		s.mu.Lock()
		events, lost := s.pending, s.lost
		s.pending, s.lost = nil, false
		s.mu.Unlock()
		if len(events) > 0 || lost {
			return events, lost, nil
		}
	}
}

func (s *localSubscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subscribers, s)
}
