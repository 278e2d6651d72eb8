package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"provisioner/store"
)

// tokenUsedEvery is how exactly the last use of a token is kept: a program
// that asks every second does not cause a write every second.
const tokenUsedEvery = time.Minute

// scopes are in order: each may do what those before it may.
var scopes = []store.TokenScope{store.ScopeRead, store.ScopeOperate, store.ScopeAdmin}

// ErrToken is wrapped by the error of a token that is nobody's, any more.
var ErrToken = errors.New("the token is not valid")

// Authenticate makes an actor of whoever shows a token, for a call that needs
// a token of that scope at least. The actor may do what the token's user may,
// but nothing that is for admins with a token of a lower scope. A token that
// is unknown or has expired gives an error that wraps [ErrToken].
func (l *Lab) Authenticate(ctx context.Context, token string, needs store.TokenScope, remote string) (Actor, error) {
	hash := sha256.Sum256([]byte(token))
	var kept store.Token
	var owner store.User
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		kept, owner, err = tx.TokenByHash(ctx, hash[:])
		return err
	})
	now := l.now()
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Actor{}, fail(Denied, "%w: make one with provisioner token create --user NAME", ErrToken)
	case err != nil:
		return Actor{}, wrap(err, "look up a token")
	case !kept.ExpiresAt.IsZero() && !now.Before(kept.ExpiresAt):
		return Actor{}, fail(Denied, "%w: it has expired", ErrToken)
	case slices.Index(scopes, kept.Scope) < slices.Index(scopes, needs):
		return Actor{}, fail(Denied, "the token is for %s only, and this needs %s", kept.Scope, needs)
	}
	if now.Sub(kept.UsedAt) >= tokenUsedEvery {
		err := l.store.Write(ctx, func(tx *store.Tx) error { return tx.TokenUsed(ctx, kept.ID, now) })
		if err != nil {
			return Actor{}, wrap(err, "use a token")
		}
	}
	if kept.Scope != store.ScopeAdmin {
		owner.Role = store.RoleUser
	}
	via := "token"
	if kept.Name != "" {
		via += " " + kept.Name
	}
	return Actor{User: owner, Via: via, Remote: remote}, nil
}
