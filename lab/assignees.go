package lab

import (
	"context"

	"provisioner/store"
)

// Unassign ends what one user holds of a machine. They may themselves, and
// admins; see [Lab.Release] for what follows.
func (l *Lab) Unassign(ctx context.Context, actor Actor, name, user string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		m, holder, err := ownHolder(ctx, tx, actor, name, user)
		if err != nil {
			return err
		}
		return l.leave(ctx, tx, actor, m, store.EndedReleased, holder)
	})
	return wrap(err, "take %s from %s", name, user)
}

// SetReason says anew why a user holds a machine, in one line of at most 140
// bytes. They may themselves, and admins.
func (l *Lab) SetReason(ctx context.Context, actor Actor, name, user, reason string) error {
	err := checkReason(reason)
	if err == nil {
		err = l.write(ctx, func(tx *store.Tx) error {
			m, holder, err := ownHolder(ctx, tx, actor, name, user)
			if err != nil || holder.Reason == reason {
				return err
			}
			r, err := tx.Reservation(ctx, holder.ReservationID)
			if err != nil {
				return err
			}
			r.Reason = reason
			if err := tx.UpdateReservation(ctx, r); err != nil {
				return err
			}
			return l.record(ctx, tx, actor, store.Event{Kind: EventReasonChanged, Machine: m.Name, Detail: holder.User + ": " + reason})
		})
	}
	return wrap(err, "say why %s holds %s", user, name)
}

// ownHolder finds the reservation of a user who holds a machine, for that user
// or an admin.
func ownHolder(ctx context.Context, tx *store.Tx, actor Actor, name, user string) (m store.Machine, h store.Holder, err error) {
	if m, err = tx.Machine(ctx, name); err != nil {
		return m, h, notFound(err, "machine", name)
	}
	u, err := tx.User(ctx, user)
	if err != nil {
		return m, h, notFound(err, "user", user)
	}
	if err := actor.mayTouch(m); err != nil {
		return m, h, err
	}
	if !actor.IsAdmin() && actor.User.ID != u.ID {
		return m, h, fail(Denied, "only %s or an admin may", u.Name)
	}
	for _, h := range m.Holders {
		if h.UserID == u.ID {
			return m, h, nil
		}
	}
	return m, h, fail(NotFound, "%s does not hold it", u.Name)
}
