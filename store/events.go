package store

import (
	"context"
	"database/sql"
	"time"
)

// Event is something that happened, for people.
type Event struct {
	ID      int64 // grows; 0: not kept, only told
	At      time.Time
	Kind    string // a word of lab's vocabulary
	Machine string // name; empty: of no machine
	User    string // name; empty: of no user
	RunID   int64  // 0: of no run
	Detail  string

	LogPosition int64 // where in the log of the machine's console: bytes that came before; 0: not known
}

func scanEvent(r row) (e Event, err error) {
	var run, position sql.NullInt64
	err = r.Scan(&e.ID, moment{&e.At}, &e.Kind, &e.Machine, &e.User, &run, &e.Detail, &position)
	e.RunID, e.LogPosition = run.Int64, position.Int64
	return e, err
}

const selectEvent = `SELECT id, at, kind, machine, user, run_id, detail, log_position FROM events `

// AddEvent keeps an event.
func (tx *Tx) AddEvent(ctx context.Context, e Event) error {
	_, err := tx.insert(ctx, `INSERT INTO events (at, kind, machine, user, run_id, detail, log_position) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		millis(e.At), e.Kind, e.Machine, e.User, optionalID(e.RunID), e.Detail, optionalID(e.LogPosition))
	return err
}

// EventsAfter returns at most limit events that came after the one given, the
// oldest first.
func (tx *Tx) EventsAfter(ctx context.Context, id int64, limit int) ([]Event, error) {
	return all(ctx, tx, scanEvent, selectEvent+`WHERE id > ? ORDER BY id LIMIT ?`, id, limit)
}

// LastEventID returns the id of the newest event; 0 where there is none.
func (tx *Tx) LastEventID(ctx context.Context) (id int64, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM events`).Scan(&id)
	return id, plain(err)
}

// MachineEvents returns the newest events of a machine, the newest first.
func (tx *Tx) MachineEvents(ctx context.Context, machine string, limit int) ([]Event, error) {
	return all(ctx, tx, scanEvent, selectEvent+`WHERE machine = ? ORDER BY id DESC LIMIT ?`, machine, limit)
}

// HasEventsBefore reports whether there are events older than that.
func (tx *Tx) HasEventsBefore(ctx context.Context, at time.Time) (found bool, err error) {
	// Ids and times grow together: the first row tells.
	err = tx.tx.QueryRowContext(ctx, `SELECT coalesce((SELECT at FROM events ORDER BY id LIMIT 1) < ?, 0)`, millis(at)).Scan(&found)
	return found, plain(err)
}

// ForgetEvents removes a share of the events that are older than that, small
// enough to hold up no other writer.
func (tx *Tx) ForgetEvents(ctx context.Context, at time.Time) error {
	const share = 1000
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?) AND at < ?`,
		share, millis(at))
	return plain(err)
}

// AuditEntry says who did what.
type AuditEntry struct {
	At      time.Time
	Actor   string
	Via     string // by which key or token
	Remote  string // from where
	Action  string
	Subject string
	Detail  string
}

// AddAudit keeps an audit entry.
func (tx *Tx) AddAudit(ctx context.Context, a AuditEntry) error {
	_, err := tx.insert(ctx, `INSERT INTO audit (at, actor, via, remote, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		millis(a.At), a.Actor, a.Via, a.Remote, a.Action, a.Subject, a.Detail)
	return err
}
