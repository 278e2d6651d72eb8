package lab_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/pattern"
	"provisioner/store"
)

// watching is a subscription, and what came of it that nobody has asked for yet.
type watching struct {
	*fixture
	updates lab.Subscription
	events  []store.Event
}

func (f *fixture) watch() *watching {
	w := &watching{fixture: f, updates: f.Subscribe()}
	f.t.Cleanup(w.updates.Close)
	return w
}

// next waits for the next event of a kind.
func (w *watching) next(kind string) store.Event {
	w.t.Helper()
	for {
		for i, e := range w.events {
			if e.Kind == kind {
				w.events = w.events[i+1:]
				return e
			}
		}
		var err error
		if w.events, _, err = w.updates.Next(w.t.Context()); err != nil {
			w.t.Fatalf("no event %q: %v", kind, err)
		}
	}
}

func TestPatternInAConsoleIsAnEventWithItsPlace(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	events := f.watch()
	const before = "Loading Linux ...\r\n"
	f.print(machine, before)
	printed := f.clock()
	f.print(machine, "[    1.482391] \x1b[1mKernel panic\x1b[0m - not syncing: Attempted to kill init!\r\n")
	e := events.next(lab.EventConsolePattern)
	want := store.Event{
		ID: e.ID, At: e.At, Kind: lab.EventConsolePattern, Machine: "web-01",
		Detail: "kernel panic: [    1.482391] Kernel panic - not syncing: Attempted to kill init!", LogPosition: int64(len(before)),
	}
	if !reflect.DeepEqual(e, want) || e.At.Before(printed) || e.At.After(f.clock()) {
		t.Errorf("event %+v, want %+v", e, want)
	}
	f.print(machine, "\r\nweb-01 login: ")
	if e := events.next(lab.EventConsolePattern); e.Detail != "login prompt: web-01 login:" {
		t.Errorf("event %+v", e)
	}
}

func TestLineOfAPatternIsForThoseWhoMayReadTheLog(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	events := f.watch()
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.print(machine, "\r\nweb-01 login: ")
	events.next(lab.EventConsolePattern)
	f.must(f.Release(t.Context(), f.ada, "web-01"))
	for actor, want := range map[*lab.Actor]string{
		&f.ada: "login prompt: web-01 login:", &f.admin: "login prompt: web-01 login:", &f.grace: "login prompt",
	} {
		history, err := f.MachineEvents(t.Context(), *actor, "web-01", 100)
		f.must(err)
		found := slices.IndexFunc(history, func(e store.Event) bool { return e.Kind == lab.EventConsolePattern })
		if found < 0 || history[found].Detail != want {
			t.Errorf("%s reads %+v; want %q", actor.User.Name, history, want)
		}
	}
}

func TestPatternsOfASite(t *testing.T) {
	f := newFixture(t)
	machine := <-f.bmcs["bmc-web-01"].opened
	events := f.watch()
	f.must(f.AddConsolePattern(t.Context(), f.admin, "raid", `md\d+: .*degraded`))
	if e := events.next(lab.EventPatternAdded); e.User != "root" || e.Detail != `raid: md\d+: .*degraded` {
		t.Errorf("event %+v", e)
	}
	f.must(f.AddConsolePattern(t.Context(), f.admin, "fan", "fan failed"))
	events.next(lab.EventPatternAdded)
	f.print(machine, "md0: array is degraded\r\n")
	if e := events.next(lab.EventConsolePattern); e.Detail != "raid: md0: array is degraded" {
		t.Errorf("event %+v", e)
	}

	all, err := f.ConsolePatterns(t.Context(), f.ada)
	f.must(err)
	own := all[len(all)-2:]
	if want := []lab.ConsolePattern{{Name: "fan", Expression: "fan failed"}, {Name: "raid", Expression: `md\d+: .*degraded`}}; !reflect.DeepEqual(own, want) {
		t.Errorf("own patterns %+v, want %+v", own, want)
	}
	if !all[0].BuiltIn() || all[0].Name != pattern.KernelPanic || own[0].BuiltIn() {
		t.Errorf("patterns %+v", all)
	}

	f.must(f.RemoveConsolePattern(t.Context(), f.admin, "RAID"))
	f.must(f.RemoveConsolePattern(t.Context(), f.admin, "fan"))
	events.next(lab.EventPatternRemoved)
	events.next(lab.EventPatternRemoved)
	f.advance(time.Hour)
	f.print(machine, "md0: array is degraded\r\n")
	f.print(machine, "No bootable device.\r\n")
	if e := events.next(lab.EventConsolePattern); e.Detail != "boot failure: No bootable device." {
		t.Errorf("event %+v, though nothing looks for it", e)
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddConsolePattern(t.Context(), f.admin, "raid", "degraded"))
	f.refused(f.AddConsolePattern(t.Context(), f.ada, "x", "x"), lab.Denied, "only an admin")
	f.refused(f.RemoveConsolePattern(t.Context(), f.ada, "raid"), lab.Denied, "only an admin")
	f.refused(f.TryPatterns(t.Context(), f.ada, strings.NewReader(""), nil), lab.Denied, "only an admin")
	f.refused(f.AddConsolePattern(t.Context(), f.admin, "Raid", "x"), lab.Conflict, "of that name already")
	f.refused(f.AddConsolePattern(t.Context(), f.admin, "login prompt", "x"), lab.Invalid, "built in")
	f.refused(f.AddConsolePattern(t.Context(), f.admin, "bad", "a[z-a]"), lab.Invalid, "add pattern", "at character 3")
	f.refused(f.RemoveConsolePattern(t.Context(), f.admin, "none"), lab.NotFound, `no pattern of this site's own "none"`)
	f.refused(f.RemoveConsolePattern(t.Context(), f.admin, "kernel panic"), lab.NotFound, "of this site's own")
	for i := range pattern.MaxPatterns - 1 {
		f.must(f.AddConsolePattern(t.Context(), f.admin, fmt.Sprint("p", i), "xyz"))
	}
	f.refused(f.AddConsolePattern(t.Context(), f.admin, "more", "x"), lab.Conflict, "100 patterns already")
}

func TestPatternsAreTriedOnAFile(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddConsolePattern(t.Context(), f.admin, "raid", "degraded"))
	// A pattern that no release would take today does not stop the others.
	f.must(f.db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.AddConsolePattern(t.Context(), store.ConsolePattern{Name: "old", Expression: "(", CreatedAt: f.clock()})
	}))
	log := strings.Repeat("[    0.1] usb 1-1: new device\r\n", 5000) + "degraded\r\ndegraded\r\nweb-01 login: "
	var got []string
	f.must(f.TryPatterns(t.Context(), f.admin, iotest.OneByteReader(strings.NewReader(log)), func(m pattern.Match) error {
		if !strings.HasPrefix(log[m.Position:], m.Line) {
			t.Errorf("%+v is not there", m)
		}
		got = append(got, m.Pattern)
		return nil
	}))
	if want := []string{"raid", "raid", pattern.LoginPrompt}; !reflect.DeepEqual(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	boom := errors.New("boom")
	f.refused(f.TryPatterns(t.Context(), f.admin, iotest.ErrReader(boom), nil), lab.Unavailable, "boom")
}
