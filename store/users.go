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
	Disabled  bool // it may not log in, nor may its tokens
	CreatedAt time.Time
}

const userColumns = `users.id, users.name, users.role, users.disabled, users.created_at`

func scanUser(r row) (u User, err error) {
	err = r.Scan(&u.ID, &u.Name, &u.Role, &u.Disabled, moment{&u.CreatedAt})
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
	return tx.insert(ctx, `INSERT INTO users (id, name, role, disabled, created_at) VALUES (`+nextID("users")+`, ?, ?, ?, ?)`,
		u.Name, u.Role, u.Disabled, millis(u.CreatedAt))
}

// UpdateUser keeps the name and role of an account, and whether it is
// disabled. [ErrExists] where the name is taken.
func (tx *Tx) UpdateUser(ctx context.Context, u User) error {
	return tx.change(ctx, `UPDATE users SET name = ?, role = ?, disabled = ? WHERE id = ?`, u.Name, u.Role, u.Disabled, u.ID)
}

// DeleteUser forgets an account with its keys, tokens and uploads. It must not
// hold anything. What it owns is nobody's from then on. Its id is never given again.
func (tx *Tx) DeleteUser(ctx context.Context, id int64) error {
	if err := tx.spendID(ctx, "users", id); err != nil {
		return err
	}
	return tx.change(ctx, `DELETE FROM users WHERE id = ?`, id)
}

// Account is an account as admins see it.
type Account struct {
	User
	Keys     int
	Tokens   int
	Machines []string  // that it holds, by name
	UsedAt   time.Time // when a key or token of it was last used; zero: never
}

// Accounts returns all accounts by name.
func (tx *Tx) Accounts(ctx context.Context) ([]Account, error) {
	accounts, err := all(ctx, tx, func(r row) (a Account, err error) {
		return a, r.Scan(&a.ID, &a.Name, &a.Role, &a.Disabled, moment{&a.CreatedAt}, &a.Keys, &a.Tokens, optionalTime{&a.UsedAt})
	}, `SELECT `+userColumns+`,
		(SELECT count(*) FROM ssh_keys WHERE user_id = users.id),
		(SELECT count(*) FROM tokens WHERE user_id = users.id),
		(SELECT max(at) FROM (SELECT last_used_at AS at FROM ssh_keys WHERE user_id = users.id
			UNION ALL SELECT last_used_at FROM tokens WHERE user_id = users.id))
		FROM users ORDER BY users.name`)
	for i := range accounts {
		if err == nil {
			accounts[i].Machines, err = tx.HeldMachines(ctx, accounts[i].ID)
		}
	}
	return accounts, err
}

// HeldMachines returns the names of the machines that a user holds, in order.
func (tx *Tx) HeldMachines(ctx context.Context, userID int64) ([]string, error) {
	return all(ctx, tx, scanText, `SELECT machines.name FROM reservations JOIN machines ON machines.id = reservations.machine_id
		WHERE user_id = ? AND ended_at IS NULL ORDER BY machines.name`, userID)
}

// Admins counts the administrators that are not disabled.
func (tx *Tx) Admins(ctx context.Context) (n int, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled`).Scan(&n)
	return n, plain(err)
}

// SSHKey is a public key with which a user logs in.
type SSHKey struct {
	ID          int64
	UserID      int64
	Fingerprint string // SHA256:...
	PublicKey   string // type and base64, as in authorized_keys
	Comment     string
	CreatedAt   time.Time
	UsedAt      time.Time // zero: never
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
		return k, r.Scan(&k.ID, &k.UserID, &k.Fingerprint, &k.PublicKey, &k.Comment, moment{&k.CreatedAt}, optionalTime{&k.UsedAt})
	}, `SELECT id, user_id, fingerprint, public_key, comment, created_at, last_used_at FROM ssh_keys WHERE user_id = ? ORDER BY id`, userID)
}

// HasSSHKey reports whether a key is enrolled for a user.
func (tx *Tx) HasSSHKey(ctx context.Context, userID int64, fingerprint string) (found bool, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM ssh_keys WHERE user_id = ? AND fingerprint = ?)`,
		userID, fingerprint).Scan(&found)
	return found, plain(err)
}

// DeleteSSHKey takes a key from a user. [ErrNotFound] where the user has none like it.
func (tx *Tx) DeleteSSHKey(ctx context.Context, userID int64, fingerprint string) error {
	return tx.change(ctx, `DELETE FROM ssh_keys WHERE user_id = ? AND fingerprint = ?`, userID, fingerprint)
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
		JOIN users ON users.id = ssh_keys.user_id WHERE users.role = 'admin' AND NOT users.disabled)`).Scan(&found)
	return found, plain(err)
}

// KeyUsed notes when a key was last used to log in.
func (tx *Tx) KeyUsed(ctx context.Context, userID int64, fingerprint string, at time.Time) error {
	return tx.change(ctx, `UPDATE ssh_keys SET last_used_at = ? WHERE user_id = ? AND fingerprint = ?`,
		millis(at), userID, fingerprint)
}
