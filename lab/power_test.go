package lab_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

func TestOrdersReachTheBMCAndAreKept(t *testing.T) {
	refusal := &ipmi.Error{Op: "power diag", Addr: "10.0.0.1:623", Err: ipmi.ErrRefused}
	for _, tt := range []struct {
		order  func(f *fixture) error
		asked  string // of the BMC
		kind   string // of the event
		failed string
		detail string
	}{
		{power(lab.TurnOn), "power on", lab.EventPower, lab.EventPowerFailed, "on"},
		{power(lab.TurnOff), "power off", lab.EventPower, lab.EventPowerFailed, "off"},
		{power(lab.Reset), "power reset", lab.EventPower, lab.EventPowerFailed, "reset"},
		{power(lab.Cycle), "power cycle", lab.EventPower, lab.EventPowerFailed, "cycle"},
		{power(lab.Shutdown), "power soft", lab.EventPower, lab.EventPowerFailed, "soft"},
		{power(lab.Interrupt), "power diag", lab.EventPower, lab.EventPowerFailed, "diag"},
		{identify(lab.LightBrief), "light on for 15 s", lab.EventIdentify, lab.EventIdentifyFailed, "brief"},
		{identify(lab.LightOff), "light off", lab.EventIdentify, lab.EventIdentifyFailed, "off"},
		{bootDevice(lab.BootPXE, lab.BootOptions{}), "boot pxe efi=true persistent=false", lab.EventBootDevice, lab.EventBootDeviceFailed, "pxe"},
		{bootDevice(lab.BootDisk, lab.BootOptions{Persistent: true}), "boot disk efi=true persistent=true", lab.EventBootDevice, lab.EventBootDeviceFailed, "disk, for every boot"},
		{bootDevice(lab.BootPXE, lab.BootOptions{Firmware: lab.FirmwareEFI}), "boot pxe efi=true persistent=false", lab.EventBootDevice, lab.EventBootDeviceFailed, "pxe, efi"},
		{
			bootDevice(lab.BootPXE, lab.BootOptions{Firmware: lab.FirmwareLegacy, Persistent: true}),
			"boot pxe efi=false persistent=true", lab.EventBootDevice, lab.EventBootDeviceFailed, "pxe, legacy, for every boot",
		},
		{bootDevice(lab.BootBIOS, lab.BootOptions{}), "boot bios efi=true persistent=false", lab.EventBootDevice, lab.EventBootDeviceFailed, "bios"},
		{bootDevice(lab.BootCDROM, lab.BootOptions{}), "boot cdrom efi=true persistent=false", lab.EventBootDevice, lab.EventBootDeviceFailed, "cdrom"},
		{bootDevice(lab.BootNone, lab.BootOptions{}), "boot none efi=true persistent=false", lab.EventBootDevice, lab.EventBootDeviceFailed, "none"},
	} {
		t.Run(tt.asked, func(t *testing.T) {
			f := newFixture(t)
			f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
			bmc := f.bmcs["bmc-web-01"]

			f.must(tt.order(f))
			if got := bmc.orders(); !reflect.DeepEqual(got, []string{tt.asked}) {
				t.Errorf("the BMC was asked %q", got)
			}
			f.newestOrder("web-01", tt.kind, tt.detail)

			bmc.fail(refusal)
			f.refused(tt.order(f), lab.Unavailable, "web-01", "10.0.0.1:623")
			f.newestOrder("web-01", tt.failed, tt.detail+": ")
		})
	}
}

func TestBootDeviceOfAMachineWithoutUEFI(t *testing.T) {
	f := newFixture(t)
	bmc := &fakeBMC{polled: make(chan struct{}, 100)}
	f.bmcs["bmc-old-01"] = bmc
	f.must(f.AddMachine(t.Context(), lab.Local, lab.NewMachine{
		Name: "old-01", Arch: "amd64", Subarch: "bios", BMC: &store.BMC{Address: "bmc-old-01"},
	}))
	<-bmc.polled
	f.must(f.SetBootDevice(t.Context(), f.admin, "old-01", lab.BootPXE, lab.BootOptions{}))
	f.must(f.SetBootDevice(t.Context(), f.admin, "old-01", lab.BootPXE, lab.BootOptions{Firmware: lab.FirmwareEFI}))
	if got := bmc.orders(); !reflect.DeepEqual(got, []string{"boot pxe efi=false persistent=false", "boot pxe efi=true persistent=false"}) {
		t.Errorf("the BMC was asked %q", got)
	}
}

// A BMC that has failed is left alone for a while, but not when a person asks.
func TestPersonIsAnsweredDuringThePauseOfABMC(t *testing.T) {
	paused := &ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: &ipmi.PausedError{
		Err: ipmi.ErrNoAnswer, Until: time.Now().Add(time.Hour),
	}}
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	for name, ask := range map[string]func(*fixture) error{
		"power":       func(f *fixture) error { _, err := f.PowerOf(t.Context(), f.grace, "web-01"); return err },
		"power on":    power(lab.TurnOn),
		"identify":    identify(lab.LightBrief),
		"boot device": bootDevice(lab.BootPXE, lab.BootOptions{}),
	} {
		f.bmcs["bmc-web-01"].fail(paused)
		if err := ask(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cartridge is the hardware of a Moonshot's cartridge.
type cartridge struct{ on atomic.Bool }

func (c *cartridge) PoweredOn() bool                         { return c.on.Load() }
func (c *cartridge) SetPower(on bool)                        { c.on.Store(on) }
func (*cartridge) Reset()                                    {}
func (*cartridge) SetBootDevice(ipmi.BootDevice, bool, bool) {}
func (*cartridge) ReadSerial([]byte) int                     { return 0 }
func (*cartridge) WriteSerial(p []byte) int                  { return len(p) }

// TestPowerIsKnownAsSoonAsTheConsoleIsBack has an hour between two polls.
func TestPowerIsKnownAsSoonAsTheConsoleIsBack(t *testing.T) {
	dead := &ipmi.Error{Op: "chassis status", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer}
	f := newFixtureOf(t, func(bmc *fakeBMC) { bmc.err = dead })
	bmc := f.bmcs["bmc-web-01"]
	seat, err := f.OpenConsole(t.Context(), f.admin, "web-01")
	f.must(err)
	defer seat.Close()
	for f.machine("web-01").Power.Problem == "" { // until the first poll is noted
		runtime.Gosched()
	}
	bmc.fail(nil)
	again, err := f.OpenConsole(t.Context(), f.admin, "web-01") // has it tried at once
	f.must(err)
	defer again.Close()
	<-bmc.polled
	for f.machine("web-01").Power.State != lab.PowerOff {
		runtime.Gosched()
	}
}

func TestMachineInAMoonshotIsReachedOverTheNetwork(t *testing.T) {
	hw := &cartridge{}
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- sim.NewMoonshot("ADMIN", "secret", 7, hw).Serve(serving, conn) }() // ends with stop
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("simulated BMC: %v", err)
		}
	}()

	dir := t.TempDir()
	db, err := storetest.Open(t.Context(), filepath.Join(dir, "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(lab.Config{Store: db, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	updates := l.Subscribe()
	defer updates.Close()
	go func() { ended <- l.Run(ctx) }() // ends with cancel
	defer func() {
		cancel()
		if err := errors.Join(<-ended, l.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}()
	add := func(slot int, kind store.BMCType) error {
		return l.AddMachine(t.Context(), lab.Local, lab.NewMachine{
			Name: "cart-07", Arch: "arm64", Subarch: "uefi",
			BMC: &store.BMC{Type: kind, Slot: slot, Address: conn.LocalAddr().String(), Username: "ADMIN", Password: "secret"},
		})
	}
	for what, err := range map[string]error{
		"without a slot":      add(0, store.BMCMoonshot),
		"with one too many":   add(46, store.BMCMoonshot),
		"in a machine's slot": add(7, ""),
	} {
		if lab.CodeOf(err) != lab.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := add(7, store.BMCMoonshot); err != nil {
		t.Fatal(err)
	}
	for seen := false; !seen; { // the first poll has come through
		events, _, err := updates.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen = slices.ContainsFunc(events, func(e store.Event) bool { return e.Kind == lab.EventPowerSeen && e.Detail == "off" })
	}
	admin := lab.Actor{User: store.User{Role: store.RoleAdmin}}
	if err := l.SetPower(t.Context(), admin, "cart-07", lab.TurnOn); err != nil {
		t.Fatal(err)
	}
	if !hw.PoweredOn() {
		t.Error("the cartridge is off")
	}
}

func power(action lab.PowerAction) func(*fixture) error {
	return func(f *fixture) error { return f.SetPower(f.t.Context(), f.ada, "web-01", action) }
}

func bootDevice(device lab.BootDevice, options lab.BootOptions) func(*fixture) error {
	return func(f *fixture) error {
		return f.SetBootDevice(f.t.Context(), f.ada, "web-01", device, options)
	}
}

func identify(light lab.Light) func(*fixture) error {
	return func(f *fixture) error { return f.Identify(f.t.Context(), f.ada, "web-01", light) }
}

// newestOrder checks the newest event that is somebody's doing: a BMC may
// report a power state meanwhile.
func (f *fixture) newestOrder(machine, kind, detail string) {
	f.t.Helper()
	events, err := f.MachineEvents(f.t.Context(), f.ada, machine, 5)
	f.must(err)
	for _, e := range events {
		if e.User == "" {
			continue
		}
		if e.Kind != kind || !strings.HasPrefix(e.Detail, detail) || e.User != "ada" {
			f.t.Errorf("newest event: %+v; want %s, %s", e, kind, detail)
		}
		return
	}
	f.t.Errorf("no event of a person; want %s, %s", kind, detail)
}
