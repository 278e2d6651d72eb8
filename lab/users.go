package lab

import (
	"context"
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
		return wrap(badUserName(), "add user %q", name)
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
			before := user
			user.Role = store.RoleAdmin
			if err := l.updateUser(ctx, tx, actor, before, user); err != nil {
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

func badUserName() error {
	return fail(Invalid, "a user name has up to 32 lower-case letters, digits, `_`, `.` and `-`, and begins with a letter")
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

// Users returns all accounts by name. Whoever may log in may see who there is
// and what they hold; how many keys and tokens an account has, and when it was
// last used, is only for itself and for admins.
func (l *Lab) Users(ctx context.Context, actor Actor) (accounts []store.Account, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		accounts, err = tx.Accounts(ctx)
		return err
	})
	for i, a := range accounts {
		if !actor.IsAdmin() && a.ID != actor.User.ID {
			accounts[i] = store.Account{User: a.User, Machines: a.Machines}
		}
	}
	return accounts, wrap(err, "list users")
}

// UserChange says what becomes of an account; what is nil stays as it is.
type UserChange struct {
	Name     *string
	Role     *store.Role
	Disabled *bool // it may not log in, nor may its tokens; it keeps what it holds
}

// ChangeUser changes an account. Only an admin may, and one admin who is not
// disabled always stays. Sessions of an account that may less than before end.
func (l *Lab) ChangeUser(ctx context.Context, actor Actor, name string, change UserChange) error {
	if !actor.IsAdmin() {
		return fail(Denied, "change user %s: only an admin may", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		before, err := tx.User(ctx, name)
		if err != nil {
			return notFound(err, "user", name)
		}
		if before.ID == actor.User.ID && change.Disabled != nil && *change.Disabled {
			return fail(Conflict, "this is you: another admin can")
		}
		after := before
		set(&after.Name, change.Name)
		set(&after.Role, change.Role)
		set(&after.Disabled, change.Disabled)
		return l.updateUser(ctx, tx, actor, before, after)
	})
	return wrap(err, "change user %s", name)
}

func (l *Lab) updateUser(ctx context.Context, tx *store.Tx, actor Actor, before, after store.User) error {
	switch {
	case before == after:
		return nil
	case after.Name != before.Name && !userName.MatchString(after.Name):
		return badUserName()
	case after.Role != store.RoleAdmin && after.Role != store.RoleUser:
		return fail(Invalid, "role %q is none of user and admin", after.Role)
	}
	err := tx.UpdateUser(ctx, after)
	if errors.Is(err, store.ErrExists) {
		return fail(Conflict, "there is a user %q already", after.Name)
	}
	if err != nil {
		return err
	}
	if err := anAdminStays(ctx, tx, before); err != nil {
		return err
	}
	detail := before.Name
	for _, c := range []struct{ what, before, after string }{
		{"name", before.Name, after.Name}, {"role", string(before.Role), string(after.Role)},
		{"disabled", yes(before.Disabled), yes(after.Disabled)},
	} {
		if c.before != c.after {
			detail += ", " + c.what + " " + c.after
		}
	}
	if actor.User.ID == after.ID && after.Role == store.RoleUser {
		actor.User.Role = store.RoleUser // they give it up themselves, which record would refuse
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventUserChanged, Detail: detail})
}

// anAdminStays refuses what leaves nobody who answers for the machines.
func anAdminStays(ctx context.Context, tx *store.Tx, before store.User) error {
	if before.Role != store.RoleAdmin || before.Disabled {
		return nil
	}
	n, err := tx.Admins(ctx)
	if err == nil && n == 0 {
		return fail(Conflict, "it is the only admin: make somebody else one first")
	}
	return err
}

// RemoveUser forgets an account with its keys and tokens; images and preseeds
// of it stay, and are nobody's, and the history keeps its name. Only an admin
// may, and not while the account holds machines: the error names them. An
// account that is disabled instead (see [Lab.ChangeUser]) keeps its history.
func (l *Lab) RemoveUser(ctx context.Context, actor Actor, name string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "remove user %s: only an admin may", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		user, err := tx.User(ctx, name)
		if err != nil {
			return notFound(err, "user", name)
		}
		if user.ID == actor.User.ID {
			return fail(Conflict, "this is you: another admin can")
		}
		held, err := tx.HeldMachines(ctx, user.ID)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return fail(Conflict, "%s still holds %s: release them first", user.Name, someOf(held))
		}
		if err := tx.DeleteUser(ctx, user.ID); err != nil {
			return err
		}
		if err := anAdminStays(ctx, tx, user); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventUserRemoved, Detail: string(user.Role) + " " + user.Name})
	})
	return wrap(err, "remove user %s", name)
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

// Login makes an actor of somebody who has proven to have the key. It is kept,
// but for what [loginEvery] says.
func (l *Lab) Login(ctx context.Context, user, fingerprint, remote string) (Actor, error) {
	actor := Actor{Via: "key " + fingerprint, Remote: remote, key: fingerprint}
	this, again := login{hostOf(remote), l.now()}, false
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		if actor.User, err = tx.UserByKey(ctx, user, fingerprint); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return fail(Denied, "the key %s is not enrolled for it; an admin can add it: provisioner user add %s --key FILE", fingerprint, user)
			}
			return err
		}
		if err := tx.KeyUsed(ctx, actor.User.ID, fingerprint, this.at); err != nil {
			return err
		}
		if again = l.logins.stands(actor, this); again {
			return stillIs(ctx, tx, actor)
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventLogin, Detail: remote})
	})
	if err != nil {
		return Actor{}, wrap(err, "log in as %s", user)
	}
	if !again {
		l.logins.kept(actor, this)
	}
	return actor, nil
}
