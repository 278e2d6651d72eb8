package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pin/tftp/v3"
)

// site is a network with the services that machines need: the DHCP hook, a
// TFTP server that nobody here wrote, and HTTP.
type site struct {
	t    testing.TB
	http *httptest.Server
	tftp *net.UDPConn

	mu       sync.Mutex
	files    map[string][]byte // by TFTP
	bootFile string            // what the hook answers; empty: netboot is off
	next     string            // next-server
	known    bool              // the hook knows the machine
	preseed  string
	once     bool // netboot ends when the preseed is fetched
	late     int  // the status of phone-home; 0: 200, and netboot ends
	requests []string
}

const grubConfigForTests = `set timeout=0
menuentry 'Install' {
	echo 'Loading kernel'
	linux /k/vmlinuz BOOTIF=01-$net_default_mac auto=true url=%s/preseed "quiet=a b"
	initrd /k/initrd.gz
	boot
}
`

// change changes what the site serves.
func (s *site) change(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
}

// newSite starts a site where an install works. It ends with the test.
func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, known: true, bootFile: "amd64/grubx64.efi", next: "127.0.0.1"}
	s.http = httptest.NewServer(s)
	t.Cleanup(s.http.Close)

	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s.tftp = conn
	server := tftp.NewServer(s.sendFile, nil)
	server.SetTimeout(time.Second)
	served := make(chan error, 1)
	go func() { served <- server.Serve(conn) }()
	t.Cleanup(func() {
		server.Shutdown()
		<-served
	})

	s.change(func() {
		s.files = map[string][]byte{
			"amd64/grubx64.efi": make([]byte, 5000),
			"grub/grub.cfg-01-52-54-00-12-34-56": fmt.Appendf(nil,
				grubConfigForTests, s.http.URL),
			"k/vmlinuz":   make([]byte, 100_000),
			"k/initrd.gz": make([]byte, 3*grubBlockSize), // whole blocks: an empty one ends it
		}
		s.preseed = "d-i netcfg/get_hostname string installed-01\n" +
			"d-i preseed/late_command string in-target true; \\\n  wget -qO /dev/null --post-data='' " + s.http.URL + "/done\n"
	})
	return s
}

func (s *site) network() Network {
	return Network{
		DHCPHook:    s.http.URL + "/dhcp",
		TFTPPort:    s.tftp.LocalAddr().(*net.UDPAddr).Port,
		TFTPTimeout: 5 * time.Second, // nothing is lost on loopback, but a busy computer is slow
		HTTPClient:  s.http.Client(),
	}
}

func (s *site) sendFile(name string, rf io.ReaderFrom) error {
	s.mu.Lock()
	s.requests = append(s.requests, "TFTP "+name)
	content, ok := s.files[strings.TrimPrefix(name, "/")]
	s.mu.Unlock()
	if !ok {
		return errors.New("File not found")
	}
	rf.(tftp.OutgoingTransfer).SetSize(int64(len(content)))
	_, err := rf.ReadFrom(strings.NewReader(string(content)))
	return err
}

func (s *site) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, strings.TrimSpace(req.Method+" "+req.URL.String()+" "+string(body)))
	switch req.URL.Path {
	case "/dhcp/ipv4/seen", "/dhcp/ipv4/lease":
		if !s.known {
			w.WriteHeader(http.StatusAccepted)
		}
	case "/dhcp/ipv4":
		if !s.known {
			http.NotFound(w, req)
			return
		}
		answer := map[string]any{"options": []any{}, "ipv4": "10.9.8.7"}
		if s.bootFile != "" {
			answer["options"] = []any{map[string]any{"option": 67, "value": s.bootFile}}
			answer["next-server"] = s.next
		}
		_ = json.NewEncoder(w).Encode(answer)
	case "/preseed":
		if s.once {
			s.bootFile = ""
		}
		_, _ = io.WriteString(w, s.preseed)
	case "/done":
		if s.late != 0 {
			w.WriteHeader(s.late)
			return
		}
		s.bootFile = ""
	default:
		http.NotFound(w, req)
	}
}

// asked returns the requests so far that contain text.
func (s *site) asked(text string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, r := range s.requests {
		if strings.Contains(r, text) {
			found = append(found, r)
		}
	}
	return found
}

var testMAC = net.HardwareAddr{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}

// newMachine returns a machine that is off, with a reader on its serial port.
// It ends with the test.
func newMachine(t testing.TB, cfg Config) *Machine {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "node-01"
	}
	if cfg.Arch == "" {
		cfg.Arch = AMD64
	}
	cfg.MAC = testMAC
	ctx, cancel := context.WithCancel(context.Background())
	m, err := NewMachine(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		m.Wait()
	})
	m.ReadSerial(nil)
	return m
}

// output waits until nothing of the machine runs any more, and returns what it
// has printed.
func output(m *Machine) string {
	m.wg.Wait()
	return printed(m)
}

// printed returns what the machine has printed so far.
func printed(m *Machine) string {
	var text strings.Builder
	p := make([]byte, 4096)
	for n := m.ReadSerial(p); n > 0; n = m.ReadSerial(p) {
		text.Write(p[:n])
	}
	return text.String()
}

// wantInOrder fails unless the lines' texts appear one after the other.
func wantInOrder(t *testing.T, got string, texts ...string) {
	t.Helper()
	rest := got
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("no %q (after what came before) in:\n%s", text, got)
		}
		rest = after
	}
}

func wantEnd(t *testing.T, got, end string) {
	t.Helper()
	if !strings.HasSuffix(got, end) {
		t.Fatalf("does not end with %q:\n%s", end, got)
	}
}

func wantRequests(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("requests\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// needPackage passes on what exec.LookPath found, or skips the test; in CI a
// missing one is a failure.
func needPackage(t *testing.T, name, path string, err error) string {
	t.Helper()
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("package %s is missing: %v", name, err)
	}
	t.Skipf("package %s is missing: %v", name, err)
	return ""
}
