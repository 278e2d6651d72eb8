package store

import (
	"context"
	"time"
)

// Role is what an account may do in general.
type Role string

const (
	RoleUser  Role = "user"
	RoleAdmin Role = "admin"
)

// User is an account.
type User struct {
	ID        int64
	Name      string
	Role      Role
	CreatedAt time.Time
}

const userColumns = `users.id, users.name, users.role, users.created_at`

func scanUser(r row) (u User, err error) {
	err = r.Scan(&u.ID, &u.Name, &u.Role, moment{&u.CreatedAt})
	return u, err
}

// User returns the account of that name, without regard to case.
func (tx *Tx) User(ctx context.Context, name string) (User, error) {
	return one(ctx, tx, scanUser, `SELECT `+userColumns+` FROM users WHERE name = ?`, name)
}

// UserByID returns an account.
func (tx *Tx) UserByID(ctx context.Context, id int64) (User, error) {
	return one(ctx, tx, scanUser, `SELECT `+userColumns+` FROM users WHERE id = ?`, id)
}

// AddUser keeps a new account and returns its id. [ErrExists] where the name is taken.
func (tx *Tx) AddUser(ctx context.Context, u User) (int64, error) {
	return tx.insert(ctx, `INSERT INTO users (name, role, created_at) VALUES (?, ?, ?)`,
		u.Name, u.Role, millis(u.CreatedAt))
}

// SetUserRole changes what an account may do.
func (tx *Tx) SetUserRole(ctx context.Context, id int64, role Role) error {
	return tx.change(ctx, `UPDATE users SET role = ? WHERE id = ?`, role, id)
}

// SSHKey is a public key with which a user logs in.
type SSHKey struct {
	ID          int64
	UserID      int64
	Fingerprint string // SHA256:...
	PublicKey   string // type and base64, as in authorized_keys
	Comment     string
	CreatedAt   time.Time
}

// AddSSHKey enrols a key. [ErrExists] where this user has it already.
func (tx *Tx) AddSSHKey(ctx context.Context, k SSHKey) error {
	_, err := tx.insert(ctx,
		`INSERT INTO ssh_keys (user_id, fingerprint, public_key, comment, created_at) VALUES (?, ?, ?, ?, ?)`,
		k.UserID, k.Fingerprint, k.PublicKey, k.Comment, millis(k.CreatedAt))
	return err
}

// SSHKeys returns the keys of a user, the oldest first.
func (tx *Tx) SSHKeys(ctx context.Context, userID int64) ([]SSHKey, error) {
	return all(ctx, tx, func(r row) (k SSHKey, err error) {
		return k, r.Scan(&k.ID, &k.UserID, &k.Fingerprint, &k.PublicKey, &k.Comment, moment{&k.CreatedAt})
	}, `SELECT id, user_id, fingerprint, public_key, comment, created_at FROM ssh_keys WHERE user_id = ? ORDER BY id`, userID)
}

// UserByKey returns the account of that name if the key is enrolled for it.
func (tx *Tx) UserByKey(ctx context.Context, name, fingerprint string) (User, error) {
	return one(ctx, tx, scanUser, `SELECT `+userColumns+` FROM users
		JOIN ssh_keys ON ssh_keys.user_id = users.id
		WHERE users.name = ? AND ssh_keys.fingerprint = ?`, name, fingerprint)
}

// AdminWithKey reports whether anyone can log in as an administrator.
func (tx *Tx) AdminWithKey(ctx context.Context) (found bool, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM ssh_keys
		JOIN users ON users.id = ssh_keys.user_id WHERE users.role = 'admin')`).Scan(&found)
	return found, plain(err)
}

// KeyUsed notes when a key was last used to log in.
func (tx *Tx) KeyUsed(ctx context.Context, userID int64, fingerprint string, at time.Time) error {
	return tx.change(ctx, `UPDATE ssh_keys SET last_used_at = ? WHERE user_id = ? AND fingerprint = ?`,
		millis(at), userID, fingerprint)
}

// TokenScope bounds what a token may do, whatever its user may.
type TokenScope string

const (
	ScopeRead    TokenScope = "read"
	ScopeOperate TokenScope = "operate"
	ScopeAdmin   TokenScope = "admin"
)

// Token is what automation authenticates with. Only its hash is kept.
type Token struct {
	ID        int64
	UserID    int64
	Name      string
	Hash      []byte // SHA-256
	Scope     TokenScope
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	UsedAt    time.Time // zero: never
}

// TokenByHash returns the token of that SHA-256, and whose it is.
func (tx *Tx) TokenByHash(ctx context.Context, hash []byte) (t Token, owner User, err error) {
	t, err = one(ctx, tx, func(r row) (t Token, err error) {
		err = r.Scan(&t.ID, &t.UserID, &t.Name, &t.Hash, &t.Scope, moment{&t.CreatedAt}, optionalTime{&t.ExpiresAt}, optionalTime{&t.UsedAt})
		return t, err
	}, `SELECT id, user_id, name, hash, scope, created_at, expires_at, last_used_at FROM tokens WHERE hash = ?`, hash)
	if err != nil {
		return t, owner, err
	}
	owner, err = tx.UserByID(ctx, t.UserID)
	return t, owner, err
}

// TokenUsed notes when a token was last used.
func (tx *Tx) TokenUsed(ctx context.Context, id int64, at time.Time) error {
	return tx.change(ctx, `UPDATE tokens SET last_used_at = ? WHERE id = ?`, millis(at), id)
}

// AddToken keeps a new token.
func (tx *Tx) AddToken(ctx context.Context, t Token) (int64, error) {
	var expires any
	if !t.ExpiresAt.IsZero() {
		expires = millis(t.ExpiresAt)
	}
	return tx.insert(ctx, `INSERT INTO tokens (user_id, name, hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		t.UserID, t.Name, t.Hash, t.Scope, millis(t.CreatedAt), expires)
}
