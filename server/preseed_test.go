package server_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

// publicURL is the base of the addresses that a product of start gives to
// machines. Its server is elsewhere: which port it gets is known too late.
const publicURL = "http://127.0.0.1/"

// installable makes web-01 a machine that can be installed: ada holds it, it
// has an address in a network, and a disk.
func (p *product) installable() {
	p.t.Helper()
	const mac = "52:54:00:00:00:01"
	ctx := p.t.Context()
	p.enrolled("ada", false)
	network, address, static := "rack", "10.0.0.7", "static"
	for _, step := range []func() error{
		func() error {
			return p.lab.AddImage(ctx, lab.Local, lab.NewImage{
				Name: "grub", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "grubx64.efi", Public: true,
			}, strings.NewReader("grub"))
		},
		func() error {
			return p.lab.AddImage(ctx, lab.Local, lab.NewImage{
				Name: "linux", Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz", Public: true,
			}, strings.NewReader("linux"))
		},
		func() error {
			return p.lab.AddNetwork(ctx, lab.Local, store.Network{
				Name: network, Subnet: "10.0.0.0/24", Gateway: "10.0.0.1", Nameservers: []string{"10.0.0.2", "10.0.0.3"}, Domain: "example.org",
			})
		},
		func() error {
			return p.lab.AddMachine(ctx, lab.Local, lab.NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi", MACs: []string{mac}})
		},
		func() error {
			_, err := p.lab.SetInterface(ctx, lab.Local, "web-01", mac, lab.InterfaceChange{Network: &network, IPv4: &address, ConfigType: &static})
			return err
		},
		func() error { return p.lab.SetDisks(ctx, lab.Local, "web-01", []string{"/dev/nvme0n1"}) },
		func() error { return p.lab.Assign(ctx, lab.Local, "web-01", "ada", "") },
	} {
		if err := step(); err != nil {
			p.t.Fatal(err)
		}
	}
}

// install starts a run on web-01, and returns the path of its addresses.
func (p *product) install(preseed string) string {
	p.t.Helper()
	if err := p.lab.Provision(p.t.Context(), lab.Local, "web-01", lab.ProvisionRequest{Kernel: "linux", Preseed: preseed}); err != nil {
		p.t.Fatal(err)
	}
	next, err := p.lab.WhatBoots(p.t.Context(), lab.Local, "web-01")
	if err != nil {
		p.t.Fatal(err)
	}
	return regexp.MustCompile(`/boot/[^/]+/`).FindString(string(next.Config))
}

// events counts those of the newest run of web-01 of a kind.
func (p *product) events(kind string) (n int) {
	p.t.Helper()
	m, err := p.lab.Machine(p.t.Context(), lab.Local, "web-01")
	if err != nil {
		p.t.Fatal(err)
	}
	events, err := p.lab.MachineEvents(p.t.Context(), lab.Local, "web-01", 1000)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == kind && e.RunID == m.Run.ID {
			n++
		}
	}
	return n
}

func (p *product) addPreseed(name, kind, content string) lab.Preseed {
	p.t.Helper()
	if err := p.lab.AddPreseed(p.t.Context(), lab.Local, lab.NewPreseed{Name: name, Type: kind, Content: content, Public: true}); err != nil {
		p.t.Fatal(err)
	}
	preseed, err := p.lab.Preseed(p.t.Context(), lab.Local, name)
	if err != nil {
		p.t.Fatal(err)
	}
	return preseed
}

func TestInstallersAreAnswered(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.installable()
	p.addPreseed("cloud", "cloud-init", "#cloud-config\nhostname: {{ hostname }}\n")
	p.addPreseed("broken", "preseed", "a\n{{ 1 % 0 }}\n{{ typo.x }}")
	base := p.install("cloud")
	for _, test := range []struct {
		method, path string
		status       int
		body         string // the whole, or what is contained where it is an error
	}{
		{http.MethodGet, base + "cloud-init/user-data", 200, "#cloud-config\nhostname: web-01\n"},
		{http.MethodGet, base + "cloud-init/vendor-data", 200, ""},
		{http.MethodGet, base + "cloud-init/network-config", 404, ""},
		{http.MethodGet, base + "cloud-init/", 404, ""},
		{http.MethodPost, base + "cloud-init/user-data", 405, ""},
		{http.MethodGet, "/boot/none/cloud-init/user-data", 404, "no run that is going on"},
		{http.MethodGet, "/boot/none/cloud-init/meta-data", 404, "no run that is going on"},
		{http.MethodGet, "/boot/none/cloud-init/vendor-data", 404, "no run that is going on"},
		{http.MethodGet, "/boot/none/preseed", 404, "no run that is going on"},
	} {
		got := p.ask(test.method, test.path, nil)
		if got.status != test.status || !strings.Contains(got.body, test.body) || test.status == 200 && got.body != test.body {
			t.Errorf("%s %s: %d %q", test.method, test.path, got.status, got.body)
		}
	}
	meta := p.ask(http.MethodGet, base+"cloud-init/meta-data", nil)
	if !regexp.MustCompile(`^instance-id: provisioner-run-\d+\nlocal-hostname: web-01\n$`).MatchString(meta.body) {
		t.Errorf("meta-data: %d %q", meta.status, meta.body)
	}
	if n := p.events(lab.EventPreseedFetched); n != 1 {
		t.Errorf("%d fetches are noted, of user-data alone there was 1", n)
	}

	got := p.ask(http.MethodGet, p.install("broken")+"preseed", nil)
	if got.status != 400 || !strings.HasPrefix(got.body, "Exception raised while rendering preseed template: ") || p.events(lab.EventPreseedError) != 1 {
		t.Errorf("a template that fails: %d %q", got.status, got.body)
	}
}

// TestOldAddressesAreForTheirMachineAlone asks as installers of mr-provisioner
// do, from this host, whose address a machine is lent and loses again.
func TestOldAddressesAreForTheirMachineAlone(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.installable()
	preseed := p.addPreseed("debian", "autoyast", "<hostname>{{ hostname }}</hostname>")
	path := fmt.Sprintf("/preseed/%d", preseed.ID)
	db, err := storetest.Open(t.Context(), filepath.Join(p.dir, "provisioner.db")) // as another process: a lease that is reported is kept a moment later
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	lease := func(address string) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.KeepLease(t.Context(), store.Lease{
				MAC: "52:54:00:00:00:01", IPv4: address, StartedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ask := func(path string, status int, body string, header http.Header) {
		t.Helper()
		if got := p.ask(http.MethodGet, path, header); got.status != status || got.body != body {
			t.Errorf("%s: %d %q, want %d %q", path, got.status, got.body, status, body)
		}
	}
	const stranger = "this address is of no run that is going on\n"
	lease("127.0.0.1")
	ask(path, 404, stranger, nil)
	base := p.install("debian")
	ask(path, 200, "<hostname>web-01</hostname>", nil)
	if got := p.ask(http.MethodGet, path, nil); got.header.Get("Content-Type") != "application/xml" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %q", got.header)
	}
	ask(fmt.Sprintf("/preseed/%d", preseed.ID+1), 404, stranger, nil)
	ask("/preseed/99999999999999999999", 404, "404 page not found\n", nil)
	ask("/preseed/x", 404, "404 page not found\n", nil)

	lease("10.0.0.9")
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Forwarded"} {
		ask(path, 404, stranger, http.Header{name: {"10.0.0.9"}})
	}
	lease("127.0.0.1")
	if got := p.ask(http.MethodPost, base+"phone-home", nil); got.status != 200 {
		t.Errorf("phone home: %d %q", got.status, got.body)
	}
	ask(path, 404, stranger, nil)
}
