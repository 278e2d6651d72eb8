package store

import (
	"context"
	"database/sql"
	"time"
)

// Place is a place in the queue for machines.
type Place struct {
	ID        int64
	UserID    int64
	User      string
	MachineID int64  // the machine that is waited for; 0: any that matches
	Machine   string // its name
	Query     string // what the machine must match; empty: any
	Reason    string
	Term      time.Duration // what was asked for; 0: what the site has
	Priority  int           // the highest first
	Admin     bool          // it was asked for as an administrator
	Keep      bool          // the place is kept while nobody waits at it
	CreatedAt time.Time
	SeenAt    time.Time // when somebody waited at it last

	ReservationID int64  // what it has led to; 0: it waits
	Got           string // the name of the machine
}

const selectPlace = `SELECT queue.id, queue.user_id, users.name, queue.machine_id, coalesce(machines.name, ''),
	queue.query, queue.reason, queue.term, queue.priority, queue.admin, queue.keep, queue.created_at, queue.seen_at,
	queue.reservation_id, coalesce(reservations.machine, '')
	FROM queue JOIN users ON users.id = queue.user_id
	LEFT JOIN machines ON machines.id = queue.machine_id
	LEFT JOIN reservations ON reservations.id = queue.reservation_id `

func scanPlace(r row) (p Place, err error) {
	var machine, reservation sql.NullInt64
	var term int64
	err = r.Scan(&p.ID, &p.UserID, &p.User, &machine, &p.Machine, &p.Query, &p.Reason, &term, &p.Priority, &p.Admin, &p.Keep,
		moment{&p.CreatedAt}, moment{&p.SeenAt}, &reservation, &p.Got)
	p.MachineID, p.ReservationID = machine.Int64, reservation.Int64
	p.Term = time.Duration(term) * time.Millisecond
	return p, err
}

// AddPlace keeps a new place at the end of those of its priority, and returns its id.
func (tx *Tx) AddPlace(ctx context.Context, p Place) (int64, error) {
	return tx.insert(ctx, `INSERT INTO queue (user_id, machine_id, query, reason, term, priority, admin, keep, created_at, seen_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, p.UserID, optionalID(p.MachineID), p.Query, p.Reason, p.Term.Milliseconds(),
		p.Priority, p.Admin, p.Keep, millis(p.CreatedAt), millis(p.SeenAt))
}

// Queue returns the places at which nothing has been got yet, whose turn is next first.
func (tx *Tx) Queue(ctx context.Context) ([]Place, error) {
	return all(ctx, tx, scanPlace, selectPlace+`WHERE queue.reservation_id IS NULL ORDER BY queue.priority DESC, queue.id`)
}

// GrantedPlaces returns the places that have led to a reservation of which
// nobody has heard yet.
func (tx *Tx) GrantedPlaces(ctx context.Context) ([]Place, error) {
	return all(ctx, tx, scanPlace, selectPlace+`WHERE queue.reservation_id IS NOT NULL ORDER BY queue.id`)
}

// PlacesOf returns the places of a user, the oldest first.
func (tx *Tx) PlacesOf(ctx context.Context, userID int64) ([]Place, error) {
	return all(ctx, tx, scanPlace, selectPlace+`WHERE queue.user_id = ? ORDER BY queue.id`, userID)
}

// Place returns a place.
func (tx *Tx) Place(ctx context.Context, id int64) (Place, error) {
	return one(ctx, tx, scanPlace, selectPlace+`WHERE queue.id = ?`, id)
}

// PlaceSeen notes that somebody waits at a place.
func (tx *Tx) PlaceSeen(ctx context.Context, id int64, at time.Time) error {
	return tx.change(ctx, `UPDATE queue SET seen_at = ? WHERE id = ?`, millis(at), id)
}

// AllPlacesSeen gives everybody who waits the time to come back that they
// would have if they had been seen then.
func (tx *Tx) AllPlacesSeen(ctx context.Context, at time.Time) error {
	_, err := tx.tx.ExecContext(ctx, `UPDATE queue SET seen_at = ?`, millis(at))
	return plain(err)
}

// GrantPlace notes to which reservation a place has led. [ErrNotFound] where
// it has led to one before.
func (tx *Tx) GrantPlace(ctx context.Context, id, reservationID int64) error {
	return tx.change(ctx, `UPDATE queue SET reservation_id = ? WHERE id = ? AND reservation_id IS NULL`, reservationID, id)
}

// DropPlace ends a place. [ErrNotFound] where it has ended.
func (tx *Tx) DropPlace(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM queue WHERE id = ?`, id)
}
