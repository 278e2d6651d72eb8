package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"provisioner/boot"
)

const (
	netbootMAC = "52:54:00:00:00:01"
	diskMAC    = "52:54:00:00:00:02"
	unknownMAC = "52:54:00:00:00:03"
	crowdedMAC = "52:54:00:00:00:04" // its reserved address is in no pool
	keaTimeout = 150 * time.Millisecond
	maxHeldUp  = 2 * time.Second // twice the limit, and what a busy computer adds
)

// buildKeaHook returns the hook library, built anew where its sources have changed.
func buildKeaHook(t *testing.T) string {
	t.Helper()
	run(t, "make", "-C", "../..", "kea-hook")
	path, err := filepath.Abs("../../bin/libprovisioner_kea.so")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// keaNeeds are Kea, and what our library for it is built with.
var keaNeeds = []string{"kea-dhcp4", "make", "g++", "/usr/include/kea/hooks/hooks.h", "/usr/include/boost/version.hpp"}

// startKea runs Kea on the cable, and returns its log. Without a hook URL it runs without our library.
func startKea(t *testing.T, hookURL string) (log string) {
	t.Helper()
	s := keaSite{iface: dhcpPort, nextServer: "10.77.0.9", bootFile: "site-default"}
	if hookURL != "" {
		s.libraries = append(s.libraries, keaHook(t, hookURL))
	}
	return s.start(t)
}

// A keaLibrary is an element of Kea's hooks-libraries.
type keaLibrary struct {
	Library    string         `json:"library"`
	Parameters map[string]any `json:"parameters"`
}

// keaHook is our library.
func keaHook(t *testing.T, url string) keaLibrary {
	t.Helper()
	return keaLibrary{buildKeaHook(t), map[string]any{"url": url, "timeout-ms": keaTimeout.Milliseconds(), "secret-file": secretFile(t)}}
}

// A keaSite is what a site has configured.
type keaSite struct {
	iface, nextServer, bootFile string
	libraries                   []keaLibrary
}

// start runs Kea with many threads, and returns its log.
func (s keaSite) start(t *testing.T) (log string) {
	t.Helper()
	config, err := json.Marshal(map[string]any{"Dhcp4": map[string]any{
		"interfaces-config": map[string]any{"interfaces": []string{s.iface}, "dhcp-socket-type": "raw"},
		"lease-database":    map[string]any{"type": "memfile", "persist": false},
		"multi-threading":   map[string]any{"enable-multi-threading": true, "thread-pool-size": 4},
		"valid-lifetime":    3600,
		"hooks-libraries":   append([]keaLibrary{}, s.libraries...), // a list, not null
		"subnet4": []any{map[string]any{
			"subnet": "10.77.0.0/24", "id": 1, "next-server": s.nextServer, "boot-file-name": s.bootFile,
			"pools": []any{
				map[string]any{"pool": "10.77.0.100-10.77.0.199"},
				map[string]any{"pool": "10.77.0.50-10.77.0.59", "client-class": "EXTERNAL_PROVISIONER_RESERVED"},
			},
		}},
		"loggers": []any{map[string]any{"name": "kea-dhcp4", "severity": "INFO", "output_options": []any{map[string]any{"output": "stdout"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kea.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	_, ended := start(t, dir, "kea.log", "env", "KEA_LOCKFILE_DIR="+dir, "KEA_PIDFILE_DIR="+dir, "kea-dhcp4", "-c", "kea.json")
	log = filepath.Join(dir, "kea.log")
	eventually(t, soon, "Kea has started", func() bool {
		select {
		case <-ended:
			t.Fatal("Kea has ended")
		default:
		}
		text, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(text), "DHCP4_STARTED")
	})
	return log
}

const hookSecret = "horse-battery-staple"

func secretFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// knownMachines is a lab of three machines, behind the product's own handler.
type knownMachines struct {
	mu     sync.Mutex
	seen   []boot.SeenRequest
	leases []boot.LeaseRequest
}

func (k *knownMachines) Seen(_ context.Context, r boot.SeenRequest) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, r)
	return r.MAC.String() != unknownMAC, nil
}

func (k *knownMachines) Answer(_ context.Context, mac net.HardwareAddr) (boot.DHCPAnswer, error) {
	switch mac.String() {
	case netbootMAC:
		return boot.DHCPAnswer{
			BootFile: "bootloaders/amd64/uefi/grubx64.efi", NextServer: netip.MustParseAddr("10.77.0.8"),
			IPv4: netip.MustParseAddr("10.77.0.55"), Hostname: "web-1",
		}, nil
	case crowdedMAC:
		return boot.DHCPAnswer{IPv4: netip.MustParseAddr("10.77.0.20")}, nil
	case diskMAC:
		return boot.DHCPAnswer{}, nil
	}
	return boot.DHCPAnswer{}, boot.ErrUnknownMAC
}

func (k *knownMachines) Subnet(context.Context, boot.SubnetRequest) (boot.SubnetAnswer, error) {
	return boot.SubnetAnswer{Any: true}, nil
}

func (k *knownMachines) Lease(_ context.Context, r boot.LeaseRequest) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leases = append(k.leases, r)
	return nil
}

func (k *knownMachines) leased(mac, address string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.leases {
		if l.MAC.String() == mac && l.IPv4.String() == address && l.Duration == time.Hour {
			return true
		}
	}
	return false
}

func TestKeaSendsMachinesWhereTheHookSays(t *testing.T) {
	require(t, append([]string{"ip"}, keaNeeds...)...)
	newCable(t)
	machines := &knownMachines{}
	guard := boot.DHCPGuard{Secret: hookSecret}
	endpoint := httptest.NewServer(http.StripPrefix("/dhcp", guard.Guard(boot.DHCPHandler(machines, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))))
	t.Cleanup(endpoint.Close)
	startKea(t, endpoint.URL+"/dhcp/")

	uefi := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")),
		dhcpv4.WithOption(dhcpv4.OptHostName(`na"me\`)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("\x04iPXE\xff"))),
	}
	machine := newDHCPClient(t, netbootMAC, uefi...)
	offer := machine.discover(t)
	ack := machine.request(t, offer)
	for _, answer := range []*dhcpv4.DHCPv4{offer, ack} {
		next, file, option := sentTo(answer)
		if next != "10.77.0.8" || file != "bootloaders/amd64/uefi/grubx64.efi" || option != file {
			t.Errorf("%s: sent to %q, %q, option %q", answer.MessageType(), next, file, option)
		}
		if answer.YourIPAddr.String() != "10.77.0.55" {
			t.Errorf("%s: address %s, want the reserved one", answer.MessageType(), answer.YourIPAddr)
		}
		if answer.HostName() != "web-1" {
			t.Errorf("%s: host name %q", answer.MessageType(), answer.HostName())
		}
	}
	eventually(t, soon, "the lease is told", func() bool { return machines.leased(netbootMAC, "10.77.0.55") })
	machines.mu.Lock()
	first := machines.seen[0]
	machines.mu.Unlock()
	if !first.Discover || first.Arch != 7 || first.VendorClass != "PXEClient:Arch:00007:UNDI:003016" ||
		first.Hostname != `na"me\` || !strings.Contains(first.UserClass, "iPXE") {
		t.Errorf("the hook was told %+v", first)
	}

	// Whoever is not to boot from the network gets what the site has configured, and no address of the reserved ones.
	for _, mac := range []string{diskMAC, unknownMAC} {
		other := newDHCPClient(t, mac)
		ack := other.request(t, other.discover(t))
		if next, file, option := sentTo(ack); next != "10.77.0.9" || file != "site-default" || option != "" || ack.YourIPAddr.To4()[3] < 100 {
			t.Errorf("%s: %s, sent to %q, %q, option %q", mac, ack.YourIPAddr, next, file, option)
		}
	}

	// A reserved address that Kea does not grant is not offered again.
	crowded := newDHCPClient(t, crowdedMAC)
	request, err := dhcpv4.NewRequestFromOffer(crowded.discover(t))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := crowded.ask(request, time.Second); !errors.Is(err, errNoAnswer) {
		t.Errorf("an address of no pool: %v, %v", answer, err)
	}
	if answer := crowded.request(t, crowded.discover(t)); answer.MessageType() != dhcpv4.MessageTypeAck || answer.YourIPAddr.To4()[3] < 50 {
		t.Errorf("after a refusal: %s of %s", answer.MessageType(), answer.YourIPAddr)
	}
}

// failingEndpoints are what may be at the hook's address instead of provisioner. Each is given a connection.
var failingEndpoints = map[string]func(conn net.Conn, ended <-chan struct{}){
	"silence": func(_ net.Conn, ended <-chan struct{}) { <-ended },
	"end":     func(net.Conn, <-chan struct{}) {},
	"a drip": func(conn net.Conn, ended <-chan struct{}) {
		for drip := time.NewTicker(keaTimeout / 10); ; {
			select {
			case <-ended:
				return
			case <-drip.C:
				_, _ = conn.Write([]byte("H"))
			}
		}
	},
	"a flood":           say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)),
	"a long answer":     say("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
	"ssh":               say("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"),
	"half an answer":    say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
	"an internal error": say(response(500, "sorry")),
	"a redirect":        say(response(302, "")),
	"no JSON":           sayAnswer("nonsense"),
	"another JSON":      sayAnswer(`[1]`),
	"deep JSON":         sayAnswer(strings.Repeat("[", 12_000)),
	"wrong types":       sayAnswer(`{"options":[{"option":"67","value":5}],"next-server":"a name"}`),
	"no next-server":    sayAnswer(`{"options":[{"option":67,"value":"file"}]}`),
	"a NUL":             sayAnswer(`{"options":[{"option":67,"value":"a\u0000b"}],"next-server":"10.0.0.1"}`),
	"a long name":       sayAnswer(`{"options":[{"option":67,"value":"` + strings.Repeat("x", 256) + `"}],"next-server":"10.0.0.1"}`),
	"IPv6":              sayAnswer(`{"options":[],"ipv4":"fe80::1"}`),
}

func response(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d Status\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func say(text string) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, _ <-chan struct{}) {
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			_, _ = conn.Write([]byte(text))
		}
	}
}

// sayAnswer knows every machine, and gives that body as its answer.
func sayAnswer(body string) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, _ <-chan struct{}) {
		for _, text := range []string{response(200, ""), response(200, body)} {
			if _, err := conn.Read(make([]byte, 4096)); err != nil {
				return
			}
			_, _ = conn.Write([]byte(text))
		}
	}
}

func TestKeaGoesOnWithoutTheHook(t *testing.T) {
	require(t, append([]string{"ip"}, keaNeeds...)...)
	newCable(t)
	for name, behave := range failingEndpoints {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			var open sync.WaitGroup
			open.Go(func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					open.Go(func() {
						defer conn.Close()
						behave(conn, ended)
					})
				}
			})
			t.Cleanup(func() {
				close(ended)
				_ = listener.Close()
				open.Wait()
			})
			log := startKea(t, "http://"+listener.Addr().String()+"/dhcp")

			client := newDHCPClient(t, netbootMAC)
			began := time.Now()
			ack := client.request(t, client.discover(t))
			if next, file, option := sentTo(ack); next != "10.77.0.9" || file != "site-default" || option != "" {
				t.Errorf("sent to %q, %q, option %q", next, file, option)
			}
			if took := time.Since(began); took > maxHeldUp {
				t.Errorf("two answers took %s, where nobody waits for longer than %s", took, keaTimeout)
			}
			text, err := os.ReadFile(log)
			if said := strings.Count(string(text), "PROVISIONER_FAILED"); err != nil || said != 1 {
				t.Errorf("the log complains %d times, want once: %v", said, err)
			}
		})
	}
}

// TestKeaUnderLoad shows what it costs Kea to ask: perfdhcp's figures without our library and with it. It needs a network of its own, since no
// host takes packets from its own addresses off a cable.
func TestKeaUnderLoad(t *testing.T) {
	require(t, append([]string{"ip", "unshare", "perfdhcp"}, keaNeeds...)...)
	guard := boot.DHCPGuard{Secret: hookSecret}
	handler := guard.Guard(boot.DHCPHandler(&knownMachines{}, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	endpoint := httptest.NewServer(http.StripPrefix("/dhcp", handler))
	t.Cleanup(endpoint.Close)
	for _, kea := range []struct{ name, url string }{{"without the hook", ""}, {"with the hook", endpoint.URL + "/dhcp"}} {
		t.Run(kea.name, func(t *testing.T) {
			newCable(t)
			startKea(t, kea.url)
			host := newDHCPHost(t)
			host.run(t, "ip addr add 10.77.0.2/24 dev "+clientPort)
			// Status 3: some packets were dropped, as a busy computer does.
			text := host.run(t, "perfdhcp -4 -l "+clientPort+" -r 40 -n 80 -R 60 -W 500000 || [ $? = 3 ]")
			if _, acks, _ := strings.Cut(text, "REQUEST-ACK"); !regexp.MustCompile(`received packets: [1-9]`).MatchString(acks) {
				t.Error("nobody got a lease")
			}
		})
	}
}
