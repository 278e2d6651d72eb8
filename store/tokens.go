package store

import (
	"context"
	"database/sql"
	"time"
)

// TokenScope bounds what a token may do, whatever its user may.
type TokenScope string

const (
	ScopeRead    TokenScope = "read"
	ScopeOperate TokenScope = "operate"
	ScopeAdmin   TokenScope = "admin"
)

// Token is what automation authenticates with. Only its hash is kept.
type Token struct {
	ID            int64
	UserID        int64
	User          string // the name of that user
	Name          string
	Hash          []byte // SHA-256
	Scope         TokenScope
	MachineFilter string // a query; empty: every machine
	CreatedAt     time.Time
	ExpiresAt     time.Time // zero: never
	UsedAt        time.Time // zero: never
}

const selectToken = `SELECT tokens.id, user_id, users.name, tokens.name, hash, scope, machine_filter, tokens.created_at, expires_at, last_used_at
	FROM tokens JOIN users ON users.id = tokens.user_id `

func scanToken(r row) (t Token, err error) {
	err = r.Scan(&t.ID, &t.UserID, &t.User, &t.Name, &t.Hash, &t.Scope, &t.MachineFilter,
		moment{&t.CreatedAt}, optionalTime{&t.ExpiresAt}, optionalTime{&t.UsedAt})
	return t, err
}

// TokenByHash returns the token of that SHA-256, and whose it is.
func (tx *Tx) TokenByHash(ctx context.Context, hash []byte) (t Token, owner User, err error) {
	if t, err = one(ctx, tx, scanToken, selectToken+`WHERE hash = ?`, hash); err != nil {
		return t, owner, err
	}
	owner, err = tx.UserByID(ctx, t.UserID)
	return t, owner, err
}

// Token returns the token of that id.
func (tx *Tx) Token(ctx context.Context, id int64) (Token, error) {
	return one(ctx, tx, scanToken, selectToken+`WHERE tokens.id = ?`, id)
}

// Tokens returns the tokens of a user, or of all where userID is 0, the oldest first.
func (tx *Tx) Tokens(ctx context.Context, userID int64) ([]Token, error) {
	return all(ctx, tx, scanToken, selectToken+`WHERE ?1 = 0 OR user_id = ?1 ORDER BY tokens.id`, userID)
}

// TokenUsed notes when a token was last used.
func (tx *Tx) TokenUsed(ctx context.Context, id int64, at time.Time) error {
	return tx.change(ctx, `UPDATE tokens SET last_used_at = ? WHERE id = ?`, millis(at), id)
}

// AddToken keeps a new token and returns its id.
func (tx *Tx) AddToken(ctx context.Context, t Token) (int64, error) {
	expires := sql.NullInt64{Int64: millis(t.ExpiresAt), Valid: !t.ExpiresAt.IsZero()}
	return tx.insert(ctx, `INSERT INTO tokens (user_id, name, hash, scope, machine_filter, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		t.UserID, t.Name, t.Hash, t.Scope, t.MachineFilter, millis(t.CreatedAt), expires)
}

// DeleteToken removes a token: who shows it is nobody from now on.
func (tx *Tx) DeleteToken(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM tokens WHERE id = ?`, id)
}
