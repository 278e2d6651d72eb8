package lab

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"provisioner/query"
	"provisioner/store"
)

const (
	// tokenUsedEvery is how exactly the last use of a token is kept: a program
	// that asks every second does not cause a write every second.
	tokenUsedEvery = time.Minute

	// maxTokenName is how long the name of a token may be, in bytes.
	maxTokenName = 64

	// maxTokens is how many tokens a user may have.
	maxTokens = 100
)

// scopes are in order: each may do what those before it may.
var scopes = []store.TokenScope{store.ScopeRead, store.ScopeOperate, store.ScopeAdmin}

// filterFields are what the filter of a token may go by: what a machine is, and
// not how it is now, which whoever has the token could change.
var filterFields = []string{"name", "id", "arch", "subarch"}

// ErrToken is wrapped by the error of a token that is nobody's, any more.
var ErrToken = errors.New("the token is not valid")

// tokenBounds is how far a token goes, whatever its user may.
type tokenBounds struct {
	id      int64
	scope   store.TokenScope
	filter  query.Query
	expires time.Time // zero: never
}

// sees reports whether a machine is there for the actor: a token may be for
// some machines only. Every list of machines, or of what they do, asks it.
func (a Actor) sees(m store.Machine) bool {
	return a.token == nil || a.token.filter.Match(func(field string) any {
		switch field {
		case "name":
			return m.Name
		case "id":
			return m.ID
		case "arch":
			return m.Arch
		case "subarch":
			return m.Subarch
		}
		return nil // parseFilter takes no other
	})
}

// seesAll reports whether the actor sees whatever machine there is.
func (a Actor) seesAll() bool { return a.token == nil || a.token.filter.Root() == nil }

// only narrows a query down to the machines that the actor sees.
func (a Actor) only(q query.Query) query.Query {
	if a.token == nil {
		return q
	}
	return a.token.filter.And(q)
}

// NewToken describes a token to be made.
type NewToken struct {
	User     string           // whose it is
	Name     string           // what it is for; at most 64 bytes
	Scope    store.TokenScope // empty: operate
	Machines string           // a query of name, id, arch and subarch; empty: all machines
	Expires  time.Time        // zero: never
}

// CreateToken makes a token for automation and returns it. It is shown this
// once: only its hash is kept. Its owner may, and admins. A token with the
// scope admin may do all that its user may, and is for all machines; others do
// nothing that is for admins.
func (l *Lab) CreateToken(ctx context.Context, actor Actor, n NewToken) (string, error) {
	token, _, err := l.IssueToken(ctx, actor, n)
	return token, err
}

// IssueToken is CreateToken that also returns what is kept of the token.
func (l *Lab) IssueToken(ctx context.Context, actor Actor, n NewToken) (token string, kept store.Token, err error) {
	if n.Scope == "" {
		n.Scope = store.ScopeOperate
	}
	filter, err := l.checkToken(n)
	if err != nil {
		return "", store.Token{}, wrap(err, "create token for %s", n.User)
	}
	token = randomToken()
	err = l.write(ctx, func(tx *store.Tx) error {
		owner, err := answerFor(ctx, tx, actor, n.User)
		if err != nil {
			return err
		}
		have, err := tx.Tokens(ctx, owner.ID)
		if err != nil {
			return err
		}
		if len(have) >= maxTokens {
			return fail(Conflict, "%s has %d tokens, and no more are possible: revoke one", owner.Name, len(have))
		}
		hash := sha256.Sum256([]byte(token))
		kept = store.Token{
			UserID: owner.ID, User: owner.Name, Name: n.Name, Hash: hash[:], Scope: n.Scope, MachineFilter: filter,
			CreatedAt: l.now(), ExpiresAt: n.Expires,
		}
		if kept.ID, err = tx.AddToken(ctx, kept); err != nil {
			return err
		}
		detail := owner.Name + " " + string(n.Scope) + " " + n.Name
		return l.record(ctx, tx, actor, store.Event{Kind: EventTokenCreated, Detail: strings.TrimSpace(detail)})
	})
	if err != nil {
		return "", store.Token{}, wrap(err, "create token for %s", n.User)
	}
	kept.Hash = nil
	return token, kept, nil
}

// checkToken returns the filter in the form in which it is kept.
func (l *Lab) checkToken(n NewToken) (filter string, err error) {
	switch {
	case !slices.Contains(scopes, n.Scope):
		return "", fail(Invalid, "scope %q is none of read, operate and admin", n.Scope)
	case len(n.Name) > maxTokenName || !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, unicode.IsControl):
		return "", fail(Invalid, "its name is one line of at most %d bytes", maxTokenName)
	case !n.Expires.IsZero() && !n.Expires.After(l.now()):
		return "", fail(Invalid, "it would have expired already")
	}
	q, err := parseFilter(n.Machines)
	if err != nil {
		return "", err
	}
	if q.Root() != nil && n.Scope == store.ScopeAdmin {
		return "", fail(Invalid, "a token with the scope admin is for all machines: leave the query out, or make it one of scope operate")
	}
	return q.String(), nil
}

func parseFilter(text string) (query.Query, error) {
	q, err := query.Parse(text)
	if err != nil {
		return q, fail(Invalid, "machines: %w", err)
	}
	for _, f := range query.Fields() {
		if q.Uses(f.Name) && !slices.Contains(filterFields, f.Name) {
			return q, fail(Invalid, "a token cannot be for machines by %s, which changes: by %s", f.Name, strings.Join(filterFields, ", "))
		}
	}
	return q, nil
}

// Tokens returns the tokens of a user without what they are recognized by, the
// oldest first: to themselves, and to admins. Those of all users, where the
// name is empty, are for admins.
func (l *Lab) Tokens(ctx context.Context, actor Actor, user string) (tokens []store.Token, err error) {
	if user == "" && !actor.IsAdmin() {
		return nil, fail(Denied, "list all tokens: only an admin may")
	}
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		var owner store.User
		if user != "" {
			if owner, err = answerFor(ctx, tx, actor, user); err != nil {
				return err
			}
		}
		tokens, err = tx.Tokens(ctx, owner.ID)
		return err
	})
	for i := range tokens {
		tokens[i].Hash = nil
	}
	return tokens, wrap(err, "list tokens")
}

// RevokeToken ends a token: its owner may, and admins. Who shows it is refused
// from now on, and what it watches ends.
func (l *Lab) RevokeToken(ctx context.Context, actor Actor, id int64) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		token, err := tx.Token(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return fail(NotFound, "there is no such token")
		}
		if err != nil {
			return err
		}
		owner, err := tx.UserByID(ctx, token.UserID)
		if err != nil {
			return err
		}
		if err := actor.mayAnswerFor(owner); err != nil {
			return err
		}
		if err := tx.DeleteToken(ctx, id); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventTokenRevoked, Detail: strings.TrimSpace(owner.Name + " " + token.Name)})
	})
	return wrap(err, "revoke token %d", id)
}

// Authenticate makes an actor of whoever shows a token, for a call that needs
// a token of that scope at least. The actor may do what the token's user may,
// but nothing that is for admins with a token of a lower scope, nothing that
// changes with one for reading, and nothing with machines that it is not for.
// A token that is unknown, has expired, or whose user is disabled gives an
// error that wraps [ErrToken].
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
	case owner.Disabled:
		return Actor{}, fail(Denied, "%w: the account of %s is disabled", ErrToken, owner.Name)
	case slices.Index(scopes, kept.Scope) < slices.Index(scopes, needs):
		return Actor{}, fail(Denied, "the token is for %s only, and this needs %s", kept.Scope, needs)
	}
	filter, err := parseFilter(kept.MachineFilter)
	if err != nil {
		return Actor{}, fail(Denied, "%w: what it says of machines is not understood any more: %w", ErrToken, err)
	}
	if now.Sub(kept.UsedAt) >= tokenUsedEvery {
		err := l.store.Write(ctx, func(tx *store.Tx) error { return tx.TokenUsed(ctx, kept.ID, now) })
		if err != nil && !errors.Is(err, store.ErrNotFound) { // which says that it was revoked this moment
			return Actor{}, wrap(err, "use a token")
		}
	}
	via := "token"
	if kept.Name != "" {
		via += " " + kept.Name
	}
	return Actor{User: owner, Via: via, Remote: remote, token: &tokenBounds{kept.ID, kept.Scope, filter, kept.ExpiresAt}}, nil
}

// randomToken returns 192 random bits in a form that fits into addresses.
func randomToken() string {
	bits := make([]byte, 24)
	_, _ = rand.Read(bits) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(bits)
}
