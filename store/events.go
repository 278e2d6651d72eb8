package store

import (
	"context"
	"database/sql"
	"encoding/json"
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

// EventFilter says which events are wanted.
type EventFilter struct {
	Machine string    // name; empty: of all, and of none
	User    string    // name; empty: of all
	Kinds   []string  // none: all
	Since   time.Time // zero: from the beginning
	Until   time.Time // exclusive; zero: to the end

	Machines *[]string // names: only events of these; nil: of all, and of none
	Private  []string  // kinds: of these only what Self did
	Self     string    // name of a user

	After  int64 // only those that came after the one of this id
	Before int64 // likewise before it; 0: all
	Limit  int
	Oldest bool // the oldest first, else the newest
}

// Events returns the events that a filter wants.
func (tx *Tx) Events(ctx context.Context, f EventFilter) ([]Event, error) {
	var w where
	w.add(f.Machine != "", `machine = ?`, f.Machine)
	w.add(f.User != "", `user = ?`, f.User)
	w.add(!f.Since.IsZero(), `at >= ?`, millis(f.Since))
	w.add(!f.Until.IsZero(), `at < ?`, millis(f.Until))
	w.add(f.After != 0, `id > ?`, f.After)
	w.add(f.Before != 0, `id < ?`, f.Before)
	if len(f.Kinds) > 0 {
		if err := w.in(`kind`, &f.Kinds); err != nil {
			return nil, err
		}
	}
	if err := w.in(`machine`, f.Machines); err != nil {
		return nil, err
	}
	if len(f.Private) > 0 {
		list, err := json.Marshal(f.Private)
		if err != nil {
			return nil, err
		}
		w.add(true, `(user = ? OR kind NOT IN (SELECT value FROM json_each(?)))`, f.Self, string(list))
	}
	order := `DESC`
	if f.Oldest {
		order = `ASC`
	}
	return all(ctx, tx, scanEvent, selectEvent+w.String()+`ORDER BY id `+order+` LIMIT ?`, w.with(f.Limit)...)
}

// FirstEventID returns the id of the oldest event that is kept; 0 where there is none.
func (tx *Tx) FirstEventID(ctx context.Context) (id int64, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT coalesce(min(id), 0) FROM events`).Scan(&id)
	return id, plain(err)
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
