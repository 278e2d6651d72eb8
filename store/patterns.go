package store

import (
	"context"
	"time"
)

// ConsolePattern is what a site looks for in the output of consoles.
type ConsolePattern struct {
	ID         int64
	Name       string // unique without regard to case
	Expression string // RE2
	CreatedAt  time.Time
}

func scanConsolePattern(r row) (p ConsolePattern, err error) {
	err = r.Scan(&p.ID, &p.Name, &p.Expression, moment{&p.CreatedAt})
	return p, err
}

// ConsolePatterns returns all patterns by name.
func (tx *Tx) ConsolePatterns(ctx context.Context) ([]ConsolePattern, error) {
	return all(ctx, tx, scanConsolePattern, `SELECT id, name, expression, created_at FROM console_patterns ORDER BY name`)
}

// AddConsolePattern keeps a new pattern. [ErrExists] where the name is taken.
func (tx *Tx) AddConsolePattern(ctx context.Context, p ConsolePattern) error {
	_, err := tx.insert(ctx, `INSERT INTO console_patterns (name, expression, created_at) VALUES (?, ?, ?)`,
		p.Name, p.Expression, millis(p.CreatedAt))
	return err
}

// RemoveConsolePattern forgets the pattern of that name, without regard to
// case. [ErrNotFound] where there is none.
func (tx *Tx) RemoveConsolePattern(ctx context.Context, name string) error {
	return tx.change(ctx, `DELETE FROM console_patterns WHERE name = ?`, name)
}
