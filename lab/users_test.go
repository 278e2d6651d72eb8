package lab_test

import (
	"context"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

func TestAccountsAreForAdmins(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	key := lab.PublicKey{Fingerprint: "SHA256:other", Authorized: "ssh-ed25519 BBBB"}
	admin := store.RoleAdmin
	for what, do := range map[string]func(lab.Actor) error{
		"change": func(a lab.Actor) error { return f.ChangeUser(ctx, a, "grace", lab.UserChange{Role: &admin}) },
		"remove": func(a lab.Actor) error { return f.RemoveUser(ctx, a, "grace") },
	} {
		t.Run(what, func(*testing.T) { f.refused(do(f.ada), lab.Denied, "grace", "only an admin") })
	}
	for what, do := range map[string]func(lab.Actor, string) error{
		"add key":    func(a lab.Actor, user string) error { return f.AddKey(ctx, a, user, key) },
		"remove key": func(a lab.Actor, user string) error { return f.RemoveKey(ctx, a, user, key.Fingerprint) },
		"list keys":  func(a lab.Actor, user string) error { _, err := f.Keys(ctx, a, user); return err },
		"list tokens": func(a lab.Actor, user string) error {
			_, err := f.Tokens(ctx, a, user)
			return err
		},
	} {
		t.Run(what, func(*testing.T) {
			f.refused(do(f.ada, "grace"), lab.Denied, "only grace or an admin")
			f.refused(do(lab.Actor{}, "grace"), lab.Denied, "only grace or an admin")
			f.refused(do(f.ada, "nobody"), lab.NotFound, `no user "nobody"`)
		})
	}
	f.must(f.AddKey(ctx, f.ada, "ada", key))
	f.refused(f.AddKey(ctx, f.admin, "ada", key), lab.Conflict, "enrolled already")
	keys, err := f.Keys(ctx, f.admin, "ada")
	if err != nil || len(keys) != 2 || keys[0].UsedAt.IsZero() || !keys[1].UsedAt.IsZero() {
		t.Errorf("keys: %+v, %v", keys, err)
	}
	f.must(f.RemoveKey(ctx, f.ada, "ada", key.Fingerprint))
	f.refused(f.RemoveKey(ctx, f.ada, "ada", key.Fingerprint), lab.NotFound, key.Fingerprint)
	f.refused(f.RemoveKey(ctx, f.admin, "root", "SHA256:root"), lab.Conflict, "last key of an admin")
	_, err = f.Tokens(ctx, f.ada, "")
	f.refused(err, lab.Denied, "only an admin")
}

func TestWhoUsesAnAccountIsForItselfAndAdmins(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.grace, "web-01", ""))
	for _, actor := range []lab.Actor{f.admin, f.grace, f.ada} {
		accounts, err := f.Users(t.Context(), actor)
		f.must(err)
		for _, a := range accounts {
			if a.Name != "grace" {
				continue
			}
			if len(a.Machines) != 1 || a.Machines[0] != "web-01" {
				t.Errorf("%s sees that grace holds %v", actor.User.Name, a.Machines)
			}
			if known := a.Keys == 1 && !a.UsedAt.IsZero(); known != (actor.User.Name != "ada") {
				t.Errorf("%s sees %d keys, used %s", actor.User.Name, a.Keys, a.UsedAt)
			}
		}
	}
}

func TestAnAccountThatIsDisabledIsOutAtOnce(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	seat, err := f.OpenConsole(ctx, f.ada, "web-01")
	f.must(err)
	defer seat.Close()
	token, err := f.CreateToken(ctx, f.ada, lab.NewToken{User: "ada"})
	f.must(err)
	session, leave := f.Session(ctx, f.ada)
	defer leave()

	yes, no := true, false
	f.must(f.ChangeUser(ctx, f.admin, "ada", lab.UserChange{Disabled: &yes}))
	<-session.Done()
	f.refused(context.Cause(session), lab.Denied, "ada is disabled")
	for err == nil {
		_, err = seat.Next(ctx)
	}
	f.refused(f.Release(ctx, f.ada, "web-01"), lab.Denied, "ada is disabled")
	_, err = f.Login(ctx, "ada", "SHA256:ada", "")
	f.refused(err, lab.Denied, "ada is disabled")
	_, err = f.Authenticate(ctx, token, store.ScopeRead, "")
	f.refused(err, lab.Denied, "ada is disabled")
	if m := f.machine("web-01"); len(m.Holders) != 1 {
		t.Errorf("a disabled account holds %+v; want what it held", m.Holders)
	}
	late, leaveLate := f.Session(ctx, f.ada)
	defer leaveLate()
	f.refused(context.Cause(late), lab.Denied, "ada is disabled")

	f.must(f.ChangeUser(ctx, f.admin, "ada", lab.UserChange{Disabled: &no}))
	f.must(f.Release(ctx, f.ada, "web-01"))
}

func TestAnAdminAlwaysStays(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	user, yes := store.RoleUser, true
	f.refused(f.ChangeUser(ctx, lab.Local, "root", lab.UserChange{Role: &user}), lab.Conflict, "the only admin")
	f.refused(f.ChangeUser(ctx, lab.Local, "root", lab.UserChange{Disabled: &yes}), lab.Conflict, "the only admin")
	f.refused(f.RemoveUser(ctx, lab.Local, "root"), lab.Conflict, "the only admin")
	f.refused(f.RemoveUser(ctx, f.admin, "root"), lab.Conflict, "this is you")
	f.refused(f.ChangeUser(ctx, f.admin, "root", lab.UserChange{Disabled: &yes}), lab.Conflict, "this is you")

	second := f.login("second", true)
	f.must(f.ChangeUser(ctx, f.admin, "root", lab.UserChange{Role: &user})) // gives it up
	f.refused(f.RemoveUser(ctx, f.admin, "grace"), lab.Denied, "no admin any more")
	f.must(f.RemoveUser(ctx, second, "root"))
	f.refused(f.AddUser(ctx, f.admin, "eve", false, nil), lab.Denied, "is no more")
}

func TestAnAccountGoesWithoutLeavingMachinesBehind(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.refused(f.RemoveUser(ctx, f.admin, "ada"), lab.Conflict, "still holds web-01")
	f.must(f.Release(ctx, f.ada, "web-01"))
	f.must(f.RemoveUser(ctx, f.admin, "ada"))
	_, err := f.Login(ctx, "ada", "SHA256:ada", "")
	f.refused(err, lab.Denied, "not enrolled")

	// Whoever comes next is another one, to a session that is still open, too.
	next := f.login("next", false)
	if next.User.ID <= f.grace.User.ID || next.User.ID == f.ada.User.ID {
		t.Errorf("the next account has the id %d, as %d had", next.User.ID, f.ada.User.ID)
	}
	f.must(f.RemoveUser(ctx, f.admin, "next"))
	if again := f.login("again", false); again.User.ID <= next.User.ID {
		t.Errorf("the id %d was given twice", again.User.ID)
	}
}

func TestAccountsAreRenamed(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for name, code := range map[string]lab.Code{"Bad Name": lab.Invalid, "grace": lab.Conflict} {
		f.refused(f.ChangeUser(ctx, f.admin, "ada", lab.UserChange{Name: &name}), code)
	}
	role := store.Role("god")
	f.refused(f.ChangeUser(ctx, f.admin, "ada", lab.UserChange{Role: &role}), lab.Invalid, "user and admin")
	name := "lovelace"
	f.must(f.ChangeUser(ctx, f.admin, "ada", lab.UserChange{Name: &name}))
	_, err := f.Login(ctx, "lovelace", "SHA256:ada", "")
	f.must(err)
}
