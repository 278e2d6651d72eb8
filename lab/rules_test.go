package lab_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/store/storetest"
)

func TestWhoMayDoWhat(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", "bisect"))
	stranger, holder, admin := f.grace, f.ada, f.admin
	operations := map[string]func(lab.Actor, string) error{
		"power":    func(a lab.Actor, m string) error { return f.SetPower(t.Context(), a, m, lab.TurnOn) },
		"identify": func(a lab.Actor, m string) error { return f.Identify(t.Context(), a, m, lab.LightBrief) },
		"boot device": func(a lab.Actor, m string) error {
			return f.SetBootDevice(t.Context(), a, m, lab.BootPXE, lab.BootOptions{})
		},
		"provision": func(a lab.Actor, m string) error {
			return f.Provision(t.Context(), a, m, lab.ProvisionRequest{Kernel: "linux"})
		},
		"end run": func(a lab.Actor, m string) error { return f.EndRun(t.Context(), a, m) },
		"console": func(a lab.Actor, m string) error {
			v, err := f.OpenConsole(t.Context(), a, m)
			if err == nil {
				v.Close()
			}
			return err
		},
	}
	for what, operation := range operations {
		t.Run(what, func(t *testing.T) {
			f.refused(operation(stranger, "web-01"), lab.Denied, "held by ada")
			f.refused(operation(stranger, "web-02"), lab.Denied, "reserve it first")
			f.refused(operation(stranger, "no-such"), lab.NotFound, `no machine "no-such"`)
			for _, actor := range []lab.Actor{holder, admin} {
				if err := operation(actor, "web-01"); err != nil && lab.CodeOf(err) != lab.Conflict {
					t.Errorf("%s: %v", actor.User.Name, err)
				}
			}
		})
	}
	for what, err := range map[string]error{
		"add user":    f.AddUser(t.Context(), holder, "eve", true, nil),
		"add machine": f.AddMachine(t.Context(), holder, lab.NewMachine{Name: "m"}),
		"assign":      f.Assign(t.Context(), holder, "web-02", "ada", ""),
	} {
		t.Run(what, func(*testing.T) { f.refused(err, lab.Denied, "only an admin") })
	}
	_, err := f.CreateToken(t.Context(), stranger, lab.NewToken{User: "ada"})
	f.refused(err, lab.Denied, "only ada or an admin")
}

func TestOneOfManyGetsTheMachine(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 8 {
		for _, actor := range []lab.Actor{f.ada, f.grace, f.admin} {
			wg.Go(func() {
				err := f.Reserve(t.Context(), actor, "web-01", "")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got++
				} else if lab.CodeOf(err) != lab.Conflict {
					t.Errorf("reserve: %v", err)
				}
			})
		}
	}
	wg.Wait()
	if got != 1 || len(f.machine("web-01").Holders) != 1 {
		t.Errorf("%d got it, held by %+v", got, f.machine("web-01").Holders)
	}
}

func TestReleaseIsForHoldersAndAdmins(t *testing.T) {
	f := newFixture(t)
	f.refused(f.Release(t.Context(), f.ada, "web-01"), lab.Conflict, "nobody holds it")
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.refused(f.Reserve(t.Context(), f.ada, "web-01", ""), lab.Conflict, "you hold it already")
	f.refused(f.Release(t.Context(), f.grace, "web-01"), lab.Denied, "held by ada")
	f.must(f.Assign(t.Context(), f.admin, "web-01", "grace", "together"))
	f.must(f.Release(t.Context(), f.ada, "web-01"))
	if m := f.machine("web-01"); len(m.Holders) != 1 || m.Holders[0].User != "grace" {
		t.Errorf("holders after one of two left: %+v", m.Holders)
	}
	f.must(f.Release(t.Context(), f.admin, "web-01"))
	if m := f.machine("web-01"); len(m.Holders) != 0 {
		t.Errorf("holders after an admin released it: %+v", m.Holders)
	}
	f.refused(f.Reserve(t.Context(), lab.Local, "web-01", ""), lab.Denied, "no account")
}

func TestConsoleOfAReleasedMachineIsClosedToItsFormerHolder(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	former, err := f.OpenConsole(t.Context(), f.ada, "web-01")
	f.must(err)
	defer former.Close()
	admin, err := f.OpenConsole(t.Context(), f.admin, "web-01")
	f.must(err)
	defer admin.Close()

	f.must(f.Release(t.Context(), f.admin, "web-01"))
	for err == nil {
		_, err = former.Next(t.Context())
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the former holder's console: %v", err)
	}
	if admin.Ended() {
		t.Error("the admin's console has ended, too")
	}
}

func TestPowerIsWhatTheBMCSays(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	bmc := f.bmcs["bmc-web-01"]
	f.must(f.SetPower(t.Context(), f.ada, "web-01", lab.TurnOn))
	power, err := f.PowerOf(t.Context(), f.grace, "web-01")
	if err != nil || power.State != lab.PowerOn {
		t.Errorf("power: %+v, %v", power, err)
	}
	gone := &ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer}
	bmc.fail(gone)
	power, err = f.PowerOf(t.Context(), f.grace, "web-01")
	f.refused(err, lab.Unavailable, "web-01", "10.0.0.1:623")
	if power.State != lab.PowerUnknown || power.Problem == "" {
		t.Errorf("power of a dead BMC: %+v", power)
	}
	f.refused(f.SetPower(t.Context(), f.ada, "web-01", lab.Reset), lab.Unavailable, "power reset web-01", "10.0.0.1:623")
	f.refused(f.Identify(t.Context(), f.ada, "web-01", "blinding"), lab.Invalid, "off, brief and on")
	f.refused(f.SetBootDevice(t.Context(), f.ada, "web-01", "floppy", lab.BootOptions{}), lab.Invalid, "pxe, disk, bios, cdrom and none")
	f.refused(f.SetBootDevice(t.Context(), f.ada, "web-01", lab.BootPXE, lab.BootOptions{Firmware: "open"}), lab.Invalid, "efi and legacy")
	f.refused(f.SetPower(t.Context(), f.ada, "web-01", "explode"), lab.Invalid, "on, off, reset, cycle, soft and diag")
	if events, err := f.MachineEvents(t.Context(), f.ada, "web-01", 1); err != nil || events[0].Kind != lab.EventPowerFailed {
		t.Errorf("newest event: %+v, %v", events, err)
	}
}

func TestClaimCodeOpensTheFirstAdminAccountOnce(t *testing.T) {
	f := newFixture(t)
	key := lab.PublicKey{Fingerprint: "SHA256:new", Authorized: "ssh-ed25519 AAAA"}
	_, err := f.Claim(t.Context(), f.ClaimCode(), key, "")
	f.refused(err, lab.Conflict, "claimed this server already") // the fixture has an admin
}

func TestChangesAreHeardFromOtherProcesses(t *testing.T) {
	f := newFixture(t)
	subscription := f.Subscribe()
	defer subscription.Close()
	other, err := storetest.Open(t.Context(), f.dir+"/provisioner.db")
	f.must(err)
	defer func() { _ = other.Close() }()
	l, err := lab.New(lab.Config{Store: other, DataDir: f.dir})
	f.must(err)
	defer func() { _ = l.Close() }()
	f.must(l.AddUser(t.Context(), lab.Local, "eve", false, nil))

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		events, _, err := subscription.Next(ctx)
		f.must(err)
		for _, e := range events {
			if e.Kind == lab.EventUserAdded && e.Detail == "user eve" {
				return
			}
		}
	}
}

func TestEventsComeOnceAndInOrder(t *testing.T) {
	f := newFixture(t)
	subscription := f.Subscribe()
	defer subscription.Close()
	for range 20 {
		f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
		f.must(f.Release(t.Context(), f.ada, "web-01"))
	}
	var kinds []string
	last := int64(0)
	for len(kinds) < 40 {
		events, lost, err := subscription.Next(t.Context())
		f.must(err)
		if lost {
			t.Fatal("events were lost")
		}
		for _, e := range events {
			if e.ID == 0 {
				continue // of the power, which is told and not kept
			}
			if e.ID <= last {
				t.Fatalf("event %d after %d", e.ID, last)
			}
			last = e.ID
			if e.Kind == lab.EventReserved || e.Kind == lab.EventReleased {
				kinds = append(kinds, e.Kind)
			}
		}
	}
	for i, kind := range kinds {
		if want := []string{lab.EventReserved, lab.EventReleased}[i%2]; kind != want {
			t.Fatalf("event %d is %q", i, kind)
		}
	}
}

func TestBadNamesAndAddressesAreRefused(t *testing.T) {
	f := newFixture(t)
	add := func(m lab.NewMachine) error { return f.AddMachine(t.Context(), f.admin, m) }
	f.refused(add(lab.NewMachine{Name: "../etc", Arch: "amd64", Subarch: "uefi"}), lab.Invalid, "machine name")
	f.refused(add(lab.NewMachine{Name: "m", Arch: "vax", Subarch: "uefi"}), lab.NotFound, "vax/uefi")
	f.refused(add(lab.NewMachine{Name: "m", Arch: "amd64", Subarch: "uefi", MACs: []string{"nonsense"}}), lab.Invalid, "nonsense")
	f.refused(add(lab.NewMachine{Name: "m", Arch: "amd64", Subarch: "uefi", MACs: []string{"5254.0000.0001"}}), lab.Conflict, "52:54:00:00:00:01")
	_, err := f.Machine(t.Context(), f.admin, "m")
	f.refused(err, lab.NotFound)
	f.refused(f.AddUser(t.Context(), f.admin, "Bad Name", false, nil), lab.Invalid, "user name")
	f.refused(f.AddUser(t.Context(), f.admin, "ada", false, nil), lab.Conflict, "already")
	f.refused(f.AddPreseed(t.Context(), f.ada, lab.NewPreseed{Name: "bad", Type: "preseed", Content: "{% if %}"}), lab.Invalid, "Syntax error")
	for _, reason := range []string{strings.Repeat("x", 141), "two\nlines", "\x1b[2J", "\xff"} {
		f.refused(f.Reserve(t.Context(), f.ada, "web-01", reason), lab.Invalid, "one line of at most 140 bytes")
	}
	if _, err := f.Login(t.Context(), "ada", "SHA256:grace", ""); lab.CodeOf(err) != lab.Denied {
		t.Errorf("log-in with another's key: %v", err)
	}
}
