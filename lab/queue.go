package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"provisioner/query"
	"provisioner/store"
)

const (
	// awayTerm is how long a place in the queue is kept at which nobody
	// waits: who has lost the connection, or restarts the server, has that
	// long to come back.
	awayTerm = 5 * time.Minute

	maxPlaces   = 100 // of one user
	maxPriority = 10
)

// check says what is wrong with a request, as far as that can be said without
// looking at machines.
func (r ReserveRequest) check() error {
	if err := checkReason(r.Reason); err != nil {
		return err
	}
	if r.Machine != "" && r.Query != "" {
		return fail(Invalid, "name a machine or give a query, not both")
	}
	if _, err := query.Parse(r.Query); err != nil {
		return fail(Invalid, "query: %w", err)
	}
	return nil
}

// Place is a place in the queue, as people see it.
type Place struct {
	store.Place
	Ahead   int  // so many come first, whatever they wait for
	Present bool // somebody waits at it
}

// Queue returns who waits for machines, whose turn is next first. Whoever may
// log in may see it.
func (l *Lab) Queue(ctx context.Context, _ Actor) ([]Place, error) {
	var rows []store.Place
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.Queue(ctx)
		return err
	})
	places := make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{Place: row, Ahead: i, Present: l.waiters.present(row.ID)}
	}
	return places, wrap(err, "list the queue")
}

// Enqueue takes a place in the queue for what is asked for, behind those of its
// priority, and returns its number for [Lab.Await]. Nobody need wait at it for
// the first five minutes; with Keep, ever. What is free now is got at once.
func (l *Lab) Enqueue(ctx context.Context, actor Actor, r ReserveRequest) (id int64, err error) {
	err = r.check()
	if err == nil {
		err = l.write(ctx, func(tx *store.Tx) error {
			id, err = l.enqueue(ctx, tx, actor, r)
			return err
		})
	}
	if err != nil {
		return 0, wrap(err, "wait for %s", r.what())
	}
	l.tend()
	return id, nil
}

func (l *Lab) enqueue(ctx context.Context, tx *store.Tx, actor Actor, r ReserveRequest) (int64, error) {
	switch {
	case actor.User.ID == 0:
		return 0, fail(Denied, "a command on the server has no account that could hold a machine")
	case r.Priority < -maxPriority || r.Priority > maxPriority:
		return 0, fail(Invalid, "a priority is a number from %d to %d", -maxPriority, maxPriority)
	case r.Priority > 0 && !actor.IsAdmin():
		return 0, fail(Denied, "a priority above 0 is for admins: below it, others come first")
	}
	site, err := readSite(ctx, tx)
	if err != nil {
		return 0, err
	}
	if _, err := site.expiry(actor, r.For, l.now()); err != nil {
		return 0, err
	}
	places, err := tx.PlacesOf(ctx, actor.User.ID)
	if err != nil {
		return 0, err
	}
	if len(places) >= maxPlaces {
		return 0, fail(Conflict, "you wait at %d places already", len(places))
	}
	now := l.now()
	p := store.Place{
		UserID: actor.User.ID, Query: actor.wanted(r), Reason: r.Reason, Term: r.For, Priority: r.Priority,
		Admin: actor.IsAdmin(), Keep: r.Keep, CreatedAt: now, SeenAt: now,
	}
	if r.Machine != "" {
		m, err := tx.Machine(ctx, r.Machine)
		if err != nil {
			return 0, notFound(err, "machine", r.Machine)
		}
		if m.HeldBy(actor.User.ID) {
			return 0, fail(Conflict, "you hold it already")
		}
		if err := actor.mayTouch(m); err != nil {
			return 0, err
		}
		if err := mayUsePools(ctx, tx, actor, m); err != nil {
			return 0, err
		}
		p.MachineID = m.ID
	}
	id, err := tx.AddPlace(ctx, p)
	if err != nil {
		return 0, err
	}
	return id, l.record(ctx, tx, actor, store.Event{Kind: EventQueued, Machine: r.Machine, Detail: fmt.Sprintf("place %d, for %s", id, r.what())})
}

// Leave gives up a place in the queue: one's own, or, for an admin, any. What
// it has led to already is given back.
func (l *Lab) Leave(ctx context.Context, actor Actor, id int64) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		p, err := tx.Place(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return fail(NotFound, "there is no place %d", id)
		}
		if err != nil {
			return err
		}
		if p.UserID != actor.User.ID && !actor.IsAdmin() {
			return fail(Denied, "it is %s who waits there", p.User)
		}
		return l.dropPlace(ctx, tx, actor, p, "given up")
	})
	if err == nil {
		l.waiters.wake(id)
	}
	return wrap(err, "leave the queue")
}

// dropPlace ends a place of which nobody has taken what it has led to.
func (l *Lab) dropPlace(ctx context.Context, tx *store.Tx, actor Actor, p store.Place, why string) error {
	if err := tx.DropPlace(ctx, p.ID); err != nil {
		return err
	}
	err := l.record(ctx, tx, actor, store.Event{
		Kind: EventQueueLeft, Machine: p.Machine, Detail: fmt.Sprintf("place %d of %s: %s", p.ID, p.User, why),
	})
	if err != nil || p.ReservationID == 0 {
		return err
	}
	r, err := tx.Reservation(ctx, p.ReservationID)
	if err != nil || !r.EndedAt.IsZero() {
		return err
	}
	m, err := tx.MachineByID(ctx, r.MachineID)
	if err != nil {
		return err
	}
	return l.leave(ctx, tx, actor, m, store.EndedMissed, store.Holder{ReservationID: r.ID, UserID: r.UserID, User: r.User})
}

// grant gives a machine that nobody holds to whose turn it is. It reports
// whether there was anybody.
func (l *Lab) grant(ctx context.Context, tx *store.Tx, m store.Machine) (granted bool, err error) {
	places, err := tx.Queue(ctx)
	if err != nil {
		return false, err
	}
	for _, p := range places {
		actor, wanted, err := l.wants(ctx, tx, p, m)
		if err != nil {
			return false, err
		}
		if !wanted {
			continue
		}
		r, err := l.add(ctx, tx, actor, m, actor.User, ReserveRequest{Reason: p.Reason, For: p.Term})
		if err != nil {
			return false, err
		}
		if err := tx.GrantPlace(ctx, p.ID, r.ID); err != nil {
			return false, err
		}
		return true, l.record(ctx, tx, actor, store.Event{Kind: EventReserved, Machine: m.Name, Detail: p.Reason})
	}
	return false, nil
}

// wants reports whether a machine that nobody holds is what somebody waits for,
// and who they are.
func (l *Lab) wants(ctx context.Context, tx *store.Tx, p store.Place, m store.Machine) (actor Actor, wanted bool, err error) {
	if p.MachineID != 0 && p.MachineID != m.ID {
		return actor, false, nil
	}
	user, err := tx.UserByID(ctx, p.UserID)
	if err != nil {
		return actor, false, err
	}
	if !p.Admin {
		user.Role = store.RoleUser // as the token had it that was used
	}
	actor = Actor{User: user, Via: fmt.Sprintf("place %d in the queue", p.ID)}
	site, err := readSite(ctx, tx)
	if err != nil {
		return actor, false, err
	}
	// The site may have changed its mind about accounts, terms and pools since.
	_, err = site.expiry(actor, p.Term, l.now())
	if err == nil {
		err = stillIs(ctx, tx, actor)
	}
	if err == nil {
		err = mayHave(ctx, tx, actor, m)
	}
	if err != nil {
		return actor, false, unlessRefused(err)
	}
	matches, err := l.matches(ctx, tx, p.Query, m)
	return actor, matches, err
}

// tendQueue ends places at which nobody waits any more, and gives free machines
// to those who wait: what is released is granted with that, and what is found
// here has been added, or matches by now.
func (l *Lab) tendQueue(ctx context.Context) (next time.Time, err error) {
	var waiting, granted []store.Place
	err = l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if waiting, err = tx.Queue(ctx); err != nil {
			return err
		}
		granted, err = tx.GrantedPlaces(ctx)
		return err
	})
	if err != nil {
		return next, err
	}
	for _, p := range append(granted, waiting...) {
		if l.waiters.present(p.ID) || p.Keep && p.ReservationID == 0 {
			continue
		}
		lost := p.SeenAt.Add(awayTerm)
		if l.now().Before(lost) {
			if next.IsZero() || lost.Before(next) {
				next = lost
			}
			continue
		}
		err = errors.Join(err, wrap(l.losePlace(ctx, p.ID), "end place %d in the queue", p.ID))
	}
	for _, p := range waiting {
		err = errors.Join(err, wrap(l.serve(ctx, p), "serve place %d in the queue", p.ID))
	}
	return next, err
}

// losePlace ends a place at which nobody has waited for too long. What was got
// for who asked to keep it stays theirs.
func (l *Lab) losePlace(ctx context.Context, id int64) error {
	return l.write(ctx, func(tx *store.Tx) error {
		p, err := tx.Place(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case l.now().Before(p.SeenAt.Add(awayTerm)) || l.waiters.present(id):
			return nil // they have come back
		case p.Keep:
			return tx.DropPlace(ctx, id)
		}
		return l.dropPlace(ctx, tx, clockActor, p, "nobody waits there any more")
	})
}

// serve looks for a free machine for whoever waits at a place.
func (l *Lab) serve(ctx context.Context, p store.Place) error {
	free := false
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		return l.eachFree(ctx, tx, p, func(m store.Machine) (more bool, err error) {
			_, free, err = l.wants(ctx, tx, p, m)
			return !free, err
		})
	})
	if err != nil || !free {
		return err
	}
	return l.write(ctx, func(tx *store.Tx) error {
		return l.eachFree(ctx, tx, p, func(m store.Machine) (more bool, err error) {
			if _, wanted, err := l.wants(ctx, tx, p, m); err != nil || !wanted {
				return true, err
			}
			if _, err := l.grant(ctx, tx, m); err != nil { // to them, or to who comes first
				return false, err
			}
			now, err := tx.Place(ctx, p.ID)
			if errors.Is(err, store.ErrNotFound) {
				return false, nil
			}
			return now.ReservationID == 0, err
		})
	})
}
