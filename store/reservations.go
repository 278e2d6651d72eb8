package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// Reservation is a time in which a user holds, or held, a machine.
type Reservation struct {
	ID        int64
	MachineID int64 // 0: the machine was removed
	Machine   string
	UserID    int64 // 0: the account was removed
	User      string
	Reason    string
	StartedAt time.Time
	CountedAt time.Time // from when on it counts for the site's maximum: earlier, where it was lent meanwhile
	ExpiresAt time.Time // zero: no term
	EndedAt   time.Time // zero: it has not ended
	EndedBy   string    // a name
	EndedWhy  EndedWhy

	// What the holder has been told, and when; zero: not, or not any more.
	WarnedAt time.Time // that the term ends soon
	OverAt   time.Time // that the term is over, and the grace has begun
	IdleAt   time.Time // that nobody seems to use the machine

	Lender *Lender // nil: nobody has lent it
}

// Lender is who gets a machine back that was lent.
type Lender struct {
	UserID    int64
	User      string
	Reason    string
	ExpiresAt time.Time // zero: no term
}

// EndedWhy is why a reservation ended.
type EndedWhy string

const (
	EndedReleased EndedWhy = "released" // somebody gave it back
	EndedTerm     EndedWhy = "term"     // it was over
	EndedIdle     EndedWhy = "idle"     // nobody used the machine
	EndedLent     EndedWhy = "lent"     // to another, who has one of their own
	EndedReturned EndedWhy = "returned" // to who lent it
	EndedMissed   EndedWhy = "missed"   // it came to a place in the queue at which nobody waited any more
)

const selectReservation = `SELECT reservations.id, machine_id, coalesce(machines.name, machine), user_id, coalesce(users.name, user),
	reason, started_at, counted_at, expires_at, ended_at, ended_by, ended_why, warned_at, over_at, idle_at,
	lender_id, lenders.name, lender_reason, lender_expires
	FROM reservations
	LEFT JOIN machines ON machines.id = machine_id
	LEFT JOIN users ON users.id = user_id
	LEFT JOIN users AS lenders ON lenders.id = lender_id `

func scanReservation(r row) (v Reservation, err error) {
	var machine, user, lenderID sql.NullInt64
	var lenderName sql.NullString
	var lender Lender
	err = r.Scan(&v.ID, &machine, &v.Machine, &user, &v.User, &v.Reason, moment{&v.StartedAt}, moment{&v.CountedAt},
		optionalTime{&v.ExpiresAt}, optionalTime{&v.EndedAt}, &v.EndedBy, &v.EndedWhy,
		optionalTime{&v.WarnedAt}, optionalTime{&v.OverAt}, optionalTime{&v.IdleAt},
		&lenderID, &lenderName, &lender.Reason, optionalTime{&lender.ExpiresAt})
	v.MachineID, v.UserID = machine.Int64, user.Int64
	if lenderID.Valid {
		lender.UserID, lender.User = lenderID.Int64, lenderName.String
		v.Lender = &lender
	}
	return v, err
}

// holders returns current holders by machine.
func (tx *Tx) holders(ctx context.Context, where string, args ...any) (map[int64][]Holder, error) {
	type held struct {
		machineID int64
		holder    Holder
	}
	rows, err := all(ctx, tx, func(r row) (h held, err error) {
		return h, r.Scan(&h.machineID, &h.holder.ReservationID, &h.holder.UserID, &h.holder.User, &h.holder.Reason,
			moment{&h.holder.Since}, optionalTime{&h.holder.Until}, &h.holder.LentBy)
	}, `SELECT reservations.machine_id, reservations.id, users.id, users.name, reservations.reason,
		reservations.started_at, reservations.expires_at, coalesce(lenders.name, '')
		FROM reservations JOIN users ON users.id = reservations.user_id
		LEFT JOIN users AS lenders ON lenders.id = reservations.lender_id `+where+`
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

// AddReservation makes a user a holder of a machine, and returns the id of the
// reservation. [ErrExists] where the user holds it already, [ErrNotFound] where
// there is no such machine or user.
func (tx *Tx) AddReservation(ctx context.Context, r Reservation) (int64, error) {
	lender := Lender{}
	if r.Lender != nil {
		lender = *r.Lender
	}
	return one(ctx, tx, func(row row) (id int64, err error) { return id, row.Scan(&id) },
		`INSERT INTO reservations (machine_id, machine, user_id, user, reason, started_at, counted_at, expires_at,
			lender_id, lender_reason, lender_expires)
		SELECT machines.id, machines.name, users.id, users.name, ?, ?, ?, ?, ?, ?, ?
		FROM machines, users WHERE machines.id = ? AND users.id = ? RETURNING id`,
		r.Reason, millis(r.StartedAt), millis(r.CountedAt), optionalMillis(r.ExpiresAt),
		optionalID(lender.UserID), lender.Reason, optionalMillis(lender.ExpiresAt),
		r.MachineID, r.UserID)
}

// Reservation returns a reservation, whether it has ended or not.
func (tx *Tx) Reservation(ctx context.Context, id int64) (Reservation, error) {
	return one(ctx, tx, scanReservation, selectReservation+`WHERE reservations.id = ?`, id)
}

// CurrentReservations returns all reservations that have not ended, in the
// order of the ends of their terms; those without one come last.
func (tx *Tx) CurrentReservations(ctx context.Context) ([]Reservation, error) {
	return all(ctx, tx, scanReservation, selectReservation+`WHERE ended_at IS NULL ORDER BY expires_at IS NULL, expires_at, reservations.id`)
}

// ReservationsEndingBy returns the reservations whose terms end then or
// earlier, and have not ended, the earliest first.
func (tx *Tx) ReservationsEndingBy(ctx context.Context, at time.Time) ([]Reservation, error) {
	return all(ctx, tx, scanReservation, selectReservation+`WHERE ended_at IS NULL AND expires_at <= ? ORDER BY expires_at, reservations.id`,
		millis(at))
}

// UpdateReservation keeps the term of a reservation, what its holder has been
// told, and who gets the machine back. [ErrNotFound] where it has ended.
func (tx *Tx) UpdateReservation(ctx context.Context, r Reservation) error {
	lender := Lender{}
	if r.Lender != nil {
		lender = *r.Lender
	}
	return tx.change(ctx, `UPDATE reservations SET reason = ?, expires_at = ?, warned_at = ?, over_at = ?, idle_at = ?,
		lender_id = ?, lender_reason = ?, lender_expires = ? WHERE id = ? AND ended_at IS NULL`,
		r.Reason, optionalMillis(r.ExpiresAt), optionalMillis(r.WarnedAt), optionalMillis(r.OverAt), optionalMillis(r.IdleAt),
		optionalID(lender.UserID), lender.Reason, optionalMillis(lender.ExpiresAt), r.ID)
}

// EndReservation ends a reservation. [ErrNotFound] where it has ended already.
func (tx *Tx) EndReservation(ctx context.Context, id int64, at time.Time, by string, why EndedWhy) error {
	return tx.change(ctx, `UPDATE reservations SET ended_at = ?, ended_by = ?, ended_why = ? WHERE id = ? AND ended_at IS NULL`,
		millis(at), by, why, id)
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

// MachinesHeldBy returns the machines by name that a user holds, now or formerly.
func (tx *Tx) MachinesHeldBy(ctx context.Context, userID int64) ([]Machine, error) {
	const held = `IN (SELECT machine_id FROM reservations WHERE user_id = ?)`
	machines, err := all(ctx, tx, scanMachine, selectMachine+`WHERE machines.id `+held+` ORDER BY machines.name`, userID)
	if err != nil {
		return nil, err
	}
	holders, err := tx.holders(ctx, `WHERE reservations.ended_at IS NULL AND reservations.machine_id `+held, userID)
	for i := range machines {
		machines[i].Holders = holders[machines[i].ID]
	}
	return machines, err
}

// HistoryFilter says which reservations are asked for; zero values for all.
type HistoryFilter struct {
	Machine string    // a name, of now or then
	User    string    // likewise
	Since   time.Time // that had not ended before
	Before  int64     // an id: older ones only
	Limit   int       // at most so many
}

// History returns reservations, the newest first.
func (tx *Tx) History(ctx context.Context, f HistoryFilter) ([]Reservation, error) {
	where := []string{"1"}
	var args []any
	if f.Machine != "" {
		where = append(where, `(machine_id = (SELECT id FROM machines WHERE name = ?) OR machine_id IS NULL AND machine = ? COLLATE NOCASE)`)
		args = append(args, f.Machine, f.Machine)
	}
	if f.User != "" {
		where = append(where, `(user_id = (SELECT id FROM users WHERE name = ?) OR user_id IS NULL AND user = ? COLLATE NOCASE)`)
		args = append(args, f.User, f.User)
	}
	if !f.Since.IsZero() {
		where = append(where, `(ended_at IS NULL OR ended_at >= ?)`)
		args = append(args, millis(f.Since))
	}
	if f.Before != 0 {
		where = append(where, `reservations.id < ?`)
		args = append(args, f.Before)
	}
	return all(ctx, tx, scanReservation, selectReservation+`WHERE `+strings.Join(where, " AND ")+
		` ORDER BY reservations.id DESC LIMIT ?`, append(args, f.Limit)...)
}

// LastUse returns when something was last done to a machine that shows that
// somebody uses it, as events of the kinds given tell; zero where nothing was.
func (tx *Tx) LastUse(ctx context.Context, machine string, kinds ...string) (at time.Time, err error) {
	args := []any{machine}
	for _, kind := range kinds {
		args = append(args, kind)
	}
	err = tx.tx.QueryRowContext(ctx, `SELECT max(at) FROM events WHERE machine = ? AND kind IN (?`+
		strings.Repeat(", ?", len(kinds)-1)+`)`, args...).Scan(optionalTime{&at})
	return at, plain(err)
}

// PowerOff is a machine that is to be turned off because it was given back.
type PowerOff struct {
	MachineID int64
	Machine   string
	AskedAt   time.Time
	NextAt    time.Time // when its BMC is told next
	Tries     int       // in vain
}

// SetPowerOff keeps that a machine is to be turned off.
func (tx *Tx) SetPowerOff(ctx context.Context, p PowerOff) error {
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO power_offs (machine_id, asked_at, next_at, tries) VALUES (?, ?, ?, ?)
		ON CONFLICT (machine_id) DO UPDATE SET asked_at = excluded.asked_at, next_at = excluded.next_at, tries = excluded.tries`,
		p.MachineID, millis(p.AskedAt), millis(p.NextAt), p.Tries)
	return plain(err)
}

// DropPowerOff keeps that a machine need not be turned off, any more.
func (tx *Tx) DropPowerOff(ctx context.Context, machineID int64) error {
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM power_offs WHERE machine_id = ?`, machineID)
	return plain(err)
}

// PowerOffs returns all machines that are to be turned off, those first that
// are due first.
func (tx *Tx) PowerOffs(ctx context.Context) ([]PowerOff, error) {
	return all(ctx, tx, func(r row) (p PowerOff, err error) {
		return p, r.Scan(&p.MachineID, &p.Machine, moment{&p.AskedAt}, moment{&p.NextAt}, &p.Tries)
	}, `SELECT machine_id, machines.name, asked_at, next_at, tries FROM power_offs
		JOIN machines ON machines.id = machine_id ORDER BY next_at, machine_id`)
}
