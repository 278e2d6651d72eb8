package lab_test

import (
	"errors"
	"slices"
	"testing"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/store"
)

func TestAMachineStartsFromADeviceAtOnce(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	bmc := f.bmcs["bmc-web-01"]
	bmc.orders()
	f.must(f.RestartFrom(t.Context(), f.ada, "web-01", lab.BootBIOS)) // it is off
	f.must(f.RestartFrom(t.Context(), f.ada, "web-01", lab.BootPXE))
	want := []string{
		"boot bios efi=true persistent=false", "power on", "boot pxe efi=true persistent=false", "power reset",
	}
	if got := bmc.orders(); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	f.refused(f.RestartFrom(t.Context(), f.grace, "web-01", lab.BootPXE), lab.Denied, "held by ada")
	f.refused(f.RestartFrom(t.Context(), f.ada, "web-01", "floppy"), lab.Invalid, "floppy")
	if got := bmc.orders(); len(got) != 0 {
		t.Errorf("refused, the BMC was told %q", got)
	}
	bmc.fail(&ipmi.Error{Op: "set boot device", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	f.refused(f.RestartFrom(t.Context(), f.ada, "web-01", lab.BootDisk), lab.Unavailable, "restart web-01 from disk")
	if got := bmc.orders(); !slices.Equal(got, []string{"boot disk efi=true persistent=false"}) {
		t.Errorf("it was told %q, but not from where", got)
	}
}

func TestPeopleSayWhatHasBecomeOfAMachine(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.refused(f.SetState(t.Context(), f.grace, "web-01", store.StateReady), lab.Denied, "held by ada")
	f.refused(f.SetState(t.Context(), f.ada, "web-01", store.StateProvisioning), lab.Invalid, "provisioning")
	f.refused(f.SetState(t.Context(), f.ada, "no-such", store.StateReady), lab.NotFound)
	f.must(f.SetState(t.Context(), f.ada, "web-01", store.StateError))
	if m := f.machine("web-01"); m.State != store.StateError {
		t.Errorf("state %s", m.State)
	}
	for state, ended := range map[store.MachineState]store.RunState{
		store.StateReady: store.RunDone, store.StateError: store.RunFailed, store.StateUnknown: store.RunCancelled,
	} {
		f.must(f.Provision(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"}))
		f.must(f.SetState(t.Context(), f.admin, "web-01", state))
		if m := f.machine("web-01"); m.State != state || m.NetbootEnabled || m.Run == nil || m.Run.State != ended {
			t.Errorf("%s: state %s, netboot %t, run %+v", state, m.State, m.NetbootEnabled, m.Run)
		}
	}
}

func TestAssigneesChangeAndLeaveByThemselves(t *testing.T) {
	f := newFixture(t)
	f.must(f.Assign(t.Context(), f.admin, "web-01", "ada", "kernel tests"))
	f.must(f.Assign(t.Context(), f.admin, "web-01", "grace", ""))
	for _, change := range []func(actor lab.Actor, user string) error{
		func(actor lab.Actor, user string) error {
			return f.SetReason(t.Context(), actor, "web-01", user, "by "+actor.User.Name)
		},
		func(actor lab.Actor, user string) error { return f.Unassign(t.Context(), actor, "web-01", user) },
	} {
		f.refused(change(f.grace, "ada"), lab.Denied, "only ada or an admin may")
		f.refused(change(f.admin, "root"), lab.NotFound, "root does not hold it")
		f.refused(change(f.admin, "nobody"), lab.NotFound, "nobody")
		f.must(change(f.grace, "grace"))
		f.must(change(f.admin, "ada"))
	}
	if m := f.machine("web-01"); len(m.Holders) != 0 {
		t.Errorf("held by %+v", m.Holders)
	}
	f.must(f.Assign(t.Context(), f.admin, "web-01", "ada", ""))
	f.must(f.SetReason(t.Context(), f.ada, "web-01", "ADA", "bisecting"))
	if m := f.machine("web-01"); len(m.Holders) != 1 || m.Holders[0].Reason != "bisecting" {
		t.Errorf("held by %+v", m.Holders)
	}
	f.refused(f.SetReason(t.Context(), f.ada, "web-01", "ada", "two\nlines"), lab.Invalid, "one line")
}

func TestImagesAndPreseedsAreNamedByTheirNumbers(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddPreseed(t.Context(), f.ada, lab.NewPreseed{Name: "own", Type: "preseed", Content: "text"}))
	for _, test := range []struct {
		name func(ref string) (string, error)
		ref  string
		want string
	}{
		{func(ref string) (string, error) { return f.ImageName(t.Context(), f.ada, ref) }, "2", "linux"},
		{func(ref string) (string, error) { return f.ImageName(t.Context(), f.ada, ref) }, "LINUX", "linux"},
		{func(ref string) (string, error) { return f.ImageName(t.Context(), f.ada, ref) }, "4711", ""},
		{func(ref string) (string, error) { return f.PreseedName(t.Context(), f.ada, ref) }, "1", "own"},
		{func(ref string) (string, error) { return f.PreseedName(t.Context(), f.ada, ref) }, "own", "own"},
		{func(ref string) (string, error) { return f.PreseedName(t.Context(), f.ada, ref) }, "", ""},
	} {
		name, err := test.name(test.ref)
		if name != test.want || test.want != "" && err != nil || test.want == "" && lab.CodeOf(err) != lab.NotFound {
			t.Errorf("%q: %q, %v; want %q", test.ref, name, err, test.want)
		}
	}
	own, err := f.FullPreseeds(t.Context(), f.ada)
	theirs, err2 := f.FullPreseeds(t.Context(), f.grace)
	if errors.Join(err, err2) != nil || len(own) != 1 || own[0].Content != "text" || len(theirs) != 0 {
		t.Errorf("ada has %+v, grace %+v, %v, %v", own, theirs, err, err2)
	}
}
