package lab

import (
	"context"
	"errors"
	"sync"
	"time"

	"provisioner/store"
)

// seenEvery is how often it is kept that somebody waits at a place.
const seenEvery = time.Minute

// waiters is who waits in this process, by the numbers of their places.
type waiters struct {
	mu   sync.Mutex
	byID map[int64]*waiter
}

type waiter struct {
	user string
	news chan struct{} // holds one token when something has become of the place
}

// sit takes a place for one who waits at it; nil where another does already.
func (w *waiters) sit(id int64, user string) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID[id] != nil {
		return nil
	}
	one := &waiter{user: user, news: make(chan struct{}, 1)}
	w.byID[id] = one
	return one
}

func (w *waiters) rise(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

func (w *waiters) present(id int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byID[id] != nil
}

// wake has who waits at a place look at it.
func (w *waiters) wake(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.byID[id]; one != nil {
		one.tell()
	}
}

// wakeUser is wake for all places of a user.
func (w *waiters) wakeUser(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.byID {
		if one.user == name {
			one.tell()
		}
	}
}

func (w *waiter) tell() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Wait is ReserveAny that waits in the queue where nothing is free. It blocks
// until the actor has a machine, whose name it returns, or ctx has ended. Their
// place is kept for five minutes then, or as long as it takes with Keep: who
// comes back with the same request, after a restart of the server, too, goes on
// at the same place. told, where it is not nil, is called with its number once
// there is one to wait at.
func (l *Lab) Wait(ctx context.Context, actor Actor, r ReserveRequest, told func(place int64)) (string, error) {
	if err := r.check(); err != nil {
		return "", wrap(err, "wait for %s", r.what())
	}
	var got store.Machine
	var id int64
	var seat *waiter
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		if id, seat, err = l.resume(ctx, tx, actor, r); err != nil || seat != nil {
			return err
		}
		got, err = l.reserve(ctx, tx, actor, r)
		if busy := r.Machine != "" && CodeOf(err) == Conflict; !busy && !errors.Is(err, errNothingFree) {
			return err
		}
		got = store.Machine{}
		if id, err = l.enqueue(ctx, tx, actor, r); err == nil {
			seat = l.waiters.sit(id, actor.User.Name)
		}
		return err
	})
	if err != nil {
		if seat != nil {
			l.waiters.rise(id)
		}
		return "", wrap(err, "wait for %s", r.what())
	}
	if got.ID != 0 {
		l.awaitPowerOff(ctx, got.ID)
		return got.Name, nil
	}
	defer l.waiters.rise(id)
	l.tend() // something may match by now
	if told != nil {
		told(id)
	}
	name, err := l.awaitAt(ctx, actor, id, seat)
	return name, wrap(err, "wait for %s", r.what())
}

// resume takes a place of the actor again that was for the same, and at which
// nobody waits now. The seat is nil where there is none.
func (l *Lab) resume(ctx context.Context, tx *store.Tx, actor Actor, r ReserveRequest) (int64, *waiter, error) {
	places, err := tx.PlacesOf(ctx, actor.User.ID)
	if err != nil {
		return 0, nil, err
	}
	machine := r.Machine
	if machine != "" {
		m, err := tx.Machine(ctx, machine)
		if err != nil {
			return 0, nil, notFound(err, "machine", machine)
		}
		machine = m.Name
	}
	for _, p := range places {
		same := p.Machine == machine && p.Query == actor.wanted(r) && p.Reason == r.Reason &&
			p.Admin == actor.IsAdmin() && p.Term == r.For && p.Priority == r.Priority && p.Keep == r.Keep
		if !same {
			continue
		}
		if seat := l.waiters.sit(p.ID, actor.User.Name); seat != nil {
			return p.ID, seat, nil
		}
	}
	return 0, nil, nil
}

// Await waits at a place that the actor has, as Wait does. Only one call at a
// time may wait at a place.
func (l *Lab) Await(ctx context.Context, actor Actor, id int64) (string, error) {
	seat := l.waiters.sit(id, actor.User.Name)
	if seat == nil {
		return "", fail(Conflict, "wait at place %d: somebody waits there already", id)
	}
	defer l.waiters.rise(id)
	name, err := l.awaitAt(ctx, actor, id, seat)
	return name, wrap(err, "wait at place %d", id)
}

func (l *Lab) awaitAt(ctx context.Context, actor Actor, id int64, seat *waiter) (string, error) {
	ticker := time.NewTicker(seenEvery)
	defer ticker.Stop()
	for {
		got, err := l.collect(ctx, actor, id)
		switch {
		case ctx.Err() != nil && err != nil:
			return "", fail(Unavailable, "%w; your place %d is kept for a while", ctx.Err(), id)
		case CodeOf(err) == Internal && err != nil: // the disk is full, for example, which passes
			l.log.Error("somebody waits for a machine, and it cannot be looked whether it is there", "place", id, "error", err)
		case err != nil:
			return "", err
		case got.ID != 0:
			l.awaitPowerOff(ctx, got.ID)
			return got.Name, nil
		}
		select {
		case <-ctx.Done():
			return "", fail(Unavailable, "%w; your place %d is kept for a while", ctx.Err(), id)
		case <-seat.news:
		case <-ticker.C:
		}
	}
}

// collect takes what a place has led to, and ends the place. The machine is
// the zero one where it has led to none yet.
func (l *Lab) collect(ctx context.Context, actor Actor, id int64) (got store.Machine, err error) {
	taken := false
	err = l.store.Write(ctx, func(tx *store.Tx) error {
		p, err := tx.Place(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return fail(NotFound, "the place is no more: it was given up, or nobody waited at it for %s", TermText(awayTerm))
		case err != nil:
			return err
		case p.UserID != actor.User.ID:
			return fail(Denied, "it is %s who waits there", p.User)
		case p.ReservationID == 0:
			return tx.PlaceSeen(ctx, id, l.now())
		}
		r, err := tx.Reservation(ctx, p.ReservationID)
		if err != nil {
			return err
		}
		if taken = !r.EndedAt.IsZero(); !taken {
			if got, err = tx.MachineByID(ctx, r.MachineID); err != nil {
				return err
			}
		}
		return tx.DropPlace(ctx, id)
	})
	if err != nil {
		return store.Machine{}, err
	}
	if taken {
		return got, fail(Conflict, "you had got a machine, and it was taken from you before you knew: ask an admin")
	}
	return got, nil
}
