package lab_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

func TestLogsAreListedForWhoMayReadThem(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	machine := <-f.bmcs["bmc-web-01"].opened
	f.print(machine, "free\r\n")
	f.must(f.Reserve(ctx, f.grace, "web-01", ""))
	began := f.clock()
	f.print(machine, "of grace\r\n")
	f.must(f.Release(ctx, f.grace, "web-01"))
	f.print(machine, "free again\r\n")
	f.must(f.Reserve(ctx, f.grace, "web-02", ""))

	all, err := f.ConsoleLogs(ctx, f.admin)
	f.must(err)
	hers, err := f.ConsoleLogs(ctx, f.grace)
	f.must(err)
	none, err := f.ConsoleLogs(ctx, f.ada)
	f.must(err)
	if len(all) < 3 || !slices.IsSorted(all) || !slices.Equal(hers, []string{"web-01", "web-02"}) || len(none) > 0 {
		t.Errorf("an admin %q, grace %q, ada %q", all, hers, none)
	}

	logged := func() (n int) {
		f.must(f.db.Read(ctx, func(tx *store.Tx) error {
			events, err := tx.MachineEvents(ctx, "web-01", 100)
			for _, e := range events {
				if e.Kind == lab.EventConsole {
					n++
				}
			}
			return err
		}))
		return n
	}
	before := logged()
	size, at, err := f.ConsoleLogSize(ctx, f.grace, "WEB-01")
	if err != nil || size != int64(len("of grace\r\n")) || at.Before(began.Add(-transcript.Granularity)) || at.After(began.Add(time.Minute)) {
		t.Errorf("%d bytes at %v, %v", size, at, err)
	}
	if logged() != before {
		t.Error("who looks how large a log is has read it")
	}
	if size, at, err := f.ConsoleLogSize(ctx, f.grace, "web-02"); size != 0 || !at.IsZero() || err != nil {
		t.Errorf("of nothing: %d bytes at %v, %v", size, at, err)
	}
	_, _, err = f.ConsoleLogSize(ctx, f.ada, "web-01")
	f.refused(err, lab.Denied, "nobody holds it")
	_, _, err = f.ConsoleLogSize(ctx, f.admin, "no-such")
	f.refused(err, lab.NotFound, "no-such")

	log, err := f.ConsoleLog(ctx, f.grace, "web-01", transcript.Window{})
	f.must(err)
	if text, err := io.ReadAll(io.NewSectionReader(log.File(), 0, 1<<20)); err != nil || string(text) != "of grace\r\n" {
		t.Errorf("the file: %q, %v", text, err)
	}
}
