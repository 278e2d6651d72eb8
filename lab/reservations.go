package lab

import (
	"context"
	"errors"
	"strings"
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

// Reserve makes the actor the holder of a machine that nobody holds. Of two
// callers at the same time one gets it and the other learns who did.
func (l *Lab) Reserve(ctx context.Context, actor Actor, name, reason string) error {
	if err := checkReason(reason); err != nil {
		return wrap(err, "reserve %s", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayReserve(m); err != nil {
			return err
		}
		l.changesHands(m)
		if err := tx.AddReservation(ctx, m.ID, actor.User.ID, reason, l.now()); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventReserved, Machine: m.Name, Detail: reason})
	})
	return wrap(err, "reserve %s", name)
}

// Assign makes a user a holder of a machine, beside those who hold it. Only an
// admin may.
func (l *Lab) Assign(ctx context.Context, actor Actor, name, user, reason string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "assign %s to %s: only an admin may", name, user)
	}
	if err := checkReason(reason); err != nil {
		return wrap(err, "assign %s to %s", name, user)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		holder, err := tx.User(ctx, user)
		if err != nil {
			return notFound(err, "user", user)
		}
		if m.HeldBy(holder.ID) {
			return fail(Conflict, "%s holds it already", user)
		}
		l.changesHands(m)
		if err := tx.AddReservation(ctx, m.ID, holder.ID, reason, l.now()); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventReserved, Machine: m.Name, Detail: "for " + user + ": " + reason})
	})
	return wrap(err, "assign %s to %s", name, user)
}

// Release gives back what the actor holds. An admin who does not hold the
// machine takes it from all who do. A run that is going on is ended.
func (l *Lab) Release(ctx context.Context, actor Actor, name string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayRelease(m); err != nil {
			return err
		}
		l.changesHands(m)
		leaving := m.Holders
		if m.HeldBy(actor.User.ID) {
			leaving = []store.Holder{{UserID: actor.User.ID, User: actor.User.Name}}
		}
		for _, h := range leaving {
			if err := tx.EndReservation(ctx, m.ID, h.UserID, l.now()); err != nil {
				return err
			}
			if err := l.record(ctx, tx, actor, store.Event{Kind: EventReleased, Machine: m.Name, Detail: h.User}); err != nil {
				return err
			}
		}
		if len(leaving) < len(m.Holders) {
			return nil // others go on with it
		}
		run, err := tx.RunningRun(ctx, m.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return l.endRun(ctx, tx, actor, m, run, store.RunCancelled, "the machine was released")
	})
	return wrap(err, "release %s", name)
}
