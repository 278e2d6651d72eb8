package lab_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

// waiting is somebody who waits in the queue.
type waiting struct {
	place int64
	leave context.CancelFunc
	got   chan string // the machine; closed after it
	err   error       // once got is closed
}

// wait has somebody wait for a machine, and returns when they do.
func (f *fixture) wait(actor lab.Actor, r lab.ReserveRequest) *waiting {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	w := &waiting{leave: cancel, got: make(chan string, 1)}
	places := make(chan int64, 1)
	go func() { // ends with the machine, or leave
		defer close(w.got)
		defer cancel()
		name, err := f.Wait(ctx, actor, r, func(place int64) { places <- place })
		if w.err = err; err == nil {
			w.got <- name
		}
	}()
	select {
	case w.place = <-places:
	case name := <-w.got:
		f.t.Fatalf("%s need not wait: %q, %v", actor.User.Name, name, w.err)
	}
	return w
}

// expect checks what somebody gets who waits.
func (f *fixture) expect(w *waiting, machine string) {
	f.t.Helper()
	if name, ok := <-w.got; name != machine {
		f.t.Errorf("place %d led to %q (%t, %v), want %q", w.place, name, ok, w.err, machine)
	}
}

// gone has somebody leave who waits.
func (f *fixture) gone(w *waiting) {
	f.t.Helper()
	w.leave()
	if name, ok := <-w.got; ok || !errors.Is(w.err, context.Canceled) {
		f.t.Errorf("place %d, which was left, led to %q, %v", w.place, name, w.err)
	}
}

// all has the admin hold all machines.
func (f *fixture) all() {
	f.t.Helper()
	for _, name := range []string{"web-01", "web-02", "arm-01"} {
		f.must(f.Reserve(f.t.Context(), f.admin, name, ""))
	}
}

func TestTheQueueIsServedInItsOrder(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.all()
	eve := f.login("eve", false)
	patient := f.wait(f.ada, lab.ReserveRequest{Query: `(= arch "amd64")`, Priority: -1})
	first := f.wait(f.grace, lab.ReserveRequest{Query: `(= arch "amd64")`, For: 3 * time.Hour, Reason: "CI"})
	second := f.wait(eve, lab.ReserveRequest{Machine: "web-02"})
	queue, err := f.Queue(ctx, f.ada)
	if err != nil || len(queue) != 3 || queue[0].User != "grace" || queue[1].Machine != "web-02" || queue[2].Ahead != 2 || !queue[2].Present {
		t.Errorf("queue: %+v, %v", queue, err)
	}
	f.must(f.Release(ctx, f.admin, "arm-01")) // nobody waits for that
	if who, _ := f.holder("arm-01"); who != "" {
		t.Errorf("arm-01 is held by %q", who)
	}
	f.must(f.Release(ctx, f.admin, "web-02"))
	f.expect(first, "web-02")
	if who, end := f.holder("web-02"); who != "grace" || !end.Equal(f.clock().Add(3*time.Hour)) || f.machine("web-02").Holders[0].Reason != "CI" {
		t.Errorf("web-02 is held by %q until %v", who, end)
	}
	f.must(f.Release(ctx, f.grace, "web-02"))
	f.expect(second, "web-02")
	f.must(f.Release(ctx, f.admin, "web-01"))
	f.expect(patient, "web-01")

	_, err = f.Enqueue(ctx, f.ada, lab.ReserveRequest{Priority: 1})
	f.refused(err, lab.Denied, "above 0 is for admins")
	_, err = f.Enqueue(ctx, f.admin, lab.ReserveRequest{Priority: 11})
	f.refused(err, lab.Invalid, "from -10 to 10")
	_, err = f.Enqueue(ctx, f.ada, lab.ReserveRequest{Query: "(= arch"})
	f.refused(err, lab.Invalid, "column")
	_, err = f.Enqueue(ctx, f.ada, lab.ReserveRequest{Machine: "no-such"})
	f.refused(err, lab.NotFound)
	_, err = f.Enqueue(ctx, f.ada, lab.ReserveRequest{Machine: "web-01"})
	f.refused(err, lab.Conflict, "you hold it already")
	_, err = f.Enqueue(ctx, f.ada, lab.ReserveRequest{For: 10_000 * time.Hour})
	f.refused(err, lab.Invalid, "for 30d at most")
}

func TestNobodyOvertakesTheQueue(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.all()
	w := f.wait(f.grace, lab.ReserveRequest{Query: `(= arch "armhf")`})
	f.must(f.AddMachine(ctx, lab.Local, lab.NewMachine{Name: "pi-01", Arch: "armhf", Subarch: "uefi"}))
	err := f.Reserve(ctx, f.ada, "pi-01", "")
	f.refused(err, lab.Conflict, "held by grace")
	f.expect(w, "pi-01")
}

func TestWhoComesBackGoesOnAtTheSamePlace(t *testing.T) {
	f := newFixture(t)
	f.all()
	request := lab.ReserveRequest{Query: `(= arch "amd64")`, Reason: "CI"}
	before := f.wait(f.grace, request)
	other := f.wait(f.grace, request) // a second job: a place of its own
	if other.place == before.place {
		t.Error("two wait at one place")
	}
	_, err := f.Await(t.Context(), f.grace, before.place)
	f.refused(err, lab.Conflict, "waits there already")
	_, err = f.Await(t.Context(), f.ada, other.place+100)
	f.refused(err, lab.NotFound)
	f.gone(before)
	f.pass(4 * time.Minute)
	again := f.wait(f.grace, request)
	if again.place != before.place {
		t.Errorf("came back to place %d, not to %d", again.place, before.place)
	}
	f.gone(again)
	_, err = f.Await(t.Context(), f.ada, again.place)
	f.refused(err, lab.Denied, "it is grace who waits there")
	f.must(f.Leave(t.Context(), f.grace, other.place))
	<-other.got
	f.refused(other.err, lab.NotFound, "the place is no more")
	f.refused(f.Leave(t.Context(), f.ada, again.place), lab.Denied, "grace")
}

func TestAPlaceIsLostAfterAWhile(t *testing.T) {
	f := newFixture(t)
	f.all()
	lost := f.wait(f.grace, lab.ReserveRequest{Query: `(= arch "amd64")`})
	kept := f.wait(f.ada, lab.ReserveRequest{Query: `(= arch "amd64")`, Keep: true})
	here := f.wait(f.grace, lab.ReserveRequest{Machine: "arm-01"})
	f.gone(lost)
	f.gone(kept)
	f.pass(time.Hour)
	queue, err := f.Queue(t.Context(), f.ada)
	if err != nil || len(queue) != 2 || queue[0].ID != kept.place || queue[1].ID != here.place {
		t.Errorf("queue: %+v, %v", queue, err)
	}
	f.must(f.Release(t.Context(), f.admin, "web-01"))
	f.pass(time.Hour)
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("what came to a place that is kept is held by %q", who)
	}
}

func TestWhatNobodyComesForGoesToTheNext(t *testing.T) {
	f := newFixture(t)
	f.all()
	away := f.wait(f.grace, lab.ReserveRequest{Machine: "web-01"})
	next := f.wait(f.ada, lab.ReserveRequest{Machine: "web-01"})
	f.gone(away)
	f.must(f.Release(t.Context(), f.admin, "web-01"))
	if who, _ := f.holder("web-01"); who != "grace" {
		t.Errorf("in the time to come back, held by %q", who)
	}
	f.pass(6 * time.Minute)
	f.expect(next, "web-01")
	history, err := f.History(t.Context(), f.ada, store.HistoryFilter{User: "grace"})
	if err != nil || len(history) != 1 || history[0].EndedWhy != store.EndedMissed {
		t.Errorf("history: %+v, %v", history, err)
	}
}

func TestTheQueueOutlivesTheServer(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	start := func() (stop func()) {
		var err error
		f.db, err = storetest.Open(t.Context(), filepath.Join(f.dir, "provisioner.db"))
		f.must(err)
		f.Lab, err = lab.New(lab.Config{Store: f.db, DataDir: f.dir, Now: f.clock})
		f.must(err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func(l *lab.Lab) { ended <- l.Run(ctx) }(f.Lab) // ends with stop
		return func() {
			cancel()
			f.must(<-ended)
			f.must(f.Close())
			f.must(f.db.Close())
		}
	}
	stop := start()
	f.must(f.AddMachine(t.Context(), lab.Local, lab.NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi"}))
	f.admin, f.grace = f.login("root", true), f.login("grace", false)
	f.must(f.Reserve(t.Context(), f.admin, "web-01", ""))
	request := lab.ReserveRequest{Query: `(= arch "amd64")`, Reason: "CI"}
	before := f.wait(f.grace, request)
	f.gone(before) // the connection ends with the server
	stop()
	f.advance(time.Hour)

	defer start()()
	again := f.wait(f.grace, request)
	if again.place != before.place {
		t.Errorf("after a restart the place is %d, not %d", again.place, before.place)
	}
	f.must(f.Release(t.Context(), f.admin, "web-01"))
	f.expect(again, "web-01")
}

func TestTheQueueIsBounded(t *testing.T) {
	f := newFixture(t)
	f.all()
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = f.Enqueue(t.Context(), f.ada, lab.ReserveRequest{Machine: "web-01"})
	}
	f.refused(err, lab.Conflict, "you wait at 100 places already")
	if n != 101 {
		t.Errorf("%d places were given", n-1)
	}
}
