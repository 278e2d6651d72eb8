package lab

import (
	"context"

	"provisioner/store"
)

// Actor is on whose behalf a call is made. Every call of [Lab] takes one: what
// it may do is decided by it, and the audit names it.
type Actor struct {
	User   store.User
	Via    string // by which key or token, as the audit shows it
	Remote string // from which address
}

// Local is who runs a command on the server itself: whoever can write the data
// folder may do everything anyway.
var Local = Actor{User: store.User{Name: "local", Role: store.RoleAdmin}, Via: "command on the server"}

// IsAdmin reports whether the actor answers for the machines of everybody.
func (a Actor) IsAdmin() bool { return a.User.Role == store.RoleAdmin }

// mayOperate checks that the actor may change what a machine does: its holders
// and admins may.
func (a Actor) mayOperate(m store.Machine, wanted string) error {
	if a.IsAdmin() || m.HeldBy(a.User.ID) {
		return nil
	}
	if len(m.Holders) == 0 {
		return fail(Denied, "%s %s: nobody holds it; reserve it first", wanted, m.Name)
	}
	return fail(Denied, "%s %s: it is held by %s; ask them, or an admin", wanted, m.Name, holderNames(m))
}

// mayUse checks that the actor may boot machines with something that has an owner.
func (a Actor) mayUse(what, name string, owner int64, public bool) error {
	if public || a.IsAdmin() || owner == a.User.ID {
		return nil
	}
	return fail(Denied, "%s %s is private: ask its owner to make it public", what, name)
}

// record keeps the event and the audit entry of what an actor did, in the
// transaction in which it was done.
func (l *Lab) record(ctx context.Context, tx *store.Tx, actor Actor, e store.Event) error {
	e.At, e.User = l.now(), actor.User.Name
	if err := tx.AddEvent(ctx, e); err != nil {
		return err
	}
	return tx.AddAudit(ctx, store.AuditEntry{
		At: e.At, Actor: actor.User.Name, Via: actor.Via, Remote: actor.Remote,
		Action: e.Kind, Subject: e.Machine, Detail: e.Detail,
	})
}
