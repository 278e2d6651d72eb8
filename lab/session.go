package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/store"
)

// session is somebody who has come in and stays for a while.
type session struct {
	actor Actor
	end   context.CancelCauseFunc
}

// Session returns a context for what an actor does who stays: it ends with
// ctx, and as soon as the actor's way in is no more, because their account was
// disabled, demoted or removed, their key or token taken away, or the token has expired. Its cause is
// then an [Error] that says so. The returned function gives it back.
func (l *Lab) Session(ctx context.Context, actor Actor) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	s := &session{actor, end}
	l.mu.Lock()
	l.sessions[s] = struct{}{}
	l.mu.Unlock()
	// What happened before it was there to be found.
	if err := l.stillIs(ctx, actor); err != nil {
		end(err)
	}
	expiry := func() bool { return true }
	if actor.token != nil && !actor.token.expires.IsZero() {
		expiry = time.AfterFunc(actor.token.expires.Sub(l.now()), func() { end(fail(Denied, "%w: it has expired", ErrToken)) }).Stop
	}
	return ctx, func() {
		expiry()
		l.mu.Lock()
		delete(l.sessions, s)
		l.mu.Unlock()
		end(nil)
	}
}

func (l *Lab) stillIs(ctx context.Context, actor Actor) error {
	return l.store.Read(ctx, func(tx *store.Tx) error { return stillIs(ctx, tx, actor) })
}

// endSessions ends the sessions, and the seats at consoles, of actors who are
// not any more who they were.
func (l *Lab) endSessions(ctx context.Context) error {
	l.mu.Lock()
	sessions := make([]*session, 0, len(l.sessions))
	for s := range l.sessions {
		sessions = append(sessions, s)
	}
	var seats []*Seat
	for _, a := range l.machines {
		seats = append(seats, a.seats...)
	}
	l.mu.Unlock()
	return l.store.Read(ctx, func(tx *store.Tx) error {
		var failed error
		gone := func(actor Actor) error {
			err := stillIs(ctx, tx, actor)
			if CodeOf(err) != Denied {
				failed = errors.Join(failed, err)
				return nil
			}
			return err
		}
		for _, s := range sessions {
			if err := gone(s.actor); err != nil {
				s.end(err)
			}
		}
		for _, s := range seats {
			if gone(s.actor) != nil {
				s.Close()
			}
		}
		return failed
	})
}

// stillIs checks that an actor may still come in as they did: a session, or a
// program with a token, may last for days.
func stillIs(ctx context.Context, tx *store.Tx, actor Actor) error {
	if actor.User.ID == 0 {
		return nil // no account: a command on the server, a machine, the clock
	}
	now, err := tx.UserByID(ctx, actor.User.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fail(Denied, "the account %s is no more", actor.User.Name)
	case err != nil:
		return err
	case now.Disabled:
		return fail(Denied, "the account %s is disabled: an admin can enable it", actor.User.Name)
	case actor.User.Role == store.RoleAdmin && now.Role != store.RoleAdmin:
		return fail(Denied, "%s is no admin any more: log in again", actor.User.Name)
	}
	switch {
	case actor.token != nil:
		if _, err := tx.Token(ctx, actor.token.id); errors.Is(err, store.ErrNotFound) {
			return fail(Denied, "%w: it was revoked", ErrToken)
		} else if err != nil {
			return err
		}
	case actor.key != "":
		found, err := tx.HasSSHKey(ctx, actor.User.ID, actor.key)
		if err == nil && !found {
			err = fail(Denied, "the key %s was taken from %s", actor.key, actor.User.Name)
		}
		return err
	}
	return nil
}
