package lab

import (
	"context"
	"errors"

	"provisioner/store"
)

// mayAnswerFor says why the actor cannot see or change how somebody gets in:
// for themselves they can, and admins for everybody. A token that is not for
// everything cannot: it would make itself one that is.
func (a Actor) mayAnswerFor(user store.User) error {
	switch {
	case a.token != nil && a.token.scope != store.ScopeAdmin:
		return fail(Denied, "the token is for %s only, and this needs %s", a.token.scope, store.ScopeAdmin)
	case !a.IsAdmin() && (a.User.ID == 0 || a.User.ID != user.ID):
		return fail(Denied, "only %s or an admin may", user.Name)
	}
	return nil
}

// answerFor finds an account whose keys and tokens the actor wants to see or change.
func answerFor(ctx context.Context, tx *store.Tx, actor Actor, name string) (store.User, error) {
	user, err := tx.User(ctx, name)
	if err != nil {
		return user, notFound(err, "user", name)
	}
	return user, actor.mayAnswerFor(user)
}

// Keys returns the ssh keys of a user, the oldest first: to themselves, and to admins.
func (l *Lab) Keys(ctx context.Context, actor Actor, user string) (keys []store.SSHKey, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		owner, err := answerFor(ctx, tx, actor, user)
		if err != nil {
			return err
		}
		keys, err = tx.SSHKeys(ctx, owner.ID)
		return err
	})
	return keys, wrap(err, "list the keys of %s", user)
}

// AddKey enrols a key for a user: for the actor's own account, or by an admin.
func (l *Lab) AddKey(ctx context.Context, actor Actor, user string, key PublicKey) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		owner, err := answerFor(ctx, tx, actor, user)
		if err != nil {
			return err
		}
		return l.enrol(ctx, tx, actor, owner, key)
	})
	return wrap(err, "add a key for %s", user)
}

// RemoveKey takes a key from a user, likewise. The last key of the last admin
// stays: without it, whoever sees the server's output could claim the server.
func (l *Lab) RemoveKey(ctx context.Context, actor Actor, user, fingerprint string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		owner, err := answerFor(ctx, tx, actor, user)
		if err != nil {
			return err
		}
		if err := tx.DeleteSSHKey(ctx, owner.ID, fingerprint); err != nil {
			return notFound(err, "key of "+owner.Name, fingerprint)
		}
		if owner.Role == store.RoleAdmin {
			admin, err := tx.AdminWithKey(ctx)
			if err != nil {
				return err
			}
			if !admin {
				return fail(Conflict, "it is the last key of an admin: add another one first")
			}
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventKeyRemoved, Detail: owner.Name + " " + fingerprint})
	})
	return wrap(err, "remove a key of %s", user)
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
