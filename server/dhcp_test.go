package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/server"
	"provisioner/store"
	"provisioner/store/storetest"
)

// bootSite is a server for so many machines, which all boot from the network.
// There is one bootloader, for amd64/uefi.
type bootSite struct {
	tb  testing.TB
	url string
	dir string // of its data
	db  *store.DB
}

func newBootSite(tb testing.TB, machines int, config server.DHCPConfig) *bootSite {
	tb.Helper()
	s := &bootSite{tb: tb}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	dir := tb.TempDir()
	s.dir = dir
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	s.db, err = storetest.Open(ctx, filepath.Join(dir, "provisioner.db"))
	must(err)
	l, err := lab.New(lab.Config{Store: s.db, DataDir: dir, PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1"}})
	must(err)
	must(l.AddImage(ctx, lab.Local, lab.NewImage{
		Name: "grub", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "grubx64.efi", Public: true,
	}, strings.NewReader("content of grub")))
	must(s.db.Write(ctx, func(tx *store.Tx) error {
		subarch, err := tx.Subarch(ctx, "amd64", "uefi")
		for i := 0; i < machines && err == nil; i++ {
			m := store.Machine{Name: fmt.Sprintf("web-%05d", i), SubarchID: subarch.ID, State: store.StateReady, CreatedAt: time.Now()}
			if m.ID, err = tx.AddMachine(ctx, m); err == nil {
				m.NetbootEnabled = true
				err = errors.Join(tx.UpdateMachine(ctx, m), tx.AddInterface(ctx, m.ID, siteMAC(i)))
			}
		}
		return err
	}))
	srv, err := server.Listen(ctx, server.Config{
		Lab: l, SSHAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", TFTPAddr: "127.0.0.1:0",
		HostKey: filepath.Join(dir, "host_key"), Logger: slog.New(slog.DiscardHandler), DHCP: config,
	})
	must(err)
	s.url = "http://" + srv.HTTPAddr().String()
	ended := make(chan error, 2)
	go func() { ended <- srv.Serve(ctx) }() // ends with cancel, below
	go func() { ended <- l.Run(ctx) }()     // likewise
	tb.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, <-ended, l.Close(), s.db.Close()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// siteMAC is the address of the machine of that number.
func siteMAC(i int) string { return fmt.Sprintf("52:54:00:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255) }

// ask returns the status and the body of an answer.
func (s *bootSite) ask(method, path, body string) (int, string) {
	s.tb.Helper()
	request, err := http.NewRequestWithContext(s.tb.Context(), method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestUEFIClientIsGivenAURLThatIsServed(t *testing.T) {
	s := newBootSite(t, 1, server.DHCPConfig{})
	seen := `{"discover":true,"mac":"` + siteMAC(0) + `","options":[{"option":93,"value":16},{"option":60,"value":"HTTPClient:Arch:00016:UNDI:003001"}]}`
	if status, body := s.ask(http.MethodPost, "/dhcp/ipv4/seen", seen); status != 200 {
		t.Errorf("seen: %d %s", status, body)
	}
	want := `{"options":[{"option":67,"value":"http://127.0.0.1/bootloaders/amd64/uefi/grubx64.efi"},{"option":60,"value":"HTTPClient"},{"option":12,"value":"web-00000"}],"next-server":"127.0.0.1"}`
	if status, body := s.ask(http.MethodGet, "/dhcp/ipv4?hwaddr="+siteMAC(0), ""); status != 200 || body != want {
		t.Errorf("answer: %d %s, want %s", status, body, want)
	}
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodHead, "/bootloaders/amd64/uefi/grubx64.efi", 200, ""},
		{http.MethodGet, "/bootloaders/amd64/uefi/grubx64.efi", 200, "content of grub"},
		{http.MethodGet, "/bootloaders/amd64/uefi/other.efi", 404, "404 page not found\n"},
		{http.MethodGet, "/bootloaders/arm64/uefi/grubx64.efi", 404, "404 page not found\n"},
		{http.MethodGet, "/bootloaders/", 404, "404 page not found\n"},
	} {
		if status, body := s.ask(test.method, test.path, ""); status != test.status || body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, status, body, test.status, test.body)
		}
	}
	if status, body := s.ask(http.MethodGet, "/bootloaders/..%2f..%2fprovisioner.db", ""); status == 200 || strings.Contains(body, "SQLite") {
		t.Errorf("outside of the folder: %d %q", status, body)
	}
}

func TestDHCPHookIsGuarded(t *testing.T) {
	s := newBootSite(t, 0, server.DHCPConfig{Hook: boot.DHCPGuard{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
	if status, body := s.ask(http.MethodGet, "/dhcp/ipv4?hwaddr="+siteMAC(0), ""); status != 403 || !strings.Contains(body, "--dhcp-hook-from") {
		t.Errorf("from elsewhere: %d %s", status, body)
	}
	if status, _ := s.ask(http.MethodGet, "/healthz", ""); status != 200 {
		t.Errorf("what is not the hook: %d", status)
	}
}

// BenchmarkDHCPHook asks as DHCP servers do: 500 requests a second, whatever
// the answers take, of 10,000 machines and of strangers. It prints how long
// they wait for their answers, with all that is kept meanwhile.
func BenchmarkDHCPHook(b *testing.B) {
	const machines, perSecond = 10_000, 500
	s := newBootSite(b, machines, server.DHCPConfig{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	ask := func(i int) error {
		mac := siteMAC(i * 7919 % machines)
		method, path, body := http.MethodGet, "/dhcp/ipv4?hwaddr="+mac, ""
		switch i % 5 {
		case 0:
			method, path, body = http.MethodPost, "/dhcp/ipv4/seen", `{"discover":true,"mac":"`+mac+`","options":[{"option":12,"value":"web"},{"option":93,"value":7}]}`
		case 1:
			method, path, body = http.MethodPost, "/dhcp/ipv4/seen", fmt.Sprintf(`{"discover":true,"mac":"02:00:00:%02x:%02x:%02x"}`, i>>16&255, i>>8&255, i&255)
		case 2:
			method, path, body = http.MethodPost, "/dhcp/ipv4/lease", fmt.Sprintf(`{"mac":"%s","ipv4":"10.1.%d.%d","duration":3600}`, mac, i>>8&255, i&255)
		}
		request, err := http.NewRequestWithContext(b.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if response.StatusCode >= 300 {
			err = fmt.Errorf("%s %s: %s", method, path, response.Status)
		}
		return errors.Join(err, response.Body.Close())
	}
	for i := range 100 { // connections, the first pages of the database
		if err := ask(i); err != nil {
			b.Fatal(err)
		}
	}
	took := make([]time.Duration, b.N)
	failed := make(chan error, b.N)
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	b.ResetTimer()
	for i := range b.N {
		<-tick.C
		go func() { // ends with its answer, which is waited for below
			began := time.Now()
			err := ask(i)
			took[i] = time.Since(began)
			failed <- err
		}()
	}
	for range b.N {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	slices.Sort(took)
	for _, q := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*q/100].Microseconds()), fmt.Sprintf("µs-p%d", q))
	}
}
