package lab_test

import (
	"context"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

func TestRunIsWaitedForStageByStage(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	id, err := f.StartRun(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux", Initrd: "initrd"})
	f.must(err)
	told := make(chan string, 10)
	type result struct {
		run store.RunRecord
		err error
	}
	ended := make(chan result, 1)
	go func() { // ends with the run
		run, err := f.AwaitRun(t.Context(), f.grace, id, func(r store.RunRecord) { told <- r.Stage })
		ended <- result{run, err}
	}()
	if stage := <-told; stage != lab.StageAsked {
		t.Errorf("first told of %q", stage)
	}
	f.must(f.PhoneHome(t.Context(), f.runToken("web-01"), ""))
	r := <-ended
	if r.err != nil || r.run.ID != id || r.run.State != store.RunDone {
		t.Errorf("%+v, %v", r.run, r.err)
	}
	if again, err := f.AwaitRun(t.Context(), f.grace, id, nil); err != nil || again.State != store.RunDone {
		t.Errorf("a run that has ended: %+v, %v", again, err)
	}
}

func TestWaitForARunEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	id, err := f.StartRun(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"})
	f.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = f.AwaitRun(ctx, f.ada, id, func(store.RunRecord) { cancel() })
	f.refused(err, lab.Unavailable, "wait for run 1")
	_, err = f.AwaitRun(t.Context(), f.ada, 99, nil)
	f.refused(err, lab.NotFound, "99")
}

func TestRunIsCancelledByHoldersAndAdmins(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	id, err := f.StartRun(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"})
	f.must(err)
	f.bmcs["bmc-web-01"].orders()
	f.refused(f.CancelRun(t.Context(), f.grace, id), lab.Denied, "held by ada")
	f.refused(f.CancelRun(t.Context(), f.ada, 99), lab.NotFound, "there is no such run")
	f.must(f.CancelRun(t.Context(), f.ada, id))
	m := f.machine("web-01")
	if m.NetbootEnabled || m.State != store.StateUnknown || m.Run.State != store.RunCancelled || m.Run.Error != "cancelled by ada" {
		t.Errorf("%+v, run %+v", m.Machine, m.Run)
	}
	if got := f.bmcs["bmc-web-01"].orders(); len(got) > 0 {
		t.Errorf("the machine was touched: %q", got)
	}
	f.refused(f.CancelRun(t.Context(), f.admin, id), lab.Conflict, "it has ended already: cancelled")
}
