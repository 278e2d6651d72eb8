package lab_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// token makes a token for ada, and an actor of it.
func (f *fixture) token(n lab.NewToken) lab.Actor {
	f.t.Helper()
	token, err := f.CreateToken(f.t.Context(), lab.Local, n)
	f.must(err)
	actor, err := f.Authenticate(f.t.Context(), token, store.ScopeRead, "192.0.2.7:1")
	f.must(err)
	return actor
}

func TestATokenForReadingChangesNothing(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.admin, "web-01", ""))
	reader := f.token(lab.NewToken{User: "root", Scope: store.ScopeRead})
	for what, err := range map[string]error{
		"reserve": f.Reserve(ctx, reader, "web-02", ""),
		"release": f.Release(ctx, reader, "web-01"),
		"power":   f.SetPower(ctx, reader, "web-01", lab.TurnOn),
		"run":     f.Provision(ctx, reader, "web-01", lab.ProvisionRequest{Kernel: "linux"}),
		"preseed": f.AddPreseed(ctx, reader, lab.NewPreseed{Name: "mine", Type: "preseed", Content: "x"}),
		"image": f.AddImage(ctx, reader, lab.NewImage{Name: "mine", Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz"},
			strings.NewReader("x")),
		"key": f.AddKey(ctx, reader, "root", lab.PublicKey{Fingerprint: "SHA256:x", Authorized: "x"}),
		"token": func() error {
			_, err := f.CreateToken(ctx, reader, lab.NewToken{User: "root"})
			return err
		}(),
		"upload": func() error {
			_, err := f.CreateUpload(ctx, reader, lab.NewImage{Name: "mine", Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz"}, 1)
			return err
		}(),
	} {
		t.Run(what, func(*testing.T) { f.refused(err, lab.Denied, "token is for read") })
	}
	f.refused(f.AddUser(ctx, reader, "eve", false, nil), lab.Denied, "only an admin")
	if m, err := f.Machine(ctx, reader, "web-01"); err != nil || !m.HeldBy(reader.User.ID) {
		t.Errorf("what it may read: %+v, %v", m, err)
	}
	if _, err := f.PowerOf(ctx, reader, "web-01"); err != nil {
		t.Errorf("power: %v", err)
	}
}

func TestATokenIsForItsMachinesOnly(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Assign(ctx, f.admin, "web-01", "ada", ""))
	actor := f.token(lab.NewToken{User: "ada", Machines: `(=~ name "arm")`})
	f.must(f.Reserve(ctx, actor, "arm-01", ""))
	f.must(f.SetPower(ctx, actor, "arm-01", lab.TurnOn))
	f.refused(f.Reserve(ctx, actor, "web-02", ""), lab.Denied, "not for this machine", `(=~ name "arm")`)
	f.refused(f.Release(ctx, actor, "web-01"), lab.Denied, "not for this machine")
	for what, err := range map[string]error{
		"power":   f.SetPower(ctx, actor, "web-01", lab.TurnOn),
		"console": func() error { _, err := f.OpenConsole(ctx, actor, "web-01"); return err }(),
		"log": func() error {
			_, err := f.ConsoleLog(ctx, actor, "web-01", transcript.Window{})
			return err
		}(),
		"show":   func() error { _, err := f.Machine(ctx, actor, "web-01"); return err }(),
		"events": func() error { _, err := f.MachineEvents(ctx, actor, "web-01", 1); return err }(),
		"guests": func() error { _, err := f.ConsoleGuests(ctx, actor, "web-01"); return err }(),
		"disks":  func() error { _, err := f.Disks(ctx, actor, "web-01"); return err }(),
	} {
		t.Run(what, func(*testing.T) { f.refused(err, lab.NotFound, `no machine "web-01"`) })
	}
	list, err := f.FindMachines(ctx, actor, lab.MachineFilter{}, lab.Page{})
	if err != nil || len(list.Machines) != 1 || list.Machines[0].Name != "arm-01" {
		t.Errorf("it finds %+v, %v", list, err)
	}
	_, err = f.MachineName(ctx, actor, "1")
	f.refused(err, lab.NotFound, `no machine "1"`)
	machines, err := f.Machines(ctx, actor)
	if err != nil || len(machines) != 1 || machines[0].Name != "arm-01" {
		t.Errorf("it lists %+v, %v", machines, err)
	}
}

func TestWhatATokenCannotBe(t *testing.T) {
	f := newFixture(t)
	for words, n := range map[string]lab.NewToken{
		"read, operate and admin":  {User: "ada", Scope: "god"},
		"expired already":          {User: "ada", Expires: f.clock()},
		"one line":                 {User: "ada", Name: "two\nlines"},
		"at most 64 bytes":         {User: "ada", Name: strings.Repeat("x", 65)},
		"machines: column":         {User: "ada", Machines: "(and"},
		"by holder, which changes": {User: "ada", Machines: "(= holder ada)"},
		"leave the query out":      {User: "ada", Machines: "(= arch amd64)", Scope: store.ScopeAdmin},
	} {
		_, err := f.CreateToken(t.Context(), lab.Local, n)
		f.refused(err, lab.Invalid, "create token for ada")
		if err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	// One that is not for everything does not make one that is.
	operate := f.token(lab.NewToken{User: "root"})
	_, err := f.CreateToken(t.Context(), operate, lab.NewToken{User: "root", Scope: store.ScopeAdmin})
	f.refused(err, lab.Denied, "needs admin")
	admin := f.token(lab.NewToken{User: "root", Scope: store.ScopeAdmin})
	f.must(f.AddUser(t.Context(), admin, "eve", false, nil))
	_, err = f.CreateToken(t.Context(), admin, lab.NewToken{User: "eve"})
	f.must(err)
}

func TestTokensAreListedWithoutSecretsAndRevoked(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	token, err := f.CreateToken(ctx, f.ada, lab.NewToken{User: "ada", Name: "ci", Expires: f.clock().Add(time.Hour)})
	f.must(err)
	actor, err := f.Authenticate(ctx, token, store.ScopeOperate, "")
	f.must(err)
	tokens, err := f.Tokens(ctx, f.ada, "ada")
	f.must(err)
	if len(tokens) != 1 || tokens[0].Name != "ci" || tokens[0].Hash != nil || tokens[0].UsedAt.IsZero() || tokens[0].User != "ada" {
		t.Fatalf("tokens: %+v", tokens)
	}
	session, leave := f.Session(ctx, actor)
	defer leave()
	f.refused(f.RevokeToken(ctx, f.grace, tokens[0].ID), lab.Denied, "only ada or an admin")
	f.must(f.RevokeToken(ctx, f.ada, tokens[0].ID))
	<-session.Done()
	if err := context.Cause(session); !errors.Is(err, lab.ErrToken) {
		t.Errorf("the session of a revoked token ended by %v", err)
	}
	f.refused(f.Reserve(ctx, actor, "web-01", ""), lab.Denied, "revoked")
	_, err = f.Authenticate(ctx, token, store.ScopeRead, "")
	f.refused(err, lab.Denied, lab.ErrToken.Error())
	f.refused(f.RevokeToken(ctx, f.admin, tokens[0].ID), lab.NotFound, "no such token")
}
