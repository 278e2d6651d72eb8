package lab

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"provisioner/store"
)

// maxReason is how long a reason may be, in bytes.
const maxReason = 140

func checkReason(reason string) error {
	if len(reason) > maxReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return fail(Invalid, "a reason is one line of at most %d bytes", maxReason)
	}
	return nil
}

// ReserveRequest says which machine somebody wants, and for how long.
type ReserveRequest struct {
	Machine string        // this one; empty: any that is free and matches
	Query   string        // what it must match, see package query; empty: anything
	Reason  string        // one line of at most 140 bytes
	For     time.Duration // the term; 0: what the site has, and none for admins

	// In the queue, for Enqueue and Wait.
	Priority int  // the highest first; above 0 is for admins
	Keep     bool // the place is kept while nobody waits at it
}

// what names what is asked for, in a sentence.
func (r ReserveRequest) what() string {
	switch {
	case r.Machine != "":
		return r.Machine
	case r.Query != "":
		return "a machine that matches " + r.Query
	}
	return "any machine"
}

// Reserve makes the actor the holder of a machine that nobody holds, for the
// site's term. Of two callers at the same time one gets it and the other learns
// who did.
func (l *Lab) Reserve(ctx context.Context, actor Actor, name, reason string) error {
	_, err := l.ReserveAny(ctx, actor, ReserveRequest{Machine: name, Reason: reason})
	return err
}

// ReserveAny makes the actor the holder of the machine that is asked for, or of
// the first by name that is free, matches, and is in a pool that they may use,
// or in none. It returns the machine's name; [Conflict] where there is none.
// Two callers never get the same machine, and whoever waits in the queue for it
// comes first.
func (l *Lab) ReserveAny(ctx context.Context, actor Actor, r ReserveRequest) (string, error) {
	var got store.Machine
	err := r.check()
	if err == nil {
		err = l.write(ctx, func(tx *store.Tx) (err error) {
			got, err = l.reserve(ctx, tx, actor, r)
			return err
		})
	}
	if err != nil {
		return "", wrap(err, "reserve %s", r.what())
	}
	l.awaitPowerOff(ctx, got.ID)
	return got.Name, nil
}

// reserve is ReserveAny in a transaction.
func (l *Lab) reserve(ctx context.Context, tx *store.Tx, actor Actor, r ReserveRequest) (store.Machine, error) {
	site, err := readSite(ctx, tx)
	if err != nil {
		return store.Machine{}, err
	}
	if _, err := site.expiry(actor, r.For, l.now()); err != nil {
		return store.Machine{}, err
	}
	if r.Machine == "" {
		return l.reserveFirst(ctx, tx, actor, r)
	}
	m, err := tx.Machine(ctx, r.Machine)
	if err != nil {
		return m, notFound(err, "machine", r.Machine)
	}
	if len(m.Holders) == 0 {
		if _, err := l.grant(ctx, tx, m); err != nil {
			return m, err
		}
		if m, err = tx.MachineByID(ctx, m.ID); err != nil {
			return m, err
		}
	}
	if err := mayHave(ctx, tx, actor, m); err != nil {
		return m, err
	}
	return m, l.hold(ctx, tx, actor, m, r)
}

// reserveFirst reserves the first machine that is free and matches.
func (l *Lab) reserveFirst(ctx context.Context, tx *store.Tx, actor Actor, r ReserveRequest) (got store.Machine, err error) {
	found := false
	err = l.eachFree(ctx, tx, store.Place{Query: actor.wanted(r)}, func(m store.Machine) (more bool, err error) {
		if err := mayHave(ctx, tx, actor, m); err != nil {
			return true, unlessRefused(err)
		}
		if granted, err := l.grant(ctx, tx, m); granted || err != nil {
			return true, err
		}
		got, found = m, true
		return false, l.hold(ctx, tx, actor, m, r)
	})
	if err == nil && !found {
		err = fail(Conflict, "%w", errNothingFree)
	}
	return got, err
}

// mayHave says why an actor cannot have a machine now; nil where they can.
func mayHave(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine) error {
	if err := actor.MayReserve(m); err != nil {
		return err
	}
	return mayUsePools(ctx, tx, actor, m)
}

// unlessRefused returns an error that is not one that says no to somebody.
func unlessRefused(err error) error {
	switch CodeOf(err) {
	case Denied, Conflict, Invalid:
		return nil
	case NotFound, Unavailable, Internal:
	}
	return err
}

// errNothingFree is wrapped where all machines that match are held, or none does.
var errNothingFree = errors.New("no machine that you may use is free now; --wait queues for one")

// hold makes the actor the holder of a machine that they may have.
func (l *Lab) hold(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, r ReserveRequest) error {
	_, err := l.add(ctx, tx, actor, m, actor.User, r)
	if err != nil {
		return err
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventReserved, Machine: m.Name, Detail: r.Reason})
}

// add keeps a reservation for a user that begins now, and returns it.
func (l *Lab) add(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, user store.User, r ReserveRequest) (store.Reservation, error) {
	site, err := readSite(ctx, tx)
	if err != nil {
		return store.Reservation{}, err
	}
	l.changesHands(m)
	now := l.now()
	v := store.Reservation{MachineID: m.ID, Machine: m.Name, UserID: user.ID, User: user.Name, Reason: r.Reason, StartedAt: now, CountedAt: now}
	if v.ExpiresAt, err = site.expiry(actor, r.For, now); err != nil {
		return v, err
	}
	if v.ID, err = tx.AddReservation(ctx, v); err != nil {
		return v, err
	}
	return v, tx.DropPowerOff(ctx, m.ID)
}

// Assign makes a user a holder of a machine, beside those who hold it, without
// a term. Only an admin may.
func (l *Lab) Assign(ctx context.Context, actor Actor, name, user, reason string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "assign %s to %s: only an admin may", name, user)
	}
	if err := checkReason(reason); err != nil {
		return wrap(err, "assign %s to %s", name, user)
	}
	var m store.Machine
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		if m, err = tx.Machine(ctx, name); err != nil {
			return notFound(err, "machine", name)
		}
		holder, err := tx.User(ctx, user)
		if err != nil {
			return notFound(err, "user", user)
		}
		if m.HeldBy(holder.ID) {
			return fail(Conflict, "%s holds it already", user)
		}
		if _, err := l.add(ctx, tx, actor, m, holder, ReserveRequest{Reason: reason}); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventReserved, Machine: m.Name, Detail: "for " + user + ": " + reason})
	})
	if err == nil {
		l.awaitPowerOff(ctx, m.ID)
	}
	return wrap(err, "assign %s to %s", name, user)
}

// Release gives back what the actor holds; what was lent goes back to who lent
// it. An admin who does not hold the machine takes it from all who do. A run
// that is going on is ended where nobody holds the machine any more.
func (l *Lab) Release(ctx context.Context, actor Actor, name string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayRelease(m); err != nil {
			return err
		}
		for _, h := range m.Holders {
			if h.UserID == actor.User.ID {
				return l.leave(ctx, tx, actor, m, store.EndedReleased, h)
			}
		}
		return l.leave(ctx, tx, actor, m, store.EndedReleased, m.Holders...)
	})
	return wrap(err, "release %s", name)
}

// leave ends reservations of a machine, and does what is due where nobody
// holds it then.
func (l *Lab) leave(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, why store.EndedWhy, holders ...store.Holder) error {
	l.changesHands(m)
	for _, h := range holders {
		if err := l.end(ctx, tx, actor, m, h, why); err != nil {
			return err
		}
	}
	m, err := tx.MachineByID(ctx, m.ID)
	if err != nil || len(m.Holders) > 0 {
		return err // others go on with it
	}
	run, err := tx.RunningRun(ctx, m.ID)
	if err == nil {
		err = l.endRun(ctx, tx, actor, m, run, store.RunCancelled, "the machine was released")
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if granted, err := l.grant(ctx, tx, m); granted || err != nil {
		return err
	}
	return l.settle(ctx, tx, m)
}

// endedBecause is what the history of a machine says of why its holder left it.
var endedBecause = map[store.EndedWhy]string{
	store.EndedTerm:     ": the term is over",
	store.EndedIdle:     ": nobody used it",
	store.EndedReturned: ": goes back to who lent it",
	store.EndedMissed:   ": nobody waited for it any more",
}

// end ends one reservation. What was lent goes back to who lent it, unless an
// admin takes it from everybody.
func (l *Lab) end(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, h store.Holder, why store.EndedWhy) error {
	r, err := tx.Reservation(ctx, h.ReservationID)
	if err != nil {
		return err
	}
	if err := tx.EndReservation(ctx, r.ID, l.now(), actor.User.Name, why); err != nil {
		return err
	}
	err = l.record(ctx, tx, actor, store.Event{Kind: EventReleased, Machine: m.Name, Detail: h.User + endedBecause[why]})
	if err != nil || r.Lender == nil || why == store.EndedReleased && actor.User.ID != r.UserID {
		return err
	}
	return l.giveBack(ctx, tx, actor, r)
}
