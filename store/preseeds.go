package store

import (
	"context"
	"database/sql"
	"time"
)

// Preseed is a template of the answers that an installer is given.
type Preseed struct {
	ID          int64
	Name        string
	Type        string // preseed, kickstart or autoyast
	Description string
	Content     string // Jinja2; empty where a list of preseeds was asked for
	UserID      int64  // its owner; 0: nobody who still is
	KnownGood   bool
	Public      bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

func scanPreseed(r row) (p Preseed, err error) {
	var user sql.NullInt64
	err = r.Scan(&p.ID, &p.Name, &p.Type, &p.Description, &p.Content, &user, &p.KnownGood, &p.Public,
		moment{&p.CreatedAt}, moment{&p.UpdatedAt})
	p.UserID = user.Int64
	return p, err
}

// Preseeds returns all preseeds by name, without their contents.
func (tx *Tx) Preseeds(ctx context.Context) ([]Preseed, error) {
	return all(ctx, tx, scanPreseed, `SELECT id, name, type, description, '', user_id, known_good, public,
		created_at, updated_at FROM preseeds ORDER BY name`)
}

const selectPreseed = `SELECT id, name, type, description, content, user_id, known_good, public,
	created_at, updated_at FROM preseeds `

// Preseed returns a preseed.
func (tx *Tx) Preseed(ctx context.Context, id int64) (Preseed, error) {
	return one(ctx, tx, scanPreseed, selectPreseed+`WHERE id = ?`, id)
}

// PreseedByName returns the preseed of that name, without regard to case.
func (tx *Tx) PreseedByName(ctx context.Context, name string) (Preseed, error) {
	return one(ctx, tx, scanPreseed, selectPreseed+`WHERE name = ?`, name)
}

// AddPreseed keeps a new preseed and returns its id. [ErrExists] where the name is taken.
func (tx *Tx) AddPreseed(ctx context.Context, p Preseed) (int64, error) {
	return tx.insert(ctx, `INSERT INTO preseeds (name, type, description, content, user_id, known_good, public,
		created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, p.Name, p.Type, p.Description, p.Content,
		optionalID(p.UserID), p.KnownGood, p.Public, millis(p.CreatedAt), millis(p.UpdatedAt))
}
