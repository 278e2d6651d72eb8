package lab_test

import (
	"slices"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

func kinds(events []store.Event) (kinds []string) {
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestEventsAreFilteredAndPaged(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.advance(time.Hour)
	since := f.clock()
	f.must(f.Reserve(ctx, f.ada, "web-01", "bisect"))
	f.must(f.SetPower(ctx, f.ada, "web-01", lab.TurnOn))
	f.must(f.Reserve(ctx, f.grace, "web-02", ""))
	f.advance(time.Hour)
	f.must(f.Release(ctx, f.grace, "web-02"))
	for _, test := range []struct {
		filter lab.EventFilter
		want   []string
	}{
		{lab.EventFilter{Since: since, Kinds: []string{lab.EventReserved, lab.EventReleased}}, []string{lab.EventReleased, lab.EventReserved, lab.EventReserved}},
		{lab.EventFilter{Since: since, Until: f.clock(), User: "grace"}, []string{lab.EventReserved}},
		{lab.EventFilter{Since: since, Machine: "WEB-01", Kinds: []string{lab.EventReserved, lab.EventPower}}, []string{lab.EventPower, lab.EventReserved}},
		{lab.EventFilter{Machine: "no-such"}, nil},
		{lab.EventFilter{Since: since, User: "grace", Limit: 1}, []string{lab.EventReleased}},
	} {
		events, err := f.Events(ctx, f.ada, test.filter)
		if err != nil || !slices.Equal(kinds(events), test.want) {
			t.Errorf("%+v: %v, %v; want %v", test.filter, kinds(events), err, test.want)
		}
	}
	all, err := f.Events(ctx, f.admin, lab.EventFilter{})
	f.must(err)
	var paged []store.Event
	for page := all[:0]; len(paged) == 0 || len(page) > 0; paged = append(paged, page...) {
		filter := lab.EventFilter{Limit: 3}
		if len(paged) > 0 {
			filter.Before = paged[len(paged)-1].ID
		}
		if page, err = f.Events(ctx, f.admin, filter); err != nil || len(page) > 3 {
			t.Fatalf("a page of %d, %v", len(page), err)
		}
	}
	if !slices.Equal(paged, all) {
		t.Errorf("%d events in pages, %d at once", len(paged), len(all))
	}
}

func TestWhoSeesWhichEvents(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.Reserve(ctx, f.grace, "arm-01", ""))
	f.must(f.db.Write(ctx, func(tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{At: f.clock(), Kind: lab.EventConsolePattern, Machine: "web-01", Detail: "kernel panic: of a secret"})
	}))
	forARM := f.token(lab.NewToken{User: "root", Machines: "(= arch arm64)"})
	for _, test := range []struct {
		who              string
		actor            lab.Actor
		accounts, others bool
		line             string
	}{
		{"admin", f.admin, true, true, "kernel panic: of a secret"},
		{"holder", f.ada, false, true, "kernel panic: of a secret"},
		{"stranger", f.grace, false, true, "kernel panic"},
		{"token for others", forARM, false, false, ""},
		{"token for reading", f.token(lab.NewToken{User: "root", Scope: store.ScopeRead}), false, true, "kernel panic"},
	} {
		events, err := f.Events(ctx, test.actor, lab.EventFilter{})
		f.must(err)
		line := ""
		for _, e := range events {
			switch {
			case e.Kind == lab.EventConsolePattern:
				line = e.Detail
			case e.Machine == "web-01" && !test.others:
				t.Errorf("%s sees %+v", test.who, e)
			}
		}
		if line != test.line {
			t.Errorf("%s reads %q, want %q", test.who, line, test.line)
		}
		foreign := slices.ContainsFunc(events, func(e store.Event) bool { return e.Kind == lab.EventLogin && e.User != test.actor.User.Name })
		own := slices.ContainsFunc(events, func(e store.Event) bool { return e.Kind == lab.EventLogin && e.User == test.actor.User.Name })
		if foreign != test.accounts || own != test.others {
			t.Errorf("%s sees log-ins of others: %t, own: %t", test.who, foreign, own)
		}
		stream, err := f.Follow(ctx, test.actor, 0)
		f.must(err)
		var live []store.Event
		newest := events[0].ID
		for last := int64(0); last < newest; {
			batch, err := stream.Next(ctx)
			f.must(err)
			live, last = append(live, batch.Events...), batch.Last
		}
		stream.Close()
		slices.Reverse(live)
		if !slices.Equal(live[len(live)-len(events):], events) {
			t.Errorf("%s is streamed %d events, and shown %d", test.who, len(live), len(events))
		}
	}
}

func TestTheAuditIsForAdmins(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.Release(ctx, f.ada, "web-01"))
	_, err := f.Audit(ctx, f.ada, store.AuditFilter{})
	f.refused(err, lab.Denied, "only an admin")
	entries, err := f.Audit(ctx, f.admin, store.AuditFilter{Actor: "ada", Subject: "web-01"})
	f.must(err)
	if len(entries) != 2 || entries[0].Action != lab.EventReleased || entries[1].Via != "key SHA256:ada" || entries[1].Remote != "192.0.2.1:1" {
		t.Errorf("audit: %+v", entries)
	}
	entries, err = f.Audit(ctx, f.admin, store.AuditFilter{Action: lab.EventReserved, Before: entries[0].ID, Since: f.clock().Add(-time.Hour), Limit: 10})
	if err != nil || len(entries) != 1 {
		t.Errorf("filtered: %+v, %v", entries, err)
	}
	entries, err = f.Audit(ctx, f.admin, store.AuditFilter{Until: f.clock().Add(-time.Hour)})
	if err != nil || len(entries) != 0 {
		t.Errorf("before it was: %+v, %v", entries, err)
	}
}

func TestRunsHaveStages(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.Provision(ctx, f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux", Initrd: "initrd"}))
	first := f.machine("web-01").Run
	f.advance(time.Minute)
	f.must(f.db.Write(ctx, func(tx *store.Tx) error { return tx.SetRunStage(ctx, first.ID, lab.StageKernel, f.clock()) }))
	f.must(f.Provision(ctx, f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"}))

	runs, err := f.Runs(ctx, f.grace, lab.RunFilter{Machine: "web-01", User: "ada"})
	f.must(err)
	if len(runs) != 2 || runs[0].State != store.RunRunning || runs[1].State != store.RunCancelled {
		t.Fatalf("runs: %+v", runs)
	}
	run, err := f.ProvisionRun(ctx, f.grace, first.ID)
	f.must(err)
	want := []store.RunStage{{Stage: lab.StageAsked, At: f.clock().Add(-time.Minute)}, {Stage: lab.StageKernel, At: f.clock()}}
	if run.User != "ada" || run.Kernel != "linux" || run.Initrd != "initrd" || run.Token != "" || !slices.Equal(run.Stages, want) {
		t.Errorf("run: %+v", run)
	}
	if first.Token != "" {
		t.Error("a machine's page shows the token of its run")
	}
	runs, err = f.Runs(ctx, f.grace, lab.RunFilter{State: store.RunRunning, Before: runs[0].ID})
	if err != nil || len(runs) != 0 {
		t.Errorf("older runs that go on: %+v, %v", runs, err)
	}
	forARM := f.token(lab.NewToken{User: "ada", Machines: "(= arch arm64)"})
	_, err = f.ProvisionRun(ctx, forARM, first.ID)
	f.refused(err, lab.NotFound, "no run")
}
