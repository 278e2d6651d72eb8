package lab_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

func TestWhatAdminsAndHoldersChangeOfAMachine(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	name, bios, options, macs, always := "web-99", "bios", "quiet", []string{"5254.0000.00ff"}, store.ConsoleAlways
	forAll := map[string]lab.MachineChange{"subarch": {Subarch: &bios}, "options": {KernelOptions: &options}}
	forAdmins := map[string]lab.MachineChange{
		"name": {Name: &name}, "arch": {Arch: &name}, "macs": {MACs: &macs}, "bmc": {BMC: &store.BMC{}}, "console": {Console: &always},
	}
	for what, change := range forAll {
		t.Run(what, func(*testing.T) {
			f.refused(f.ChangeMachine(ctx, f.grace, "web-01", change), lab.Denied, "held by ada")
			f.must(f.ChangeMachine(ctx, f.ada, "web-01", change))
		})
	}
	for what, change := range forAdmins {
		t.Run(what, func(*testing.T) {
			f.refused(f.ChangeMachine(ctx, f.ada, "web-01", change), lab.Denied, "only an admin")
		})
	}
	f.refused(f.ChangeMachine(ctx, f.admin, "no-such", lab.MachineChange{Name: &name}), lab.NotFound, "no-such")
	f.must(f.ChangeMachine(ctx, f.admin, "web-01", lab.MachineChange{MACs: &macs}))
	m := f.machine("web-01")
	if m.Subarch != "bios" || m.KernelOptions != "quiet" || len(m.Interfaces) != 1 || m.Interfaces[0].MAC != "52:54:00:00:00:ff" {
		t.Errorf("changed: %+v", m)
	}
	for words, change := range map[string]lab.MachineChange{
		"machine name":      {Name: ptr("../etc")},
		`"web-02" already`:  {Name: ptr("web-02")},
		"amd64/coreboot":    {Subarch: ptr("coreboot")},
		"nonsense":          {MACs: &[]string{"nonsense"}},
		"52:54:00:00:00:02": {MACs: &[]string{"52:54:00:00:00:02"}},
		"no BMC bmc-none":   {BMC: &store.BMC{Address: "bmc-none"}},
		`no BMC "77"`:       {BMC: &store.BMC{ID: 77}},
		"kernel is needed":  {Kernel: ptr("")},
		"for arm64":         {Kernel: ptr("linux-arm")},
		"not a kernel":      {Kernel: ptr("initrd")},
		`no preseed "x"`:    {Preseed: ptr("x")},
		"always and":        {Console: ptr(store.ConsoleMode("sometimes"))},
	} {
		if err := f.ChangeMachine(ctx, f.admin, "web-01", change); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
}

func TestAMachineIsCalledOtherwise(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	seat, err := f.OpenConsole(ctx, f.ada, "web-01")
	f.must(err)
	defer seat.Close()
	f.must(f.ChangeMachine(ctx, f.admin, "web-01", lab.MachineChange{Name: ptr("db-01")}))
	for err == nil {
		_, err = seat.Next(ctx) // its console is opened anew
	}
	events, err := f.MachineEvents(ctx, f.ada, "db-01", 100)
	f.must(err)
	if events[0].Detail != "called web-01 before" || events[len(events)-1].Kind != lab.EventMachineAdded {
		t.Errorf("its history: %+v", events)
	}
	awaitAttached(t, f, "db-01")
	f.must(f.SetPower(ctx, f.ada, "db-01", lab.TurnOn))
	f.must(f.Release(ctx, f.ada, "db-01"))
}

// awaitAttached returns when the lab is connected to the machine's BMC.
func awaitAttached(t *testing.T, f *fixture, name string) {
	t.Helper()
	bmc := f.bmcs["bmc-web-01"]
	for {
		if _, err := f.PowerOf(t.Context(), f.admin, name); err == nil {
			return
		}
		select {
		case <-bmc.polled:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

func TestNetbootBeginsAndEndsARun(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	change := func(c lab.MachineChange) error { return f.ChangeMachine(ctx, f.ada, "web-01", c) }
	f.refused(change(lab.MachineChange{Netboot: ptr(true)}), lab.Invalid, "a kernel is needed")
	f.must(change(lab.MachineChange{Kernel: ptr("linux"), Initrd: ptr("initrd"), Netboot: ptr(true)}))
	m := f.machine("web-01")
	if m.Run == nil || m.Run.State != store.RunRunning || !m.NetbootEnabled || m.Kernel != "linux" || m.Initrd != "initrd" {
		t.Fatalf("it boots from the network: %+v", m)
	}
	if orders := f.bmcs["bmc-web-01"].orders(); len(orders) != 0 {
		t.Errorf("the BMC was told %v", orders)
	}
	first := m.Run.ID
	f.must(change(lab.MachineChange{Netboot: ptr(true)}))
	if m = f.machine("web-01"); m.Run.ID != first {
		t.Error("a run began though one goes on")
	}
	f.must(change(lab.MachineChange{KernelOptions: ptr("quiet"), Initrd: ptr("")}))
	if m = f.machine("web-01"); m.Run.ID == first || m.Run.KernelOptions != "quiet" || m.Run.InitrdID != 0 {
		t.Errorf("what it boots after a change: %+v", m.Run)
	}
	f.must(f.db.Write(ctx, func(tx *store.Tx) error {
		return tx.SetRunStage(ctx, m.Run.ID, lab.StageKernel, f.clock())
	}))
	f.refused(change(lab.MachineChange{KernelOptions: ptr("debug")}), lab.Conflict, "being installed")
	f.must(change(lab.MachineChange{Netboot: ptr(false)}))
	if m = f.machine("web-01"); m.Run.State != store.RunDone || m.NetbootEnabled || m.State != store.StateReady {
		t.Errorf("it boots from its disk: %+v", m)
	}
	f.must(change(lab.MachineChange{Netboot: ptr(false)}))
}

func TestAMachineGoes(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.refused(f.RemoveMachine(ctx, f.ada, "web-01"), lab.Denied, "only an admin")
	f.must(f.Reserve(ctx, f.ada, "web-01", "bisect"))
	f.refused(f.RemoveMachine(ctx, f.admin, "web-01"), lab.Conflict, "held by ada")
	f.must(f.ChangeMachine(ctx, f.ada, "web-01", lab.MachineChange{Kernel: ptr("linux"), Netboot: ptr(true)}))
	seat, err := f.OpenConsole(ctx, f.admin, "web-01")
	f.must(err)
	defer seat.Close()
	f.print(<-f.bmcs["bmc-web-01"].opened, "of the first one\r\n")
	for printed := ""; !strings.Contains(printed, "first one"); {
		frame, err := seat.Next(ctx)
		f.must(err)
		printed += string(frame.Data)
	}
	f.must(f.Release(ctx, f.ada, "web-01"))
	f.must(f.ChangeMachine(ctx, f.admin, "web-01", lab.MachineChange{Netboot: ptr(true)}))
	f.refused(f.RemoveMachine(ctx, f.admin, "web-01"), lab.Conflict, "being installed")
	f.must(f.EndRun(ctx, f.admin, "web-01"))

	id := f.machine("web-01").ID
	events, err := f.MachineEvents(ctx, f.admin, "web-01", 100)
	f.must(err)
	f.must(f.RemoveMachine(ctx, f.admin, "web-01"))
	for err == nil {
		_, err = seat.Next(ctx) // it is connected no more
	}
	_, err = f.Machine(ctx, f.admin, "web-01")
	f.refused(err, lab.NotFound)
	if bmcs, err := f.BMCs(ctx, f.admin); err != nil || len(bmcs) != 2 {
		t.Errorf("BMCs: %+v, %v; want those of the others", bmcs, err)
	}

	// The next one, of the same name even, is another one.
	f.must(f.AddMachine(ctx, f.admin, lab.NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi", MACs: []string{"52:54:00:00:00:01"}}))
	next := f.machine("web-01")
	f.must(f.RemoveMachine(ctx, f.admin, "web-01"))
	f.must(f.AddMachine(ctx, f.admin, lab.NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi", MACs: []string{"52:54:00:00:00:01"}}))
	if third := f.machine("web-01"); third.ID <= next.ID || next.ID <= id {
		t.Errorf("ids of three machines, one after the other: %d, %d, %d", id, next.ID, third.ID)
	}
	if next.Run != nil || len(next.Holders) != 0 || next.BMCID != 0 {
		t.Errorf("it has got something of the one before: %+v", next)
	}
	kept, err := f.MachineEvents(ctx, f.admin, "web-01", 100)
	if err != nil || len(kept) != len(events)+4 { // removed, and added, twice
		t.Errorf("%d events are kept of %d, %v", len(kept), len(events), err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "consoles", strconv.FormatInt(id, 10))); err != nil {
		t.Errorf("the log of its console: %v", err)
	}
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	if log, err := f.ConsoleLog(ctx, f.ada, "web-01", transcript.Window{}); err != nil || log.End() != 0 {
		t.Errorf("the log of the new one: %v", err)
	}
}

func TestCartridgesShareAChassis(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.bmcs["chassis"] = &fakeBMC{}
	add := func(name string, slot int, user string) error {
		return f.AddMachine(ctx, f.admin, lab.NewMachine{Name: name, Arch: "amd64", Subarch: "bios",
			BMC: &store.BMC{Type: store.BMCMoonshot, Address: "chassis", Slot: slot, Username: user, Password: "secret"}})
	}
	f.must(add("cart-1", 1, "old"))
	f.must(add("cart-2", 2, "new"))
	var chassis lab.BMCInfo
	bmcs, err := f.BMCs(ctx, f.admin)
	f.must(err)
	for _, b := range bmcs {
		if b.Type == store.BMCMoonshot {
			chassis = b
		}
	}
	if len(bmcs) != 4 || len(chassis.Machines) != 2 || chassis.Machines[1] != (store.BMCMachine{BMCID: chassis.ID, Name: "cart-2", Slot: 2}) ||
		chassis.Username != "new" || chassis.Password != "" {
		t.Fatalf("BMCs: %+v", bmcs)
	}
	f.refused(f.RemoveBMC(ctx, f.admin, chassis.ID), lab.Conflict, "cart-1, cart-2")
	_, err = f.AddBMC(ctx, f.admin, store.BMC{Type: store.BMCMoonshot, Address: "chassis", Username: "u", Password: "p"})
	f.refused(err, lab.Conflict, "share it")
	f.must(f.RemoveMachine(ctx, f.admin, "cart-1"))
	f.must(f.ChangeMachine(ctx, f.admin, "cart-2", lab.MachineChange{BMC: &store.BMC{}}))
	if b, err := f.BMC(ctx, f.admin, chassis.ID); err != nil || len(b.Machines) != 0 {
		t.Errorf("the chassis without cartridges: %+v, %v", b, err)
	}
	f.must(f.ChangeMachine(ctx, f.admin, "cart-2", lab.MachineChange{BMC: &store.BMC{ID: chassis.ID, Slot: 7}}))
	f.must(f.ChangeMachine(ctx, f.admin, "cart-2", lab.MachineChange{BMC: &store.BMC{}}))
	f.must(f.RemoveBMC(ctx, f.admin, chassis.ID))
	_, err = f.BMC(ctx, f.admin, chassis.ID)
	f.refused(err, lab.NotFound)
}

func TestBMCsAreForAdmins(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	id := f.machine("web-01").BMCID
	for what, do := range map[string]func(lab.Actor) error{
		"list":   func(a lab.Actor) error { _, err := f.BMCs(ctx, a); return err },
		"show":   func(a lab.Actor) error { _, err := f.BMC(ctx, a, id); return err },
		"add":    func(a lab.Actor) error { _, err := f.AddBMC(ctx, a, store.BMC{Address: "bmc-web-01"}); return err },
		"change": func(a lab.Actor) error { return f.ChangeBMC(ctx, a, id, lab.BMCChange{Password: ptr("better")}) },
	} {
		t.Run(what, func(*testing.T) {
			f.refused(do(f.ada), lab.Denied, "only an admin")
			f.must(do(f.admin))
		})
	}
	f.refused(f.RemoveBMC(ctx, f.ada, id), lab.Denied, "only an admin")
	f.refused(f.ChangeBMC(ctx, f.admin, id, lab.BMCChange{Address: ptr("nowhere")}), lab.Invalid, "no BMC nowhere")
	f.refused(f.ChangeBMC(ctx, f.admin, 99, lab.BMCChange{}), lab.NotFound, "99")
	audit := ""
	f.must(f.db.Read(ctx, func(tx *store.Tx) error {
		events, err := tx.EventsAfter(ctx, 0, 1000)
		for _, e := range events {
			audit += e.Kind + " " + e.Detail + "\n"
		}
		return err
	}))
	if !strings.Contains(audit, "bmc changed bmc-web-01, another password") || strings.Contains(audit, "better") {
		t.Errorf("what was kept of it:\n%s", audit)
	}
}

func TestArchitecturesAreForAdmins(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	steps := []struct {
		what string
		do   func(lab.Actor) error
	}{
		{"add arch", func(a lab.Actor) error { return f.AddArchitecture(ctx, a, "ppc64el") }},
		{"add subarch", func(a lab.Actor) error {
			return f.AddSubarch(ctx, a, lab.NewSubarch{Arch: "ppc64el", Name: "petitboot"})
		}},
		{"change subarch", func(a lab.Actor) error {
			return f.ChangeSubarch(ctx, a, "ppc64el", "petitboot", lab.SubarchChange{Name: ptr("opal"), EFIBoot: ptr(true)})
		}},
		{"remove subarch", func(a lab.Actor) error { return f.RemoveSubarch(ctx, a, "ppc64el", "opal") }},
		{"remove arch", func(a lab.Actor) error { return f.RemoveArchitecture(ctx, a, "ppc64el") }},
	}
	for _, step := range steps {
		f.refused(step.do(f.ada), lab.Denied, "only an admin")
		if err := step.do(f.admin); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		if err := step.do(f.admin); err == nil {
			t.Errorf("%s was done twice", step.what)
		}
	}
	f.refused(f.AddArchitecture(ctx, f.admin, "../etc"), lab.Invalid, "a name has")
	f.refused(f.RemoveArchitecture(ctx, f.admin, "arm64"), lab.Conflict, "machines: arm-01", "images: linux-arm")
	f.refused(f.RemoveSubarch(ctx, f.admin, "arm64", "uefi"), lab.Conflict, "arm-01")
	f.refused(f.ChangeSubarch(ctx, f.admin, "arm64", "uefi", lab.SubarchChange{Bootloader: ptr("grub")}), lab.Invalid, "for amd64")
	f.refused(f.ChangeSubarch(ctx, f.admin, "amd64", "uefi", lab.SubarchChange{Bootloader: ptr("linux")}), lab.Invalid, "not a bootloader")
	f.must(f.ChangeSubarch(ctx, f.admin, "amd64", "uefi", lab.SubarchChange{Bootloader: ptr(""), EFIBoot: ptr(false)}))
	if m := f.machine("web-01"); m.BootloaderID != 0 || m.EFIBoot {
		t.Errorf("a machine of it: %+v", m)
	}
	archs, err := f.Architectures(ctx, f.ada)
	f.must(err)
	if len(archs) != 4 || archs[0].Name != "amd64" || len(archs[0].Subarchs) != 2 || archs[0].Subarchs[1].Machines != 2 {
		t.Errorf("architectures: %+v", archs)
	}
}
