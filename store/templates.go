package store

import (
	"context"
	"time"
)

// Template is a site's own template of a bootloader configuration.
type Template struct {
	Kind      string // such as grub-netboot
	Content   string
	UpdatedAt time.Time
}

func scanTemplate(r row) (t Template, err error) {
	err = r.Scan(&t.Kind, &t.Content, moment{&t.UpdatedAt})
	return t, err
}

// Template returns the site's own template of a kind. [ErrNotFound] where it
// has none.
func (tx *Tx) Template(ctx context.Context, kind string) (Template, error) {
	return one(ctx, tx, scanTemplate, `SELECT kind, content, updated_at FROM templates WHERE kind = ?`, kind)
}

// SetTemplate keeps a template in the place of the one of its kind.
func (tx *Tx) SetTemplate(ctx context.Context, t Template) error {
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO templates (kind, content, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (kind) DO UPDATE SET content = excluded.content, updated_at = excluded.updated_at`,
		t.Kind, t.Content, millis(t.UpdatedAt))
	return plain(err)
}

// ResetTemplate forgets the site's own template of a kind. [ErrNotFound] where
// it has none.
func (tx *Tx) ResetTemplate(ctx context.Context, kind string) error {
	return tx.change(ctx, `DELETE FROM templates WHERE kind = ?`, kind)
}
