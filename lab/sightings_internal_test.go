package lab

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provisioner/boot"
	"provisioner/store"
	"provisioner/store/storetest"
)

// hookFixture is a lab that does not run: what it keeps of DHCP requests, it
// keeps when the test has it keep.
type hookFixture struct {
	*Lab
	t   *testing.T
	db  *store.DB
	log bytes.Buffer
	at  time.Time
}

var hookMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1} // of web-01, which is amd64/uefi

func newHookFixture(t *testing.T) *hookFixture {
	t.Helper()
	f := &hookFixture{t: t, at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	var err error
	if f.db, err = storetest.Open(t.Context(), filepath.Join(dir, "provisioner.db")); err != nil {
		t.Fatal(err)
	}
	f.Lab, err = New(Config{
		Store: f.db, DataDir: dir, Now: func() time.Time { return f.at }, MaxDiscovered: 20,
		PublicURL: &url.URL{Scheme: "http", Host: "10.0.0.1:8080", Path: "/"}, Logger: slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(f.Close(), f.db.Close()); err != nil {
			t.Error(err)
		}
	})
	f.must(f.AddMachine(t.Context(), Local, NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi", MACs: []string{hookMAC.String()}}))
	for _, subarch := range []string{"uefi", "bios"} {
		f.must(f.AddImage(t.Context(), Local, NewImage{
			Name: "loader for " + subarch, Type: store.ImageBootloader, Arch: "amd64", Subarch: subarch, Filename: subarch + ".0", Public: true,
		}, strings.NewReader(subarch)))
	}
	return f
}

func (f *hookFixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *hookFixture) seen(request boot.SeenRequest) (known bool) {
	f.t.Helper()
	known, err := f.DHCP().Seen(f.t.Context(), request)
	f.must(err)
	return known
}

// keep keeps all that waits.
func (f *hookFixture) keep() {
	f.t.Helper()
	for batch := f.sightings.waiting(nil); len(batch) > 0; batch = f.sightings.waiting(nil) {
		f.must(f.keepSeen(f.t.Context(), batch))
	}
}

func (f *hookFixture) netboot(on bool) {
	f.t.Helper()
	f.must(f.db.Write(f.t.Context(), func(tx *store.Tx) error {
		m, err := tx.Machine(f.t.Context(), "web-01")
		m.NetbootEnabled = on
		return errors.Join(err, tx.UpdateMachine(f.t.Context(), m))
	}))
}

func (f *hookFixture) events(kind string) (details []string) {
	f.t.Helper()
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) error {
		events, err := tx.EventsAfter(f.t.Context(), 0, 1000)
		for _, e := range events {
			if e.Kind == kind {
				details = append(details, e.Detail)
			}
		}
		return err
	}))
	return details
}

func TestWhoBootsWhat(t *testing.T) {
	f := newHookFixture(t)
	const uefi, bios = "bootloaders/amd64/uefi/uefi.0", "bootloaders/amd64/bios/bios.0"
	const script = "http://10.0.0.1:8080/ipxe/52-54-00-00-00-01"
	for _, test := range []struct {
		name    string
		request boot.SeenRequest
		file    string
		http    bool
	}{
		{"the machine as it was added", boot.SeenRequest{Arch: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003016"}, uefi, false},
		{"one that says nothing", boot.SeenRequest{Arch: -1}, uefi, false},
		{"one that says what nobody knows", boot.SeenRequest{Arch: 999}, uefi, false},
		{"a firmware that was set to BIOS", boot.SeenRequest{Arch: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001"}, bios, false},
		{"iPXE", boot.SeenRequest{Arch: 7, UserClass: "iPXE"}, script, false},
		{"iPXE on the other firmware", boot.SeenRequest{Arch: 0, UserClass: "iPXE"}, script, false},
		{"iPXE on another architecture", boot.SeenRequest{Arch: 11, UserClass: "iPXE"}, "", false},
		{"UEFI HTTP boot", boot.SeenRequest{Arch: 16, VendorClass: "HTTPClient:Arch:00016:UNDI:003001"}, "http://10.0.0.1:8080/" + uefi, true},
		{"another architecture", boot.SeenRequest{Arch: 11, VendorClass: "PXEClient:Arch:00011:UNDI:003000"}, "", false},
	} {
		for _, on := range []bool{true, false} {
			f.netboot(on)
			test.request.MAC = hookMAC
			if !f.seen(test.request) {
				t.Errorf("%s: not known", test.name)
			}
			answer, err := f.DHCP().Answer(t.Context(), hookMAC)
			want := boot.DHCPAnswer{Hostname: "web-01"}
			if on && test.file != "" {
				want.BootFile, want.HTTP, want.NextServer = test.file, test.http, netip.MustParseAddr("10.0.0.1")
			}
			if err != nil || answer != want {
				t.Errorf("%s, netboot %t: %+v, %v; want %+v", test.name, on, answer, err, want)
			}
		}
	}
}

func TestWhatAMachineAskedAsIsForgotten(t *testing.T) {
	f := newHookFixture(t)
	f.netboot(true)
	f.seen(boot.SeenRequest{MAC: hookMAC, Arch: 0})
	f.at = f.at.Add(clientTerm + time.Second)
	if answer, err := f.DHCP().Answer(t.Context(), hookMAC); err != nil || answer.BootFile != "bootloaders/amd64/uefi/uefi.0" {
		t.Errorf("answer: %+v, %v", answer, err)
	}
	if len(f.clients.byMAC) != 0 {
		t.Errorf("remembered still: %v", f.clients.byMAC)
	}
}

func TestMachineThatAsksIsSeenOnceAMinute(t *testing.T) {
	f := newHookFixture(t)
	f.netboot(true)
	for _, request := range []boot.SeenRequest{
		{Discover: true, Arch: 7}, {Discover: true, Arch: 7}, {Arch: 7}, {Discover: true, Arch: 11},
	} {
		request.MAC = hookMAC
		f.seen(request)
		f.at = f.at.Add(20 * time.Second)
	}
	f.keep()
	f.at = f.at.Add(time.Hour)
	f.seen(boot.SeenRequest{MAC: hookMAC, Discover: true, Arch: 11})
	f.must(f.DHCP().Lease(t.Context(), boot.LeaseRequest{MAC: hookMAC, IPv4: netip.MustParseAddr("10.0.0.9"), Duration: time.Hour}))
	f.keep()
	events := f.events(EventDHCP)
	if len(events) != 2 || events[0] != hookMAC.String()+", UEFI amd64" || events[1] != hookMAC.String()+" asks as UEFI arm64, was added as amd64/uefi" {
		t.Errorf("events: %q", events)
	}
	m, err := f.Machine(t.Context(), Local, "web-01")
	if err != nil || !m.Interfaces[0].LastSeenAt.Equal(f.at) {
		t.Errorf("seen at %v, %v; want %v", m.Interfaces, err, f.at)
	}
}

// TestRequestThatIsKeptLateDoesNotSetARunBack has the run come further before
// its DHCP request is kept.
func TestRequestThatIsKeptLateDoesNotSetARunBack(t *testing.T) {
	f := newHookFixture(t)
	var m store.Machine
	begin := f.at
	f.must(f.db.Write(t.Context(), func(tx *store.Tx) (err error) {
		if m, err = tx.Machine(t.Context(), "web-01"); err != nil {
			return err
		}
		_, err = tx.AddRun(t.Context(), store.Run{MachineID: m.ID, Token: "t", State: store.RunRunning, Stage: StageAsked, StartedAt: begin})
		return err
	}))
	stage := func() (stage string) {
		f.must(f.db.Read(t.Context(), func(tx *store.Tx) error {
			run, err := tx.RunningRun(t.Context(), m.ID)
			stage = run.Stage
			return err
		}))
		return stage
	}
	discover := boot.SeenRequest{MAC: hookMAC, Discover: true, Arch: 7}
	f.at = begin.Add(-time.Second) // of the boot before
	f.seen(discover)
	f.keep()
	if got := stage(); got != StageAsked {
		t.Errorf("a request before the run: stage %q", got)
	}
	f.at = begin.Add(time.Second)
	f.seen(discover)
	f.at = begin.Add(2 * time.Second)
	f.must(f.db.Write(t.Context(), func(tx *store.Tx) error { return f.stage(t.Context(), tx, m, StageConfig) }))
	f.keep()
	if got := stage(); got != StageConfig {
		t.Errorf("a request that was kept late: stage %q", got)
	}
	f.at = begin.Add(3 * time.Second) // it boots once more
	f.seen(discover)
	f.keep()
	if got := stage(); got != StageDHCP {
		t.Errorf("a second boot: stage %q", got)
	}
}

func TestStrangersAreDiscovered(t *testing.T) {
	f := newHookFixture(t)
	stranger := net.HardwareAddr{0, 0x25, 0x90, 1, 2, 3}
	first := f.at
	for i, name := range []string{"", "localhost", "rack-7"} {
		if f.seen(boot.SeenRequest{MAC: stranger, Discover: i < 2, Hostname: name, Arch: 7}) {
			t.Error("a stranger is known")
		}
		f.at = f.at.Add(time.Second)
		if i == 0 {
			f.keep()
		}
	}
	f.keep()
	found, err := f.Discovered(t.Context(), Local)
	want := store.DiscoveredMAC{
		MAC: stranger.String(), Vendor: "Supermicro", Hostname: "rack-7", ClientArch: 7,
		FirstSeenAt: first, LastSeenAt: first.Add(2 * time.Second), TimesSeen: 3,
	}
	if err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("found %+v, %v; want %+v", found, err, want)
	}
	if _, err := f.Discovered(t.Context(), Actor{}); CodeOf(err) != Denied {
		t.Errorf("anybody may list them: %v", err)
	}

	f.seen(boot.SeenRequest{MAC: stranger, Arch: 7}) // and waits, while it is made a machine
	f.must(f.AddMachine(t.Context(), Local, NewMachine{Name: "rack-7", Arch: "amd64", Subarch: "uefi", MACs: []string{stranger.String()}}))
	f.keep()
	if found, err := f.Discovered(t.Context(), Local); err != nil || len(found) != 0 {
		t.Errorf("a machine's address is still discovered: %+v, %v", found, err)
	}
}

// TestFloodOfStrangersIsBounded sends more addresses than can wait, while
// nobody keeps them, and a machine's request behind them.
func TestFloodOfStrangersIsBounded(t *testing.T) {
	f := newHookFixture(t)
	random := rand.New(rand.NewPCG(1, 2))
	const flood = 3 * sightingsDepth
	for range flood {
		mac := net.HardwareAddr{2, 0, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}
		f.at = f.at.Add(time.Millisecond)
		f.seen(boot.SeenRequest{Discover: true, MAC: mac, Hostname: strings.Repeat("x", 255), Arch: -1})
	}
	f.seen(boot.SeenRequest{Discover: true, MAC: hookMAC, Arch: 7})
	if waiting := len(f.sightings.strangers); waiting != sightingsDepth {
		t.Errorf("%d wait, want %d", waiting, sightingsDepth)
	}
	if dropped := f.sightings.dropped.Load(); dropped != flood-sightingsDepth {
		t.Errorf("%d were dropped, want %d", dropped, flood-sightingsDepth)
	}
	if batch := f.sightings.waiting(nil); len(batch) != sightingsBatch || batch[0].mac != hookMAC.String() {
		t.Errorf("a batch of %d that begins with %s, want %d and the machine's first", len(batch), batch[0].mac, sightingsBatch)
	} else {
		f.must(f.keepSeen(t.Context(), batch))
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	f.keepSightings(ended) // keeps what waits, and ends
	found, err := f.Discovered(t.Context(), Local)
	if err != nil || len(found) != 20 {
		t.Errorf("%d are remembered, want 20 (%v)", len(found), err)
	}
	if events := f.events(EventDHCP); len(events) != 1 {
		t.Errorf("the machine's events: %q", events)
	}
	if !strings.Contains(f.log.String(), "dropped=2048") {
		t.Errorf("the log does not say what was dropped: %s", f.log.String())
	}
}
