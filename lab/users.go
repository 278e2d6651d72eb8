package lab

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"

	"provisioner/store"
)

var userName = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)

// PublicKey is a key that somebody shows or that an admin enrols.
type PublicKey struct {
	Fingerprint string // SHA256:..., as ssh-keygen -l prints it
	Authorized  string // type and base64, as in authorized_keys
	Comment     string
}

// AddUser makes an account, as an admin where admin says so, and enrols its
// key where there is one. Where the account exists, the key is added to it.
func (l *Lab) AddUser(ctx context.Context, actor Actor, name string, admin bool, key *PublicKey) error {
	if !actor.IsAdmin() {
		return fail(Denied, "add user %s: only an admin may", name)
	}
	if !userName.MatchString(name) {
		return fail(Invalid, "add user %q: a user name has up to 32 lower-case letters, digits, `_`, `.` and `-`, and begins with a letter", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		user, err := tx.User(ctx, name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if user, err = l.addUser(ctx, tx, actor, name, admin); err != nil {
				return err
			}
		case err != nil:
			return err
		case key == nil:
			return fail(Conflict, "there is a user of that name already; give --key to enrol another key")
		}
		if admin && user.Role != store.RoleAdmin {
			if err := tx.SetUserRole(ctx, user.ID, store.RoleAdmin); err != nil {
				return err
			}
		}
		if key == nil {
			return nil
		}
		return l.enrol(ctx, tx, actor, user, *key)
	})
	return wrap(err, "add user %s", name)
}

func (l *Lab) addUser(ctx context.Context, tx *store.Tx, actor Actor, name string, admin bool) (store.User, error) {
	user := store.User{Name: name, Role: store.RoleUser, CreatedAt: l.now()}
	if admin {
		user.Role = store.RoleAdmin
	}
	var err error
	if user.ID, err = tx.AddUser(ctx, user); err != nil {
		return store.User{}, err
	}
	return user, l.record(ctx, tx, actor, store.Event{Kind: EventUserAdded, Detail: string(user.Role) + " " + name})
}

func (l *Lab) enrol(ctx context.Context, tx *store.Tx, actor Actor, user store.User, key PublicKey) error {
	err := tx.AddSSHKey(ctx, store.SSHKey{
		UserID: user.ID, Fingerprint: key.Fingerprint, PublicKey: key.Authorized, Comment: key.Comment, CreatedAt: l.now(),
	})
	if errors.Is(err, store.ErrExists) {
		return fail(Conflict, "key %s is enrolled already", key.Fingerprint)
	}
	if err != nil {
		return err
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventKeyEnrolled, Detail: user.Name + " " + key.Fingerprint})
}

// KnowsKey reports whether the key is enrolled for that user. It changes
// nothing: an ssh client asks for each of its keys before it uses one.
func (l *Lab) KnowsKey(ctx context.Context, user, fingerprint string) (bool, error) {
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		_, err := tx.UserByKey(ctx, user, fingerprint)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, wrap(err, "look up the key of %s", user)
}

// Login makes an actor of somebody who has proven to have the key.
func (l *Lab) Login(ctx context.Context, user, fingerprint, remote string) (Actor, error) {
	actor := Actor{Via: "key " + fingerprint, Remote: remote}
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		if actor.User, err = tx.UserByKey(ctx, user, fingerprint); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return fail(Denied, "the key %s is not enrolled for it; an admin can add it: provisioner user add %s --key FILE", fingerprint, user)
			}
			return err
		}
		if err := tx.KeyUsed(ctx, actor.User.ID, fingerprint, l.now()); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventLogin, Detail: remote})
	})
	if err != nil {
		return Actor{}, wrap(err, "log in as %s", user)
	}
	return actor, nil
}

// CreateToken makes a token for automation and returns it. It is shown this
// once: only its hash is kept.
func (l *Lab) CreateToken(ctx context.Context, actor Actor, user, name string) (string, error) {
	token := randomToken()
	err := l.write(ctx, func(tx *store.Tx) error {
		owner, err := tx.User(ctx, user)
		if err != nil {
			return notFound(err, "user", user)
		}
		if !actor.IsAdmin() && owner.ID != actor.User.ID {
			return fail(Denied, "only %s or an admin may", user)
		}
		hash := sha256.Sum256([]byte(token))
		_, err = tx.AddToken(ctx, store.Token{
			UserID: owner.ID, Name: name, Hash: hash[:], Scope: store.ScopeOperate, CreatedAt: l.now(),
		})
		if err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventTokenCreated, Detail: owner.Name + " " + name})
	})
	if err != nil {
		return "", wrap(err, "create token for %s", user)
	}
	return token, nil
}

// randomToken returns 192 random bits in a form that fits into addresses.
func randomToken() string {
	bits := make([]byte, 24)
	_, _ = rand.Read(bits) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(bits)
}
