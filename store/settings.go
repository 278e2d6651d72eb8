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

// Settings returns all that an admin has decided for the whole site, by name.
func (tx *Tx) Settings(ctx context.Context) (map[string]string, error) {
	rows, err := all(ctx, tx, func(r row) (s [2]string, err error) { return s, r.Scan(&s[0], &s[1]) }, `SELECT name, value FROM settings`)
	settings := make(map[string]string, len(rows))
	for _, s := range rows {
		settings[s[0]] = s[1]
	}
	return settings, err
}

// SetSetting keeps a setting of the site; an empty one is its default.
func (tx *Tx) SetSetting(ctx context.Context, name, value string) error {
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return plain(err)
}
