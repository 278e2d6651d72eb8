package store

import (
	"context"
	"time"
)

// AuditEntry says who did what.
type AuditEntry struct {
	ID      int64
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

// AuditFilter says which audit entries are wanted. Empty fields want any.
type AuditFilter struct {
	Actor   string
	Subject string
	Action  string
	Since   time.Time
	Until   time.Time // exclusive
	Before  int64     // only those with a lower id
	Limit   int
}

// Audit returns audit entries, the newest first.
func (tx *Tx) Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	var w where
	w.add(f.Actor != "", `actor = ?`, f.Actor)
	w.add(f.Subject != "", `subject = ?`, f.Subject)
	w.add(f.Action != "", `action = ?`, f.Action)
	w.add(!f.Since.IsZero(), `at >= ?`, millis(f.Since))
	w.add(!f.Until.IsZero(), `at < ?`, millis(f.Until))
	w.add(f.Before != 0, `id < ?`, f.Before)
	return all(ctx, tx, func(r row) (a AuditEntry, err error) {
		return a, r.Scan(&a.ID, moment{&a.At}, &a.Actor, &a.Via, &a.Remote, &a.Action, &a.Subject, &a.Detail)
	}, `SELECT id, at, actor, via, remote, action, subject, detail FROM audit `+w.String()+`ORDER BY id DESC LIMIT ?`, w.with(f.Limit)...)
}
