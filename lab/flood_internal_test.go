package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"provisioner/boot"
	"provisioner/store"
	"provisioner/store/storetest"
)

// floodSize is what an address sends in a second that means no good.
const floodSize = 10_000

// TestRecordingHoldsUpNoAnswer asks the hook while somebody has the database's
// only writer and does not give it back: every answer comes, and what was seen
// is kept afterwards.
func TestRecordingHoldsUpNoAnswer(t *testing.T) {
	f := newHookFixture(t)
	f.netboot(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	writing, release, wrote, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan struct{})
	go func() { // ends with release, below
		wrote <- f.db.Write(ctx, func(*store.Tx) error {
			close(writing)
			<-release
			return nil
		})
	}()
	<-writing
	go func() { // ends with cancel, below
		f.keepSightings(ctx)
		close(ended)
	}()
	hook := boot.DHCPHandler(f.DHCP(), slog.New(slog.DiscardHandler))
	for i := range 3 * sightingsDepth {
		for _, ask := range []struct {
			method, path, body string
			status             int
		}{
			{http.MethodPost, "/ipv4/seen", `{"discover":true,"mac":"` + hookMAC.String() + `"}`, http.StatusOK},
			{http.MethodPost, "/ipv4/seen", fmt.Sprintf(`{"mac":"0200%08x"}`, i), http.StatusAccepted},
			{http.MethodGet, "/ipv4?hwaddr=" + hookMAC.String(), "", http.StatusOK},
			{http.MethodPost, "/ipv4/lease", fmt.Sprintf(`{"mac":"%s","ipv4":"10.0.%d.%d","duration":60}`, hookMAC, i>>8, i&255), http.StatusCreated},
		} {
			recorder := httptest.NewRecorder()
			hook.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), ask.method, ask.path, strings.NewReader(ask.body)))
			if recorder.Code != ask.status {
				t.Fatalf("%s %s: %d %s", ask.method, ask.path, recorder.Code, recorder.Body)
			}
		}
	}
	if dropped := f.sightings.dropped.Load(); dropped < 3*sightingsDepth {
		t.Errorf("%d were dropped: somebody has written meanwhile", dropped)
	}
	close(release)
	f.must(<-wrote)
	cancel()
	<-ended
	if m, err := f.Machine(t.Context(), Local, "web-01"); err != nil || !m.Interfaces[0].LastSeenAt.Equal(f.at) || m.Interfaces[0].LeaseIPv4 == "" {
		t.Errorf("kept: %+v, %v", m.Interfaces, err)
	}
}

// TestFloodOfLeasesIsBounded has clients that there are not ask for every
// address of a pool, take, decline and release: what is remembered of them is
// bounded by the pool, and a machine has its address.
func TestFloodOfLeasesIsBounded(t *testing.T) {
	f := newHookFixture(t)
	const pool = 72
	f.must(f.AddNetwork(t.Context(), Local, store.Network{Name: "lab", Subnet: "10.0.0.0/24", DHCPPool: "10.0.0.128-10.0.0.199"}))
	own := netip.MustParseAddr("10.0.0.3")
	leases, random := f.DHCPLeases(), rand.New(rand.NewPCG(1, 2))
	first, err := leases.Offer(t.Context(), boot.AddressRequest{MAC: hookMAC, Server: own, Link: own})
	f.must(err)
	taken := boot.AddressRequest{MAC: hookMAC, Server: own, Link: own, Wanted: first.Address, Offered: true}
	_, err = leases.Lend(t.Context(), taken)
	f.must(err)
	lent, none := 0, 0
	for i := range floodSize {
		r := boot.AddressRequest{MAC: net.HardwareAddr{2, 0, byte(random.Uint32()), byte(random.Uint32()), byte(i >> 8), byte(i)}, Server: own, Link: own}
		offer, err := leases.Offer(t.Context(), r)
		if errors.Is(err, boot.ErrNoAddress) {
			none++
			r.Wanted, r.Offered = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), true // and takes what it was not offered
			if _, err := leases.Lend(t.Context(), r); err == nil {
				lent++
			}
			continue
		}
		f.must(err)
		r.Wanted, r.Offered = offer.Address, true
		_, err = leases.Lend(t.Context(), r)
		f.must(err)
		lent++
		end := leases.Decline
		if i%2 == 0 {
			end = leases.Release
		}
		f.must(end(t.Context(), r))
		if err := end(t.Context(), r); !errors.Is(err, boot.ErrUnknownLease) {
			t.Fatalf("the same once more: %v", err)
		}
	}
	t.Logf("%d clients, %d leases, %d without an address", floodSize, lent, none)
	if lent == 0 || none == 0 {
		t.Errorf("%d leases, %d without an address: that tries little", lent, none)
	}
	var kept []store.Lease
	f.must(f.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		kept, err = tx.Leases(t.Context())
		return err
	}))
	if h := f.holds; len(kept) > pool || len(h.byAddress) > pool || len(h.offered) > pool || len(h.fullUntil) > 1 {
		t.Errorf("%d leases, %d addresses held, %d offered", len(kept), len(h.byAddress), len(h.offered))
	}
	if _, err := leases.Lend(t.Context(), taken); err != nil {
		t.Errorf("the machine's lease: %v", err)
	}
}

// TestFloodOfConfigurationsIsBounded asks for a machine's configuration as
// somebody may who knows its MAC address.
func TestFloodOfConfigurationsIsBounded(t *testing.T) {
	f := newHookFixture(t)
	for i := range floodSize / 10 {
		file, err := f.BootFile(t.Context(), "grub/grub.cfg-01-52-54-00-00-00-01", netip.MustParseAddrPort("192.0.2.66:1"))
		f.must(err)
		f.must(file.Close())
		if i == floodSize/20 {
			f.at = f.at.Add(3 * bootEventEvery)
		}
	}
	if events := f.events(EventBootConfig); len(events) != bootEventsAtOnce+3 {
		t.Errorf("%d events", len(events))
	}
}

// FuzzBootFile asks for any file, over TFTP and HTTP: none is given that is not
// for machines, and no error is one of ours.
func FuzzBootFile(f *testing.F) {
	for _, name := range []string{
		"grub/grub.cfg-01-52-54-00-00-00-01", "pxelinux.cfg/default", "ipxe/525400000001", "bootloaders/amd64/uefi/uefi.0", `\bootloaders\amd64\bios\bios.0`,
		"boot/x/kernel/vmlinuz", "boot//preseed", "../provisioner.db", "provisioner.db", "images/../provisioner.db", "bootloaders/../../x/y", "grubx64.efi", "mmx64.efi",
		"bootloaders/amd64/%/_", "boot/' OR 1=1 --/kernel/x", "grub/grub.cfg\x00", "\xff/\xfe", strings.Repeat("a/", 127),
	} {
		f.Add(name, "iPXE/0.9")
	}
	dir := f.TempDir()
	db, err := storetest.Open(f.Context(), filepath.Join(dir, "provisioner.db"))
	if err != nil {
		f.Fatal(err)
	}
	l, err := New(Config{Store: db, DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := errors.Join(l.Close(), db.Close()); err != nil {
			f.Error(err)
		}
	})
	err = errors.Join(l.AddMachine(f.Context(), Local, NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi", MACs: []string{hookMAC.String()}}),
		l.AddImage(f.Context(), Local, NewImage{Name: "loader", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "uefi.0", Public: true}, strings.NewReader("loader")))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, agent string) {
		for _, peek := range []bool{true, false} {
			content, err := l.OpenBootFile(context.Background(), BootRequest{Name: name, UserAgent: agent, Peek: peek, Client: netip.MustParseAddrPort("192.0.2.66:1")})
			if err != nil {
				if code := CodeOf(err); !errors.Is(err, fs.ErrNotExist) && code == Internal {
					t.Errorf("%q: %v", name, err)
				}
				continue
			}
			text, err := io.ReadAll(content)
			_ = content.Close() // read only
			if err != nil || strings.Contains(string(text), "SQLite") || len(text) > 64<<10 || int64(len(text)) != content.Size() {
				t.Errorf("%q: %d bytes, %v", name, len(text), err)
			}
		}
	})
}

// FuzzLogName writes the path of a run's file as clients may: no log has its token.
func FuzzLogName(f *testing.F) {
	for _, between := range []string{"/", `\`, "//", "/./", `\.\`, "/boot/", "/../", "/a/", "/\x00/"} {
		f.Add(between, between, "kernel/vmlinuz")
	}
	const token = "8Zt0kenOfARun"
	f.Fuzz(func(t *testing.T, before, between, after string) {
		name := before + bootFolder + between + token + "/" + after
		path, err := boot.CleanPath(name)
		if elements := strings.Split(path, "/"); err != nil || len(elements) < 2 || elements[0] != bootFolder || elements[1] != token {
			return // it names no run
		}
		if got := LogName(name); strings.Contains(strings.Split(got, "/"+after)[0], token) {
			t.Errorf("%q is logged as %q", name, got)
		}
	})
}
