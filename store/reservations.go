package store

import (
	"context"
	"time"
)

// holders returns current holders by machine.
func (tx *Tx) holders(ctx context.Context, where string, args ...any) (map[int64][]Holder, error) {
	type held struct {
		machineID int64
		holder    Holder
	}
	rows, err := all(ctx, tx, func(r row) (h held, err error) {
		return h, r.Scan(&h.machineID, &h.holder.UserID, &h.holder.User, &h.holder.Reason, moment{&h.holder.Since})
	}, `SELECT reservations.machine_id, users.id, users.name, reservations.reason, reservations.started_at
		FROM reservations JOIN users ON users.id = reservations.user_id `+where+`
		ORDER BY reservations.started_at, reservations.id`, args...)
	if err != nil {
		return nil, err
	}
	byMachine := make(map[int64][]Holder)
	for _, r := range rows {
		byMachine[r.machineID] = append(byMachine[r.machineID], r.holder)
	}
	return byMachine, nil
}

// AddReservation makes a user a holder of a machine. [ErrExists] where the
// user holds it already.
func (tx *Tx) AddReservation(ctx context.Context, machineID, userID int64, reason string, at time.Time) error {
	_, err := tx.insert(ctx, `INSERT INTO reservations (machine_id, user_id, reason, started_at) VALUES (?, ?, ?, ?)`,
		machineID, userID, reason, millis(at))
	return err
}

// EndReservation ends what a user holds. [ErrNotFound] where the user does not hold it.
func (tx *Tx) EndReservation(ctx context.Context, machineID, userID int64, at time.Time) error {
	return tx.change(ctx, `UPDATE reservations SET ended_at = ?
		WHERE machine_id = ? AND user_id = ? AND ended_at IS NULL`, millis(at), machineID, userID)
}

// Held is a time in which a user held a machine.
type Held struct {
	Since time.Time
	Until time.Time // zero: it has not ended
}

// Held returns when a user held a machine, the oldest first: now, and formerly.
func (tx *Tx) Held(ctx context.Context, machineID, userID int64) ([]Held, error) {
	return all(ctx, tx, func(r row) (h Held, err error) {
		return h, r.Scan(moment{&h.Since}, optionalTime{&h.Until})
	}, `SELECT started_at, ended_at FROM reservations WHERE machine_id = ? AND user_id = ? ORDER BY started_at, id`,
		machineID, userID)
}
