package lab

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"provisioner/lab/console/transcript"
	"provisioner/store"
)

const (
	// pageDefault and pageMax bound what a list returns at once.
	pageDefault = 100
	pageMax     = 1000
)

// pageLimit is how many entries of a list somebody gets who asks for so many.
func pageLimit(asked int) int {
	if asked <= 0 {
		return pageDefault
	}
	return min(asked, pageMax)
}

// accountEvents are about who gets in, and how machines are reached: for
// admins, and for those who did it.
var accountEvents = []string{
	EventUserAdded, EventUserChanged, EventUserRemoved, EventKeyEnrolled, EventKeyRemoved,
	EventTokenCreated, EventTokenRevoked, EventLogin, EventBMCAdded, EventBMCChanged, EventBMCRemoved,
}

// EventFilter says which events are wanted. Empty fields want any.
type EventFilter struct {
	Machine string // name
	User    string // name
	Kinds   []string
	Since   time.Time
	Until   time.Time // exclusive

	Before int64 // only events with a lower id: the last one's, to go on
	Limit  int   // how many at most, 1 to 1000; 0: 100
}

// Wants reports whether an event is one of those that are wanted, wherever it
// is in a list. A machine is meant by the name that it had then.
func (f EventFilter) Wants(e store.Event) bool {
	return (f.Machine == "" || e.Machine == f.Machine) && (f.User == "" || e.User == f.User) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		!e.At.Before(f.Since) && (f.Until.IsZero() || e.At.Before(f.Until))
}

// Events returns what has happened, the newest first, as far as the actor may
// know: what is about accounts and BMCs only admins do, and what was found in
// the output of a console has its line only for those who may read that.
func (l *Lab) Events(ctx context.Context, actor Actor, f EventFilter) (events []store.Event, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		s, err := newSight(ctx, tx, actor)
		if err != nil {
			return err
		}
		wanted := store.EventFilter{
			User: f.User, Kinds: f.Kinds, Since: f.Since, Until: f.Until, Before: f.Before, Limit: pageLimit(f.Limit),
			Machines: s.names,
		}
		if !actor.IsAdmin() {
			wanted.Private, wanted.Self = accountEvents, actor.User.Name
		}
		if wanted.Machine, err = nameOnRecord(ctx, tx, f.Machine); err != nil {
			return err
		}
		if events, err = tx.Events(ctx, wanted); err != nil {
			return err
		}
		events, err = s.shown(ctx, tx, events)
		return err
	})
	return events, wrap(err, "list events")
}

// nameOnRecord is the name of a machine as its events have it. One that is gone
// has some, too.
func nameOnRecord(ctx context.Context, tx *store.Tx, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	m, err := tx.Machine(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return name, nil
	}
	return m.Name, err
}

// MachineEvents returns at most limit events of a machine, the newest first.
// Of what was found in the output of its console, the line itself is left out
// for those who may not read that.
func (l *Lab) MachineEvents(ctx context.Context, actor Actor, name string, limit int) ([]store.Event, error) {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	var events []store.Event
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		s, err := newSight(ctx, tx, actor)
		if err != nil {
			return err
		}
		if events, err = tx.MachineEvents(ctx, m.Name, limit); err != nil {
			return err
		}
		events, err = s.shown(ctx, tx, events)
		return err
	})
	return events, wrap(err, "events of %s", name)
}

// sight is what an actor may see of events. It remembers what it has looked
// up, until an event says that it may have changed.
type sight struct {
	actor   Actor
	names   *[]string                      // of the machines that the actor sees; nil: of all
	windows map[string][]transcript.Window // by machine: what may be read of its console's log
}

func newSight(ctx context.Context, tx *store.Tx, actor Actor) (*sight, error) {
	s := &sight{actor: actor, windows: make(map[string][]transcript.Window)}
	return s, s.look(ctx, tx)
}

// look finds out which machines the actor sees.
func (s *sight) look(ctx context.Context, tx *store.Tx) error {
	if s.actor.seesAll() {
		return nil
	}
	machines, err := tx.FindMachines(ctx, store.MachineFilter{Query: s.actor.token.filter})
	names := make([]string, len(machines))
	for i, m := range machines {
		names[i] = m.Name
	}
	slices.Sort(names)
	s.names = &names
	return err
}

// everything reports whether the actor sees all events as they are.
func (s *sight) everything() bool { return s.names == nil && s.actor.IsAdmin() }

// shown returns of events, in their order, those that the actor sees, as the
// actor sees them. It changes none of them in place.
func (s *sight) shown(ctx context.Context, tx *store.Tx, events []store.Event) ([]store.Event, error) {
	if s.everything() {
		return events, nil
	}
	shown := make([]store.Event, 0, len(events))
	for _, e := range events {
		switch e.Kind {
		case EventMachineAdded, EventMachineChanged, EventMachineRemoved:
			if s.names != nil {
				if err := s.look(ctx, tx); err != nil {
					return nil, err
				}
			}
			clear(s.windows)
		case EventConsolePattern, EventPower, EventPowerSeen, EventStage:
		default:
			delete(s.windows, e.Machine) // it may be in other hands
		}
		if s.names != nil {
			if _, found := slices.BinarySearch(*s.names, e.Machine); !found {
				continue
			}
		}
		if !s.actor.IsAdmin() && e.User != s.actor.User.Name && slices.Contains(accountEvents, e.Kind) {
			continue
		}
		if e.Kind == EventConsolePattern {
			readable, err := s.mayRead(ctx, tx, e)
			if err != nil {
				return nil, err
			}
			if !readable {
				e.Detail, _, _ = strings.Cut(e.Detail, patternSeparator)
			}
		}
		shown = append(shown, e)
	}
	return shown, nil
}

// mayRead reports whether the actor may read what a console printed at an event.
func (s *sight) mayRead(ctx context.Context, tx *store.Tx, e store.Event) (bool, error) {
	held, known := s.windows[e.Machine]
	if !known {
		m, err := tx.Machine(ctx, e.Machine)
		if errors.Is(err, store.ErrNotFound) {
			return s.actor.IsAdmin(), nil
		}
		if err != nil {
			return false, err
		}
		if held, err = windows(ctx, tx, s.actor, m); err != nil {
			return false, err
		}
		s.windows[e.Machine] = held
	}
	return slices.ContainsFunc(held, func(w transcript.Window) bool { return w.Contains(e.At) }), nil
}
