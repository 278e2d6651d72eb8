package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/store"
)

// Lend gives the actor's place at a machine to another user, for a time; 0
// until the actor's own term ends, or for the site's term where it has no end.
// The machine comes back to the actor then, or when it is given back or taken
// back. Meanwhile the actor does not hold it. It returns when it comes back;
// the zero time where that is open.
func (l *Lab) Lend(ctx context.Context, actor Actor, name, to string, lasts time.Duration, reason string) (until time.Time, err error) {
	if err := checkReason(reason); err != nil {
		return until, wrap(err, "lend %s to %s", name, to)
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		borrower, err := tx.User(ctx, to)
		if err != nil {
			return notFound(err, "user", to)
		}
		r, err := lendable(ctx, tx, actor, m, borrower)
		if err != nil {
			return err
		}
		site, err := readSite(ctx, tx)
		if err != nil {
			return err
		}
		if until, err = site.loanEnds(r, lasts, l.now()); err != nil {
			return err
		}
		l.changesHands(m)
		now := l.now()
		if err := tx.EndReservation(ctx, r.ID, now, actor.User.Name, store.EndedLent); err != nil {
			return err
		}
		if reason == "" {
			reason = r.Reason
		}
		_, err = tx.AddReservation(ctx, store.Reservation{
			MachineID: m.ID, UserID: borrower.ID, Reason: reason, StartedAt: now, CountedAt: r.CountedAt, ExpiresAt: until,
			Lender: &store.Lender{UserID: r.UserID, Reason: r.Reason, ExpiresAt: r.ExpiresAt},
		})
		if err != nil {
			return err
		}
		detail := "to " + borrower.Name
		if !until.IsZero() {
			detail += " until " + momentText(until)
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventLent, Machine: m.Name, Detail: detail})
	})
	return until, wrap(err, "lend %s to %s", name, to)
}

// lendable returns the reservation that an actor can lend to a user.
func lendable(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, borrower store.User) (r store.Reservation, err error) {
	if err := actor.MayOperate(m); err != nil {
		return r, err
	}
	for _, h := range m.Holders {
		if h.UserID == actor.User.ID {
			if r, err = tx.Reservation(ctx, h.ReservationID); err != nil {
				return r, err
			}
		}
	}
	switch {
	case r.ID == 0:
		return r, fail(Denied, "you do not hold it")
	case r.Lender != nil:
		return r, fail(Denied, "%s has lent it to you: ask them", r.Lender.User)
	case m.HeldBy(borrower.ID):
		return r, fail(Conflict, "%s holds it already", borrower.Name)
	}
	if err := mayUsePools(ctx, tx, Actor{User: borrower}, m); err != nil && !actor.IsAdmin() {
		return r, wrap(err, "%s", borrower.Name)
	}
	return r, nil
}

// loanEnds returns when a machine comes back that is lent now.
func (s Site) loanEnds(r store.Reservation, lasts time.Duration, now time.Time) (time.Time, error) {
	switch {
	case lasts == 0 && !r.ExpiresAt.IsZero():
		return r.ExpiresAt, nil
	case lasts == 0 && s.Term == 0:
		return time.Time{}, nil
	case lasts == 0:
		return now.Add(s.Term), nil
	case lasts < minTerm || lasts > maxTerm:
		return time.Time{}, fail(Invalid, "lend it for %s to %s", TermText(minTerm), TermText(maxTerm))
	}
	end := now.Add(lasts)
	if !r.ExpiresAt.IsZero() && end.After(r.ExpiresAt) {
		return time.Time{}, fail(Invalid, "it is yours until %s only: extend it first", momentText(r.ExpiresAt))
	}
	return end, nil
}

// Reclaim takes back what the actor has lent, before its time.
func (l *Lab) Reclaim(ctx context.Context, actor Actor, name string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		for _, h := range m.Holders {
			r, err := tx.Reservation(ctx, h.ReservationID)
			if err != nil {
				return err
			}
			if r.Lender != nil && r.Lender.UserID == actor.User.ID {
				return l.leave(ctx, tx, actor, m, store.EndedReturned, h)
			}
		}
		return fail(Conflict, "you have not lent it to anybody")
	})
	return wrap(err, "take back %s", name)
}

// giveBack makes who lent a machine its holder again, with the term and the
// reason of before, whose end may have come.
func (l *Lab) giveBack(ctx context.Context, tx *store.Tx, actor Actor, r store.Reservation) error {
	lender, err := tx.UserByID(ctx, r.Lender.UserID)
	if err != nil || lender.Disabled {
		return err // nobody is there to have it back
	}
	_, err = tx.AddReservation(ctx, store.Reservation{
		MachineID: r.MachineID, UserID: r.Lender.UserID, Reason: r.Lender.Reason,
		StartedAt: l.now(), CountedAt: r.CountedAt, ExpiresAt: r.Lender.ExpiresAt,
	})
	if errors.Is(err, store.ErrExists) {
		return nil // an admin has assigned it to them meanwhile
	}
	if err != nil {
		return err
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventReturned, Machine: r.Machine, Detail: "to " + r.Lender.User})
}
