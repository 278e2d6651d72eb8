package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/store"
)

// keepPlaces gives who waited when the server ended the time to come back. It is
// called before anything is tended.
func (l *Lab) keepPlaces(ctx context.Context) {
	err := l.store.Write(ctx, func(tx *store.Tx) error { return tx.AllPlacesSeen(ctx, l.now()) })
	if err != nil && ctx.Err() == nil {
		l.log.Error("who waits for machines cannot be given time to come back", "error", err)
	}
}

// keepReservations does what time does to reservations, until ctx ends.
func (l *Lab) keepReservations(ctx context.Context) error {
	l.tendWhatIsDue(ctx, l.wakeReservations, l.tendReservations, "reservations have not been looked after")
	return nil
}

// tend has keepReservations look at once.
func (l *Lab) tend() { wake(l.wakeReservations) }

// tendReservations does what is due, and returns when something is next, as far
// as it is known; the zero time where it is not. What fails holds up nothing else.
func (l *Lab) tendReservations(ctx context.Context) (next time.Time, err error) {
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	at, err := l.tendTerms(ctx)
	sooner(at)
	at, queueErr := l.tendQueue(ctx)
	sooner(at)
	return next, errors.Join(err, queueErr, l.tendIdle(ctx))
}

// tendTerms warns of the ends of terms, and ends them.
func (l *Lab) tendTerms(ctx context.Context) (next time.Time, err error) {
	var site Site
	var soon []store.Reservation
	err = l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if site, err = readSite(ctx, tx); err != nil {
			return err
		}
		// Who is further from the end than that is not warned yet.
		soon, err = tx.ReservationsEndingBy(ctx, l.now().Add(warnings[0]+tendEvery))
		return err
	})
	if err != nil {
		return next, err
	}
	for _, r := range soon {
		what, at := site.due(r, l.now())
		if what != stepNothing {
			at, err = l.tendTerm(ctx, r.ID, err)
		}
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, err
}

// tendTerm does what is due about one reservation, and returns when something
// is due next.
func (l *Lab) tendTerm(ctx context.Context, id int64, before error) (next time.Time, err error) {
	err = l.write(ctx, func(tx *store.Tx) error {
		r, err := tx.Reservation(ctx, id)
		if err != nil || !r.EndedAt.IsZero() {
			return err
		}
		site, err := readSite(ctx, tx)
		if err != nil {
			return err
		}
		what, at := site.due(r, l.now()) // it may have been extended meanwhile
		e := store.Event{At: l.now(), Machine: r.Machine, User: r.User}
		switch what {
		case stepNothing:
			next = at
			return nil
		case stepEnd:
			m, err := tx.MachineByID(ctx, r.MachineID)
			if err != nil {
				return err
			}
			why := store.EndedTerm
			if r.Lender != nil {
				why = store.EndedReturned
			}
			return l.leave(ctx, tx, clockActor, m, why, store.Holder{ReservationID: r.ID, UserID: r.UserID, User: r.User})
		case stepWarn:
			r.WarnedAt = e.At
			e.Kind, e.Detail = EventTermEnding, "ends in "+TermText(r.ExpiresAt.Sub(e.At))+", at "+momentText(r.ExpiresAt)
		case stepOver:
			r.OverAt = e.At
			e.Kind, e.Detail = EventTermOver, "is released at "+momentText(e.At.Add(site.Grace))+", unless it is extended"
		}
		if err := tx.UpdateReservation(ctx, r); err != nil {
			return err
		}
		_, next = site.due(r, l.now())
		return tx.AddEvent(ctx, e)
	})
	return next, errors.Join(before, wrap(err, "look after reservation %d", id))
}

// tellHolder says at the console of a machine, to its holder, what an event
// says of their reservation.
func (l *Lab) tellHolder(e store.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.machines {
		if a.machine != e.Machine {
			continue
		}
		for _, s := range a.seats {
			if s.actor.User.Name == e.User {
				s.Tell("your reservation of " + e.Machine + " " + e.Detail)
			}
		}
	}
}
