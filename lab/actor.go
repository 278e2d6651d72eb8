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

	key   string       // fingerprint of the ssh key; empty: none
	token *tokenBounds // nil: no token, and so no bounds but the user's own
}

// Local is who runs a command on the server itself: whoever can write the data
// folder may do everything anyway.
var Local = Actor{User: store.User{Name: "local", Role: store.RoleAdmin}, Via: "command on the server"}

// IsAdmin reports whether the actor answers for the machines of everybody.
func (a Actor) IsAdmin() bool {
	return a.User.Role == store.RoleAdmin && (a.token == nil || a.token.scope == store.ScopeAdmin)
}

// mayChange says why the actor can change nothing at all; nil where they can
// change what they may. [Lab.record] asks it, whatever was done.
func (a Actor) mayChange() error {
	if a.token != nil && a.token.scope == store.ScopeRead {
		return fail(Denied, "the token is for reading only: make one with the scope operate")
	}
	return nil
}

// mayTouch says why the actor can change nothing about a machine, whoever holds it.
func (a Actor) mayTouch(m store.Machine) error {
	if err := a.mayChange(); err != nil {
		return err
	}
	if !a.sees(m) {
		return fail(Denied, "the token is not for this machine, but for those that match %s", a.token.filter)
	}
	return nil
}

// MayReserve says why the actor cannot take a machine for themselves; nil where
// they can. A face may ask beforehand, to show it; [Lab.Reserve] asks anyway.
func (a Actor) MayReserve(m store.Machine) error {
	if err := a.mayTouch(m); err != nil {
		return err
	}
	switch {
	case a.User.ID == 0:
		return fail(Denied, "a command on the server has no account that could hold it")
	case m.HeldBy(a.User.ID):
		return fail(Conflict, "you hold it already")
	case len(m.Holders) > 0:
		return fail(Conflict, "it is held by %s", holderNames(m))
	}
	return nil
}

// MayRelease says likewise why the actor cannot give a machine back: its
// holders and admins can.
func (a Actor) MayRelease(m store.Machine) error {
	if err := a.mayTouch(m); err != nil {
		return err
	}
	switch {
	case len(m.Holders) == 0:
		return fail(Conflict, "nobody holds it")
	case !a.IsAdmin() && !m.HeldBy(a.User.ID):
		return fail(Denied, "it is held by %s, not by you", holderNames(m))
	}
	return nil
}

// MayOperate says likewise why the actor cannot change what a machine does:
// its holders and admins can.
func (a Actor) MayOperate(m store.Machine) error {
	if err := a.mayTouch(m); err != nil {
		return err
	}
	return a.answersFor(m)
}

// MayWatch says likewise why the actor cannot watch a machine's console: those
// can who may operate it, also with a token that is for reading only.
func (a Actor) MayWatch(m store.Machine) error {
	if !a.sees(m) {
		return fail(Denied, "the token is not for this machine, but for those that match %s", a.token.filter)
	}
	return a.answersFor(m)
}

func (a Actor) answersFor(m store.Machine) error {
	switch {
	case a.IsAdmin() || m.HeldBy(a.User.ID):
		return nil
	case len(m.Holders) == 0:
		return fail(Denied, "nobody holds it; reserve it first")
	}
	return fail(Denied, "it is held by %s; ask them, or an admin", holderNames(m))
}

// mayUse checks that the actor may boot machines with something that has an owner.
func (a Actor) mayUse(what, name string, owner int64, public bool) error {
	if public || a.IsAdmin() || owner == a.User.ID {
		return nil
	}
	return fail(Denied, "%s %s is private: ask its owner to make it public", what, name)
}

// readings are the events that say what somebody read, and not what they changed.
var readings = map[string]bool{EventLogin: true, EventConsole: true}

// record keeps the event and the audit entry of what an actor did, in the
// transaction in which it was done. It refuses what an actor may not do any
// more, or never might: it is the one place that nothing that changes passes by.
func (l *Lab) record(ctx context.Context, tx *store.Tx, actor Actor, e store.Event) error {
	if err := actor.mayChange(); err != nil && !readings[e.Kind] {
		return err
	}
	if err := stillIs(ctx, tx, actor); err != nil {
		return err
	}
	e.At, e.User = l.now(), actor.User.Name
	if err := tx.AddEvent(ctx, e); err != nil {
		return err
	}
	return tx.AddAudit(ctx, store.AuditEntry{
		At: e.At, Actor: actor.User.Name, Via: actor.Via, Remote: actor.Remote,
		Action: e.Kind, Subject: e.Machine, Detail: e.Detail,
	})
}
