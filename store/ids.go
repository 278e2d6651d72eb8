package store

import "context"

// nextID is the expression for an id that no row of a table has or ever had,
// in the manner of SQLite's AUTOINCREMENT, which a table cannot be given later.
func nextID(table string) string {
	return `(SELECT 1 + max((SELECT coalesce(max(id), 0) FROM ` + table + `),
		(SELECT coalesce(max(id), 0) FROM spent_ids WHERE kind = '` + table + `')))`
}

// spendID notes that the id of a row is never to be given again. It is called
// before the row is removed.
func (tx *Tx) spendID(ctx context.Context, table string, id int64) error {
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO spent_ids (kind, id) VALUES (?, ?)
		ON CONFLICT (kind) DO UPDATE SET id = max(id, excluded.id)`, table, id)
	return plain(err)
}
