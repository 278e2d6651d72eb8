package lab_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/store"
)

// holder returns who holds a machine that one at most holds, and until when.
func (f *fixture) holder(machine string) (user string, until time.Time) {
	f.t.Helper()
	m := f.machine(machine)
	switch len(m.Holders) {
	case 0:
		return "", time.Time{}
	case 1:
		return m.Holders[0].User, m.Holders[0].Until
	}
	f.t.Fatalf("%s is held by %+v", machine, m.Holders)
	return "", time.Time{}
}

// pass lets time go by, and has done what is due then.
func (f *fixture) pass(d time.Duration) {
	f.t.Helper()
	f.advance(d)
	f.tend()
}

func (f *fixture) tend() {
	f.t.Helper()
	if _, err := f.TendReservations(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// kinds returns the kinds of the newest events of a machine, the newest first.
func (f *fixture) kinds(machine string, n int) []string {
	f.t.Helper()
	events, err := f.MachineEvents(f.t.Context(), f.admin, machine, 100)
	f.must(err)
	var kinds []string
	for _, e := range events {
		if e.Kind != lab.EventPowerSeen && e.Kind != lab.EventConsole && len(kinds) < n {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func (f *fixture) site(change func(*lab.Site)) {
	f.t.Helper()
	f.must(f.ChangeSite(f.t.Context(), f.admin, change))
}

func TestATermEndsAfterWarningsAndAGrace(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	_, err := f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", Reason: "bisect", For: 4 * time.Hour})
	f.must(err)
	seat, err := f.OpenConsole(ctx, f.ada, "web-01")
	f.must(err)
	defer seat.Close()

	f.pass(2 * time.Hour)
	if got := f.kinds("web-01", 1); got[0] != lab.EventReserved {
		t.Errorf("two hours before the end: %v", got)
	}
	f.pass(time.Hour)
	f.tend() // again: warned once
	f.pass(50 * time.Minute)
	f.pass(10 * time.Minute)
	f.tend()
	if got, want := f.kinds("web-01", 4), []string{lab.EventTermOver, lab.EventTermEnding, lab.EventTermEnding, lab.EventReserved}; !slices.Equal(got, want) {
		t.Errorf("events: %v; want %v", got, want)
	}
	told := ""
	for !strings.Contains(told, "unless it is extended") {
		out, err := seat.Next(ctx)
		f.must(err)
		for _, n := range out.Notices {
			if n.Kind == console.Told {
				told += n.String() + "\n"
			}
		}
	}
	if !strings.Contains(told, "your reservation of web-01 ends in 1h, at 2026-11-20 16:00 UTC") {
		t.Errorf("told at the console: %q", told)
	}
	f.pass(59 * time.Minute)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("held in the grace by %q", who)
	}
	f.pass(time.Minute)
	if who, _ := f.holder("web-01"); who != "" {
		t.Errorf("held after the grace by %q", who)
	}
	history, err := f.History(ctx, f.grace, store.HistoryFilter{Machine: "web-01"})
	if err != nil || len(history) != 1 || history[0].EndedWhy != store.EndedTerm || history[0].Reason != "bisect" || history[0].EndedBy != "provisioner" {
		t.Errorf("history: %+v, %v", history, err)
	}
	for err == nil { // its console is closed to who had it
		_, err = seat.Next(ctx)
	}
}

func TestAServerThatWasDownShortensNobodysGrace(t *testing.T) {
	f := newFixture(t)
	_, err := f.ReserveAny(t.Context(), f.ada, lab.ReserveRequest{Machine: "web-01", For: 4 * time.Hour})
	f.must(err)
	f.pass(100 * time.Hour)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Error("a term that ended while nobody looked has ended without a word")
	}
	f.pass(-50 * time.Hour) // the clock was wrong, and is set
	f.pass(59 * time.Minute)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Error("a clock that was set has ended a term")
	}
	f.pass(time.Minute)
	if who, _ := f.holder("web-01"); who != "" {
		t.Error("it is never ended")
	}
}

func TestExtendedInTime(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	_, err := f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", For: 4 * time.Hour})
	f.must(err)
	f.pass(4 * time.Hour)
	until, err := f.Extend(ctx, f.ada, "web-01", 2*time.Hour)
	f.must(err)
	if _, end := f.holder("web-01"); !end.Equal(until) || !until.Equal(f.clock().Add(2*time.Hour)) {
		t.Errorf("extended until %v, %v", until, end)
	}
	f.pass(time.Hour)
	if got := f.kinds("web-01", 3); !slices.Equal(got, []string{lab.EventTermEnding, lab.EventExtended, lab.EventTermOver}) {
		t.Errorf("events: %v", got)
	}
	_, err = f.Extend(ctx, f.grace, "web-01", 0)
	f.refused(err, lab.Denied, "held by ada")
	_, err = f.Extend(ctx, f.ada, "web-01", 1000*time.Hour)
	f.refused(err, lab.Invalid, "for 30d at most")
	_, err = f.Extend(ctx, f.ada, "web-01", time.Second)
	f.refused(err, lab.Invalid, "from 1m")
	_, err = f.Extend(ctx, f.admin, "web-01", 1000*time.Hour)
	f.must(err)
	f.must(f.Reserve(ctx, f.admin, "web-02", ""))
	_, err = f.Extend(ctx, f.admin, "web-02", 0)
	f.refused(err, lab.Conflict, "no term")
	_, err = f.Extend(ctx, f.admin, "arm-01", 0)
	f.refused(err, lab.Conflict, "nobody holds it")
}

func TestTermsAreAsTheSiteHasThem(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	if _, end := f.holder("web-01"); !end.Equal(f.clock().Add(7 * 24 * time.Hour)) {
		t.Errorf("the usual term ends at %v", end)
	}
	f.must(f.Release(ctx, f.ada, "web-01"))
	f.refused(f.ChangeSite(ctx, f.admin, func(s *lab.Site) { s.Term = 1000 * time.Hour }), lab.Invalid, "longer than the maximum")
	f.refused(f.ChangeSite(ctx, f.admin, func(s *lab.Site) { s.Grace = -1 }), lab.Invalid, "grace")
	f.refused(f.ChangeSite(ctx, f.admin, func(s *lab.Site) { s.Release = "explode" }), lab.Invalid, "leave and power-off")
	f.refused(f.ChangeSite(ctx, f.admin, func(s *lab.Site) { s.IdleAfter = time.Minute }), lab.Invalid, "idle after 30m")
	f.refused(f.ChangeSite(ctx, f.ada, func(s *lab.Site) { s.Term = 0 }), lab.Denied, "only an admin")
	f.site(func(s *lab.Site) { s.Term, s.MaxTerm = time.Hour, 2*time.Hour })
	_, err := f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", For: 3 * time.Hour})
	f.refused(err, lab.Invalid, "for 2h at most, not for 3h")
	_, err = f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", For: -time.Hour})
	f.refused(err, lab.Invalid, "at least 1m")
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	if _, end := f.holder("web-01"); !end.Equal(f.clock().Add(time.Hour)) {
		t.Errorf("the term ends at %v", end)
	}
	f.must(f.Reserve(ctx, f.admin, "web-02", ""))
	if _, end := f.holder("web-02"); !end.IsZero() {
		t.Errorf("an admin's term ends at %v", end)
	}
	_, err = f.ReserveAny(ctx, f.admin, lab.ReserveRequest{Machine: "arm-01", For: 5 * time.Hour})
	f.must(err)
	if _, end := f.holder("arm-01"); !end.Equal(f.clock().Add(5 * time.Hour)) {
		t.Errorf("what an admin asks for ends at %v", end)
	}
	f.site(func(s *lab.Site) { s.Term, s.MaxTerm = 0, 0 })
	f.must(f.Release(ctx, f.ada, "web-01"))
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	if _, end := f.holder("web-01"); !end.IsZero() {
		t.Errorf("where the site has no term, it ends at %v", end)
	}
}

func TestAnyMachineThatMatches(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	any := func(actor lab.Actor, query string) (string, error) {
		return f.ReserveAny(ctx, actor, lab.ReserveRequest{Query: query})
	}
	for i, test := range []struct{ query, want string }{{`(= arch "amd64")`, "web-01"}, {"", "arm-01"}, {`(=~ name "web")`, "web-02"}} {
		if got, err := any(f.ada, test.query); err != nil || got != test.want {
			t.Errorf("%d: %q, %v; want %s", i, got, err, test.want)
		}
	}
	_, err := any(f.grace, "")
	f.refused(err, lab.Conflict, "no machine that you may use is free now")
	_, err = any(f.grace, `(= arch "amd64"`)
	f.refused(err, lab.Invalid, "column")
	_, err = f.ReserveAny(ctx, f.grace, lab.ReserveRequest{Machine: "web-01", Query: `(= arch "amd64")`})
	f.refused(err, lab.Invalid, "not both")
	_, err = any(lab.Local, "")
	f.refused(err, lab.Conflict)
}

func TestPoolsAreForTheirGroups(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.refused(f.AddPool(ctx, f.ada, "ci"), lab.Denied, "only an admin")
	f.refused(f.AddPool(ctx, f.admin, "no pool/"), lab.Invalid, "63 letters")
	f.must(f.AddPool(ctx, f.admin, "ci"))
	f.refused(f.AddPool(ctx, f.admin, "CI"), lab.Conflict)
	f.must(f.AddGroup(ctx, f.admin, "kernel"))
	f.must(f.ChangePool(ctx, f.admin, "ci", func(p *store.Pool) {
		p.Machines, p.Groups, p.Description = []string{"web-01", "WEB-02"}, []string{"kernel"}, "for tests of the kernel"
	}))
	f.refused(f.ChangePool(ctx, f.admin, "ci", func(p *store.Pool) { p.Machines = append(p.Machines, "no-such") }), lab.NotFound, `no machine "no-such"`)
	f.refused(f.ChangeGroup(ctx, f.admin, "kernel", func(g *store.Group) { g.Members = []string{"nobody"} }), lab.NotFound, `no user "nobody"`)
	f.must(f.ChangeGroup(ctx, f.admin, "kernel", func(g *store.Group) { g.Members = []string{"grace"} }))
	pools, err := f.Pools(ctx, f.ada)
	if err != nil || len(pools) != 1 || !slices.Equal(pools[0].Machines, []string{"web-01", "web-02"}) || pools[0].Description == "" {
		t.Errorf("pools: %+v, %v", pools, err)
	}

	f.refused(f.Reserve(ctx, f.ada, "web-01", ""), lab.Denied, "in the pool ci, which is not for you")
	if got, err := f.ReserveAny(ctx, f.ada, lab.ReserveRequest{}); err != nil || got != "arm-01" {
		t.Errorf("who is in no group gets %q, %v", got, err)
	}
	f.must(f.Reserve(ctx, f.grace, "web-01", ""))
	_, err = f.Lend(ctx, f.grace, "web-01", "ada", 0, "")
	f.refused(err, lab.Denied, "ada", "not for you")
	f.must(f.ChangePool(ctx, f.admin, "ci", func(p *store.Pool) { p.Groups = nil }))
	if who, _ := f.holder("web-01"); who != "grace" {
		t.Errorf("a pool that has changed took a machine from its holder: %q holds it", who)
	}
	f.must(f.Reserve(ctx, f.admin, "web-02", "")) // admins always
	f.must(f.Release(ctx, f.admin, "web-02"))
	f.must(f.RemovePool(ctx, f.admin, "ci"))
	f.must(f.Reserve(ctx, f.ada, "web-02", ""))
	f.must(f.RemoveGroup(ctx, f.admin, "kernel"))
	f.refused(f.RemoveGroup(ctx, f.admin, "kernel"), lab.NotFound, `no group "kernel"`)
}

func TestALoanComesBack(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	eve := f.login("eve", false)
	reserve := func() {
		_, err := f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", Reason: "bisect", For: 10 * time.Hour})
		f.must(err)
	}
	reserve()
	seat, err := f.OpenConsole(ctx, f.ada, "web-01")
	f.must(err)
	defer seat.Close()
	_, err = f.Lend(ctx, f.ada, "web-01", "grace", 20*time.Hour, "")
	f.refused(err, lab.Invalid, "yours until 2026-11-20 22:00 UTC only")
	_, err = f.Lend(ctx, f.grace, "web-01", "eve", time.Hour, "")
	f.refused(err, lab.Denied)
	_, err = f.Lend(ctx, f.admin, "web-01", "eve", time.Hour, "")
	f.refused(err, lab.Denied, "you do not hold it")
	_, err = f.Lend(ctx, f.ada, "web-01", "ada", time.Hour, "")
	f.refused(err, lab.Conflict, "ada holds it already")
	until, err := f.Lend(ctx, f.ada, "web-01", "grace", 2*time.Hour, "look at it")
	f.must(err)
	if who, end := f.holder("web-01"); who != "grace" || !end.Equal(until) || f.machine("web-01").Holders[0].LentBy != "ada" {
		t.Errorf("lent to %q until %v, want %v", who, end, until)
	}
	f.refused(f.SetPower(ctx, f.ada, "web-01", lab.TurnOn), lab.Denied, "held by grace")
	for err == nil {
		_, err = seat.Next(ctx) // who has lent it is not at its console any more
	}
	_, err = f.Lend(ctx, f.grace, "web-01", "eve", 0, "")
	f.refused(err, lab.Denied, "ada has lent it to you")
	_, err = f.Extend(ctx, f.grace, "web-01", time.Hour)
	f.refused(err, lab.Denied, "ada has lent it to you until")
	f.pass(2 * time.Hour)
	back := func(how string) {
		t.Helper()
		m := f.machine("web-01")
		if len(m.Holders) != 1 || m.Holders[0].User != "ada" || m.Holders[0].Reason != "bisect" || m.Holders[0].Until.Hour() != 22 || m.Holders[0].LentBy != "" {
			t.Errorf("%s: held by %+v", how, m.Holders)
		}
	}
	back("the time of the loan is over")
	_, err = f.Lend(ctx, f.ada, "web-01", "grace", 0, "")
	f.must(err)
	f.must(f.Release(ctx, f.grace, "web-01"))
	back("given back early")
	_, err = f.Lend(ctx, f.ada, "web-01", "grace", 0, "")
	f.must(err)
	f.refused(f.Reclaim(ctx, eve, "web-01"), lab.Conflict, "you have not lent it")
	f.must(f.Reclaim(ctx, f.ada, "web-01"))
	back("taken back")
	_, err = f.Extend(ctx, f.ada, "web-01", 30*24*time.Hour)
	f.refused(err, lab.Invalid, "for 30d at most") // counted from the beginning, whoever it was lent to
	_, err = f.Lend(ctx, f.ada, "web-01", "grace", 0, "")
	f.must(err)
	f.pass(8 * time.Hour) // the end of both
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("at the end of both terms held by %q", who)
	}
	f.tend()
	f.pass(time.Hour)
	if who, _ := f.holder("web-01"); who != "" {
		t.Errorf("after the grace held by %q", who)
	}
	reserve()
	_, err = f.Lend(ctx, f.ada, "web-01", "grace", 0, "")
	f.must(err)
	f.must(f.Release(ctx, f.admin, "web-01"))
	if who, _ := f.holder("web-01"); who != "" {
		t.Errorf("what an admin takes away goes back to %q", who)
	}
	history, err := f.History(ctx, f.ada, store.HistoryFilter{User: "grace"})
	if err != nil || len(history) != 5 || history[0].EndedWhy != store.EndedReleased || history[1].EndedWhy != store.EndedReturned {
		t.Errorf("history of who borrowed: %+v, %v", history, err)
	}
	page, err := f.History(ctx, f.ada, store.HistoryFilter{User: "grace", Before: history[1].ID, Limit: 2})
	if err != nil || len(page) != 2 || page[0].ID != history[2].ID {
		t.Errorf("the second page: %+v, %v", page, err)
	}
}

// isOff has the lab know now that machines are off, and not when it has asked
// their BMCs by itself: that counts as use.
func (f *fixture) isOff(machines ...string) {
	f.t.Helper()
	for _, name := range machines {
		if power, err := f.PowerOf(f.t.Context(), f.admin, name); err != nil || power.State != lab.PowerOff {
			f.t.Fatalf("%s is %s, %v", name, power.State, err)
		}
	}
}

func TestIdleMachinesAreReleased(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.Reserve(ctx, f.grace, "web-02", ""))
	f.must(f.Reserve(ctx, f.admin, "arm-01", ""))
	f.isOff("web-01", "web-02", "arm-01")
	f.pass(20 * time.Hour)
	seat, err := f.OpenConsole(ctx, f.grace, "web-02") // before the site decides: the lab tends at once
	f.must(err)
	f.site(func(s *lab.Site) { s.IdleAfter = 10 * time.Hour })
	f.tend()
	if got := f.kinds("web-01", 1); got[0] != lab.EventIdle {
		t.Errorf("of an idle machine: %v", got)
	}
	if got := f.kinds("web-02", 1); got[0] != lab.EventReserved {
		t.Errorf("of one whose console somebody has open: %v", got)
	}
	seat.Close()
	f.must(f.SetBootDevice(ctx, f.ada, "web-01", lab.BootPXE, lab.BootOptions{})) // a sign of life
	f.pass(2 * time.Hour)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("a machine that was used in the grace is held by %q", who)
	}
	f.pass(8 * time.Hour)
	f.pass(59 * time.Minute)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("in the grace, held by %q", who)
	}
	f.pass(time.Minute)
	for machine, want := range map[string]string{"web-01": "", "web-02": "", "arm-01": "root"} {
		if who, _ := f.holder(machine); who != want {
			t.Errorf("%s is held by %q, want %q", machine, who, want)
		}
	}
	history, err := f.History(ctx, f.ada, store.HistoryFilter{Machine: "web-01"})
	if err != nil || history[0].EndedWhy != store.EndedIdle {
		t.Errorf("history: %+v, %v", history, err)
	}
}

func TestAMachineWhosePowerIsNotKnownIsNotIdle(t *testing.T) {
	f := newFixtureOf(t, func(b *fakeBMC) {
		b.err = &ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer}
	})
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.site(func(s *lab.Site) { s.IdleAfter, s.Grace = time.Hour, 0 })
	f.pass(20 * time.Hour)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("it is held by %q", who)
	}
}

func TestReleasedMachinesAreTurnedOff(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	off := func() (next time.Time) {
		t.Helper()
		next, err := f.TurnOffReleased(ctx)
		f.must(err)
		return next
	}
	bmc := f.bmcs["bmc-web-01"]
	f.site(func(s *lab.Site) { s.Release = lab.ReleasePowerOff })
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.SetPower(ctx, f.ada, "web-01", lab.TurnOn))
	bmc.fail(&ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	f.must(f.Release(ctx, f.ada, "web-01"))
	if who, _ := f.holder("web-01"); who != "" {
		t.Fatalf("a dead BMC has kept the machine held by %q", who)
	}
	off()
	f.advance(time.Hour)
	off()
	if got := f.kinds("web-01", 2); !slices.Equal(got, []string{lab.EventPowerFailed, lab.EventReleased}) {
		t.Errorf("events: %v; want that it failed once", got)
	}
	bmc.fail(nil)
	f.advance(time.Hour)
	off()
	if got := f.kinds("web-01", 1); got[0] != lab.EventPower || bmc.isOn() {
		t.Errorf("events: %v; on: %t", got, bmc.isOn())
	}
	off() // nothing is left to be done

	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	f.must(f.SetPower(ctx, f.ada, "web-01", lab.TurnOn))
	bmc.fail(&ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	f.must(f.Release(ctx, f.ada, "web-01"))
	f.must(f.Reserve(ctx, f.grace, "web-01", ""))
	bmc.fail(nil)
	f.advance(time.Hour)
	off()
	if !bmc.isOn() {
		t.Error("a machine was turned off that somebody has taken again")
	}
	f.must(f.Release(ctx, f.grace, "web-01"))
	bmc.fail(&ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	for range 30 {
		f.advance(time.Hour)
		off()
	}
	events, err := f.MachineEvents(ctx, f.admin, "web-01", 1)
	if err != nil || events[0].Kind != lab.EventPowerFailed && events[0].Kind != lab.EventPower {
		t.Errorf("events: %+v, %v", events, err)
	}
}

// isOn is what the machine of a BMC is.
func (b *fakeBMC) isOn() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.on
}

// TestNobodyHoldsWhatAnotherHolds has 50 clients make 1,000 reservations of 100
// machines, by name, by query and from the queue, with more wanted than there are.
func TestNobodyHoldsWhatAnotherHolds(t *testing.T) {
	f := newFixture(t)
	const machines, clients, each, atOnce = 100, 50, 20, 5
	for i := range machines - 3 {
		f.must(f.AddMachine(t.Context(), lab.Local, lab.NewMachine{Name: fmt.Sprintf("m-%03d", i), Arch: "amd64", Subarch: "uefi"}))
	}
	actors := make([]lab.Actor, clients)
	for i := range actors {
		actors[i] = f.login(fmt.Sprintf("client-%02d", i), false)
	}
	var mu sync.Mutex
	holders := make(map[string]string)
	waited := 0
	var group sync.WaitGroup
	for i, actor := range actors {
		group.Go(func() {
			var held []string
			release := func() {
				mu.Lock()
				delete(holders, held[0])
				mu.Unlock()
				if err := f.Release(t.Context(), actor, held[0]); err != nil {
					t.Errorf("%s: %v", actor.User.Name, err)
				}
				held = held[1:]
			}
			for turn, made := 0, 0; made < each; turn++ {
				if len(held) == atOnce {
					release()
				}
				request := lab.ReserveRequest{Reason: "load"}
				switch (i + turn) % 3 {
				case 0:
					request.Machine = fmt.Sprintf("m-%03d", (i*7+turn*13)%(machines-3))
				case 1:
					request.Query = `(= arch "amd64")`
				}
				name, err := f.ReserveAny(t.Context(), actor, request)
				if err != nil && lab.CodeOf(err) == lab.Conflict && request.Machine == "" && len(held) <= 1 {
					// Half of the machines at most are held by who waits: it goes on.
					mu.Lock()
					waited++
					mu.Unlock()
					name, err = f.Wait(t.Context(), actor, request, nil)
				}
				switch {
				case err == nil:
					mu.Lock()
					if other := holders[name]; other != "" {
						t.Errorf("%s has got %s, which %s holds", actor.User.Name, name, other)
					}
					holders[name] = actor.User.Name
					mu.Unlock()
					held = append(held, name)
					made++
				case lab.CodeOf(err) != lab.Conflict:
					t.Errorf("%s: %v", actor.User.Name, err)
					return
				case request.Machine == "":
					release()
				}
			}
			for len(held) > 0 {
				release()
			}
		})
	}
	group.Wait()
	var history []store.Reservation
	err := f.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		if queue, err := tx.Queue(t.Context()); err != nil || len(queue) != 0 {
			t.Errorf("somebody waits still: %+v, %v", queue, err)
		}
		history, err = tx.History(t.Context(), store.HistoryFilter{Limit: 2 * clients * each})
		return err
	})
	f.must(err)
	if len(history) != clients*each || waited == 0 {
		t.Errorf("%d reservations are kept, and %d waited; want %d, and some", len(history), waited, clients*each)
	}
}
