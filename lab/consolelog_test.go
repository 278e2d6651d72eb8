package lab_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

func (f *fixture) readLog(actor lab.Actor, asked transcript.Window) string {
	f.t.Helper()
	log, err := f.ConsoleLog(f.t.Context(), actor, "web-01", asked)
	f.must(err)
	text, err := io.ReadAll(log.Reader(log.Start()))
	f.must(err)
	return string(text)
}

func TestEachReadsTheLogOfTheirOwnTime(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	f.print(machine, "free\r\n")
	f.must(f.Reserve(t.Context(), f.grace, "web-01", ""))
	graces := f.clock()
	f.print(machine, "of grace\r\n")
	f.print(machine, "still of grace\r\n")
	f.must(f.Release(t.Context(), f.grace, "web-01"))
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.print(machine, "of ada\r\n")
	f.must(f.Assign(t.Context(), f.admin, "web-01", "grace", ""))
	f.print(machine, "of both\r\n")
	f.must(f.Release(t.Context(), f.ada, "web-01"))
	f.print(machine, "of grace again\r\n")

	everything := transcript.Window{}
	for who, want := range map[*lab.Actor]string{
		&f.admin: "free\r\nof grace\r\nstill of grace\r\nof ada\r\nof both\r\nof grace again\r\n",
		&f.grace: "of grace\r\nstill of grace\r\nof both\r\nof grace again\r\n",
		&f.ada:   "of ada\r\nof both\r\n", // though the machine is hers no more
	} {
		if got := f.readLog(*who, everything); got != want {
			t.Errorf("%s reads %q, want %q", who.User.Name, got, want)
		}
	}
	minute := func(n int) time.Time { return graces.Add(time.Duration(n) * time.Minute) }
	for _, test := range []struct {
		asked transcript.Window
		want  string
	}{
		{transcript.Window{Since: minute(1)}, "still of grace\r\nof both\r\nof grace again\r\n"},
		{transcript.Window{Until: minute(1)}, "of grace\r\n"},
		{transcript.Window{Since: minute(1), Until: minute(4)}, "still of grace\r\nof both\r\n"},
		{transcript.Window{Since: minute(2), Until: minute(3)}, ""},
	} {
		if got := f.readLog(f.grace, test.asked); got != test.want {
			t.Errorf("grace reads %v: %q, want %q", test.asked, got, test.want)
		}
	}
	eve := f.login("eve", false)
	_, err := f.ConsoleLog(t.Context(), eve, "web-01", everything)
	f.refused(err, lab.Denied, "read the console log of web-01", "held by grace")
	_, err = f.ConsoleLog(t.Context(), eve, "web-02", everything)
	f.refused(err, lab.Denied, "nobody holds it")
	_, err = f.ConsoleLog(t.Context(), f.admin, "no-such", everything)
	f.refused(err, lab.NotFound, "no-such")
	_, err = f.ConsoleLog(t.Context(), f.admin, "web-01", transcript.Window{Since: minute(1), Until: minute(1)})
	f.refused(err, lab.Invalid, "is not after since")
}

// A log that is open when the machine is released has nothing of the next
// person, whatever is done with it.
func TestLogThatIsOpenEndsWithTheReservation(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.print(machine, "of ada\r\n")
	log, err := f.ConsoleLog(t.Context(), f.ada, "web-01", transcript.Window{})
	f.must(err)
	f.print(machine, "later\r\n")
	f.must(f.Release(t.Context(), f.ada, "web-01"))
	f.must(f.Reserve(t.Context(), f.grace, "web-01", ""))
	f.print(machine, "secret of grace\r\n")
	fresh, err := log.Refresh(t.Context())
	f.must(err)
	for l, want := range map[*lab.ConsoleLog]string{log: "of ada\r\n", fresh: "of ada\r\nlater\r\n"} {
		page, err := l.PageBefore(l.End()+1000, 100)
		f.must(err)
		if string(page.Text) != want {
			t.Errorf("page: %q, want %q", page.Text, want)
		}
		secret, err := transcript.Text("secret", false)
		f.must(err)
		for m := range l.Search(t.Context(), secret, 0) {
			t.Errorf("found %q", m.Text)
		}
	}
}

func TestLogIsOpenedAtAnEvent(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	f.print(machine, "before anybody\r\n")
	f.must(f.SetPower(t.Context(), f.admin, "web-01", lab.TurnOn))
	f.advance(time.Minute)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.print(machine, "first boot\r\n")
	f.must(f.SetPower(t.Context(), f.ada, "web-01", lab.Cycle))
	f.print(machine, "second boot\r\n")
	f.print(machine, "Kernel panic\r\n")
	panicked := int64(strings.Index("before anybody\r\nfirst boot\r\nsecond boot\r\nKernel panic\r\n", "Kernel"))
	f.must(f.db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.AddEvent(t.Context(), store.Event{
			At: f.clock(), Kind: lab.EventConsolePattern, Machine: "web-01", Detail: "kernel panic: Kernel panic", LogPosition: panicked,
		})
	}))
	f.print(machine, "the end\r\n")

	log, err := f.ConsoleLog(t.Context(), f.ada, "web-01", transcript.Window{})
	f.must(err)
	for kind, want := range map[string]string{
		"power": "second boot\r\nKernel panic\r\nthe end\r\n", "Console-Pattern": "Kernel panic\r\nthe end\r\n",
		"kernel-panic": "Kernel panic\r\nthe end\r\n", "reserved": "first boot\r\nsecond boot\r\nKernel panic\r\nthe end\r\n",
	} {
		event, err := log.LastEvent(t.Context(), kind)
		f.must(err)
		p, err := log.PositionOf(event)
		f.must(err)
		text, err := io.ReadAll(log.Reader(p))
		f.must(err)
		if string(text) != want {
			t.Errorf("since %s: %q, want %q", kind, text, want)
		}
	}
	_, err = log.LastEvent(t.Context(), "earthquake")
	f.refused(err, lab.NotFound, `no event "earthquake" of web-01`, "there are: console opened, console pattern, power, ")
	events, err := log.Events(t.Context())
	f.must(err)
	if n := len(slices.DeleteFunc(slices.Clone(events), func(e store.Event) bool { return e.Kind != lab.EventPower })); n != 1 {
		t.Errorf("ada sees %d power orders, want her own: %+v", n, events)
	}
	fresh, err := f.ConsoleLog(t.Context(), f.ada, "web-01", transcript.Window{Since: f.clock().Add(time.Hour)})
	f.must(err)
	_, err = fresh.LastEvent(t.Context(), "power")
	f.refused(err, lab.NotFound, "nothing happened to web-01")
}

func TestOpeningALogIsKeptAndReadingItIsNot(t *testing.T) {
	f := newFixture(t)
	log, err := f.ConsoleLog(t.Context(), f.admin, "web-01", transcript.Window{})
	f.must(err)
	_, err = log.PageBefore(log.End(), 10)
	f.must(err)
	log, err = log.Refresh(t.Context())
	f.must(err)
	var opened []store.Event
	f.must(f.db.Read(context.Background(), func(tx *store.Tx) error {
		opened, err = tx.MachineEvents(t.Context(), log.Machine, 100)
		return err
	}))
	opened = slices.DeleteFunc(opened, func(e store.Event) bool { return e.Kind != lab.EventConsole })
	if len(opened) != 1 || opened[0].User != "root" || opened[0].Detail != "log" {
		t.Errorf("events: %+v", opened)
	}
}
