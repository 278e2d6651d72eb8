package lab

import (
	"context"

	"provisioner/store"
)

// maxBehind is how many events a stream may be behind and still be given all
// of them. Whoever is further behind is told how many are left out.
const maxBehind = 10000

// EventStream is what happens, as it happens, for one actor. It is for one
// goroutine, which closes it.
type EventStream struct {
	lab     *Lab
	actor   Actor
	session context.Context //nolint:containedctx // ends when the actor's way in does; given back by Close
	leave   context.CancelFunc
	changes Subscription
	sight   *sight
	last    int64 // the id of the event that was read last
	skipped int64
	behind  bool // there may be events in the store that were not read
}

// EventBatch is what has happened since the last one.
type EventBatch struct {
	// Events are in their order. Those with ID 0 are only told, and not kept:
	// whoever lags behind, or resumes, does not get them.
	Events []store.Event

	// Last is the id to resume from: no event up to it comes again. The actor
	// may not have been shown the event itself.
	Last int64

	// Skipped is how many events before these are left out, because the stream
	// was read too slowly or they are kept no more.
	Skipped int64
}

// Follow begins a stream of what happens after the event of an id, which a
// former stream may have given ([EventBatch.Last]); less than 0: from now on.
// What the actor may see of it is as for [Lab.Events], at each event's time.
// It ends when the actor's way in does, see [Lab.Session].
func (l *Lab) Follow(ctx context.Context, actor Actor, after int64) (*EventStream, error) {
	s := &EventStream{lab: l, actor: actor}
	s.session, s.leave = l.Session(context.WithoutCancel(ctx), actor)
	s.changes = l.Subscribe() // first, so that nothing is between it and the store
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		newest, err := tx.LastEventID(ctx)
		if err != nil {
			return err
		}
		oldest, err := tx.FirstEventID(ctx)
		if err != nil {
			return err
		}
		s.last = newest
		if after >= 0 && after < newest {
			s.last, s.behind = after, true
			if oldest > after+1 && after > 0 {
				s.skipped, s.last = oldest-1-after, oldest-1
			}
			s.skip(newest)
		}
		s.sight, err = newSight(ctx, tx, actor)
		return err
	})
	if err != nil {
		s.Close()
		return nil, wrap(err, "follow events")
	}
	return s, nil
}

// skip leaves out what the stream is too far behind.
func (s *EventStream) skip(newest int64) {
	if n := newest - s.last - maxBehind; n > 0 {
		s.skipped += n
		s.last += n
	}
}

// Last is the id to resume from, as [EventBatch.Last] of the last batch, or
// further where the actor was to see nothing of what came since.
func (s *EventStream) Last() int64 { return s.last }

// Close ends the stream.
func (s *EventStream) Close() {
	s.changes.Close()
	s.leave()
}

// Next blocks until something has happened, and returns it. It returns ctx's
// error when that ends, after which the stream goes on, and an [Error] when the
// actor may not come in any more.
func (s *EventStream) Next(ctx context.Context) (EventBatch, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.session, cancel)()
	for {
		batch, err := s.next(ctx)
		if ended := context.Cause(s.session); ended != nil {
			return EventBatch{}, wrap(ended, "follow events")
		}
		if err != nil {
			if ctx.Err() != nil {
				return EventBatch{}, ctx.Err()
			}
			return EventBatch{}, wrap(err, "follow events")
		}
		if len(batch.Events) > 0 || batch.Skipped > 0 {
			return batch, nil
		}
	}
}

// next is Next, and may return nothing.
func (s *EventStream) next(ctx context.Context) (EventBatch, error) {
	if s.behind {
		return s.catchUp(ctx)
	}
	events, lost, err := s.changes.Next(ctx)
	if err != nil {
		return EventBatch{}, err
	}
	if lost {
		// What is kept of it is in the store.
		s.behind = true
		return EventBatch{}, s.lab.store.Read(ctx, func(tx *store.Tx) error {
			newest, err := tx.LastEventID(ctx)
			s.skip(newest)
			return err
		})
	}
	if events, err = s.shown(ctx, s.fresh(events)); err != nil {
		return EventBatch{}, err
	}
	return s.batch(events), nil
}

// fresh leaves out what the stream has read already.
func (s *EventStream) fresh(events []store.Event) []store.Event {
	seen := false
	newest := s.last
	for _, e := range events {
		seen = seen || e.ID != 0 && e.ID <= s.last
		newest = max(newest, e.ID)
	}
	if seen {
		all := events
		events = nil
		for _, e := range all {
			if e.ID == 0 || e.ID > s.last {
				events = append(events, e)
			}
		}
	}
	s.last = newest
	return events
}

// catchUp reads from the store.
func (s *EventStream) catchUp(ctx context.Context) (EventBatch, error) {
	var events []store.Event
	err := s.lab.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.EventsAfter(ctx, s.last, feedBatch)
		if err != nil {
			return err
		}
		if events, err = s.sight.shown(ctx, tx, rows); err != nil {
			return err
		}
		s.behind = len(rows) == feedBatch
		if len(rows) > 0 {
			s.last = rows[len(rows)-1].ID
		}
		return nil
	})
	return s.batch(events), err
}

// shown is what the actor sees of events that came over the bus.
func (s *EventStream) shown(ctx context.Context, events []store.Event) (shown []store.Event, err error) {
	if s.sight.everything() || len(events) == 0 {
		return events, nil
	}
	err = s.lab.store.Read(ctx, func(tx *store.Tx) error {
		shown, err = s.sight.shown(ctx, tx, events)
		return err
	})
	return shown, err
}

func (s *EventStream) batch(events []store.Event) EventBatch {
	b := EventBatch{Events: events, Last: s.last, Skipped: s.skipped}
	s.skipped = 0
	return b
}
