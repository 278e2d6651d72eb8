package lab_test

import (
	"errors"
	"io"
	"testing"

	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/store"
)

// TestATokenForReadingWatchesAConsole of a machine that its user holds, and no
// other; it never types there.
func TestATokenForReadingWatchesAConsole(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	machine := <-f.bmcs["bmc-web-01"].opened
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	reader := f.token(lab.NewToken{User: "ada", Scope: store.ScopeRead})
	_, err := f.OpenConsole(ctx, reader, "web-01")
	f.refused(err, lab.Denied, "token is for reading")
	_, err = f.WatchConsole(ctx, reader, "web-02", -1)
	f.refused(err, lab.Denied, "reserve it first")
	_, err = f.WatchConsole(ctx, f.token(lab.NewToken{User: "grace", Scope: store.ScopeRead}), "web-01", -1)
	f.refused(err, lab.Denied, "held by ada")
	_, err = f.WatchConsole(ctx, f.token(lab.NewToken{User: "ada", Machines: `(= name "web-02")`}), "web-01", -1)
	f.refused(err, lab.NotFound, "no machine")

	f.print(machine, "login: ")
	seat, err := f.WatchConsole(ctx, reader, "web-01", -1)
	f.must(err)
	defer seat.Close()
	f.seen(seat, "login: ")
	for what, err := range map[string]error{
		"send": seat.Send(ctx, []byte("x")), "take": seat.Take(ctx), "break": seat.SendBreak(ctx),
	} {
		t.Run(what, func(*testing.T) { f.refused(err, lab.Denied, "token is for reading") })
	}
	if mode := seat.Ask(); mode != console.Watching {
		t.Errorf("after asking, it %s", mode)
	}
	holder, err := f.WatchConsole(ctx, f.ada, "web-01", 0)
	f.must(err)
	defer holder.Close()
	if mode := holder.Ask(); mode != console.Writing {
		t.Errorf("after asking, the holder %s", mode)
	}

	f.must(f.Release(ctx, f.ada, "web-01"))
	for err == nil {
		_, err = seat.Next(ctx)
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("when the machine is released: %v", err)
	}
}
