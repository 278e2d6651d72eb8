package lab

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"provisioner/store"
)

// ClaimUser is the account that the claim code opens.
const ClaimUser = "admin"

// Guessing one of 32^8 codes, at one try in claimEvery after the first
// claimBurst, takes longer than anybody will wait.
const (
	claimAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // no I, O, 0, 1: it is read aloud and typed
	claimEvery    = 10 * time.Second
	claimBurst    = 5
)

// claim is the way in to a fresh installation: a code that whoever can see the
// server's output may use once.
type claim struct {
	mu    sync.Mutex
	code  string // without its dash
	limit *rate.Limiter
}

// Claimable reports whether nobody can log in as an admin yet.
func (l *Lab) Claimable(ctx context.Context) (bool, error) {
	var admin bool
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		admin, err = tx.AdminWithKey(ctx)
		return err
	})
	return err == nil && !admin, wrap(err, "look for an admin")
}

// ClaimCode returns the code that the first admin types, XXXX-XXXX. It stays
// the same until the process ends, and is worth nothing once it was used.
func (l *Lab) ClaimCode() string {
	l.claim.mu.Lock()
	defer l.claim.mu.Unlock()
	if l.claim.code == "" {
		bits := make([]byte, 8)
		_, _ = rand.Read(bits) // never fails: crypto/rand ends the process instead
		for i, b := range bits {
			bits[i] = claimAlphabet[int(b)%len(claimAlphabet)]
		}
		l.claim.code = string(bits)
	}
	return l.claim.code[:4] + "-" + l.claim.code[4:]
}

// Claim enrols the key for the admin account if the code is right. Wrong
// tries are limited in all, not for each address: an attacker has many.
func (l *Lab) Claim(ctx context.Context, code string, key PublicKey, remote string) (Actor, error) {
	want := strings.ReplaceAll(l.ClaimCode(), "-", "")
	got := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(code)))
	if !l.claim.limit.AllowN(l.now(), 1) {
		return Actor{}, fail(Denied, "too many wrong codes: wait %s and try again", claimEvery)
	}
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return Actor{}, fail(Denied, "this is not the claim code: it is in the output of the server's start")
	}
	actor := Actor{Via: "claim code, key " + key.Fingerprint, Remote: remote}
	err := l.write(ctx, func(tx *store.Tx) error {
		claimed, err := tx.AdminWithKey(ctx)
		if err != nil {
			return err
		}
		if claimed {
			return fail(Conflict, "somebody has claimed this server already; ask an admin to add your key")
		}
		actor.User, err = tx.User(ctx, ClaimUser)
		if errors.Is(err, store.ErrNotFound) {
			actor.User.Name = ClaimUser // so that the events name who did it
			actor.User, err = l.addUser(ctx, tx, actor, ClaimUser, true)
		}
		if err != nil {
			return err
		}
		if actor.User.Role != store.RoleAdmin || actor.User.Disabled {
			actor.User.Role, actor.User.Disabled = store.RoleAdmin, false
			if err := tx.UpdateUser(ctx, actor.User); err != nil {
				return err
			}
		}
		return l.enrol(ctx, tx, actor, actor.User, key)
	})
	if err != nil {
		return Actor{}, wrap(err, "claim this server")
	}
	return actor, nil
}
