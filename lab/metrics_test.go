package lab_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/store"
)

func TestStatisticsCountWhatThereIs(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.Assign(ctx, f.admin, "web-01", "grace", "")) // which is held once, by two
	f.must(f.Provision(ctx, f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"}))
	f.bmcs["bmc-arm-01"].fail(&ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	_, err := f.PowerOf(ctx, f.ada, "arm-01")
	f.refused(err, lab.Unavailable)
	seat, err := f.OpenConsole(ctx, f.ada, "web-01")
	f.must(err)
	defer seat.Close()
	_, leave := f.Session(ctx, f.ada)
	defer leave()

	reader := f.token(lab.NewToken{User: "ada", Scope: store.ScopeRead})
	s, err := f.Statistics(ctx, reader)
	f.must(err)
	consoles := int64(0)
	for _, n := range s.Consoles {
		consoles += n
	}
	if s.Machines[store.StateProvisioning] != 1 || s.Machines[store.StateUnknown] != 2 || s.Held != 1 || s.Runs != 1 || s.Queue != 0 ||
		s.Failing != 1 || s.Power[lab.PowerUnknown] != 1 || s.Guests != 1 || s.Sessions != 1 || consoles != 3 || s.Consoles[console.Closed] != 0 {
		t.Errorf("%+v", s)
	}
	_, err = f.Statistics(ctx, f.token(lab.NewToken{User: "ada", Machines: `(= name "web-01")`}))
	f.refused(err, lab.Denied, "statistics are of all")
}

func TestBMCsFailInFewWords(t *testing.T) {
	for want, err := range map[string]error{
		"no answer":      &ipmi.Error{Op: "open", Err: ipmi.ErrNoAnswer},
		"credentials":    fmt.Errorf("power: %w", ipmi.ErrBadCredentials),
		"refused":        ipmi.ErrRefused,
		"protocol":       ipmi.ErrProtocol,
		"console in use": &ipmi.SOLActiveError{},
		"paused":         &ipmi.PausedError{Err: ipmi.ErrNoAnswer},
		"cancelled":      context.Canceled,
		"other":          errors.New("something else"),
	} {
		if got := lab.BMCFailure(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
