package store

import (
	"context"
	"errors"
)

// Setting returns what an admin has decided for the whole site; empty where
// nothing was.
func (tx *Tx) Setting(ctx context.Context, name string) (string, error) {
	value, err := one(ctx, tx, func(r row) (value string, err error) { return value, r.Scan(&value) },
		`SELECT value FROM settings WHERE name = ?`, name)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return value, err
}

// SetSetting keeps a setting of the site; an empty one is its default.
func (tx *Tx) SetSetting(ctx context.Context, name, value string) error {
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return plain(err)
}
