package e2e

import (
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	sshPort  = "2222"
	hookURL  = "http://" + serverIP + ":8080/dhcp/ipv4?hwaddr="
	stopTime = 5 * time.Second
)

// product is provisioner, serving in the network of the test.
type product struct {
	data  string // its data folder
	serve *exec.Cmd
	ended <-chan struct{}
	log   string
}

func startProduct(t *testing.T) *product {
	t.Helper()
	readSources(t)
	dir := t.TempDir()
	p := &product{data: filepath.Join(dir, "data"), log: filepath.Join(dir, "server.log")}
	p.serve, p.ended = start(t, dir, filepath.Base(p.log), os.Getenv(binaryEnv), "serve", "--data", p.data,
		"--ssh-addr", serverIP+":"+sshPort, "--http-addr", serverIP+":8080", "--tftp-addr", serverIP+":69",
		"--public-url", "http://"+serverIP+":8080/")
	for _, port := range []string{sshPort, "8080"} {
		eventually(t, soon, "the server listens on port "+port, func() bool {
			select {
			case <-p.ended:
				t.Fatal("the server has ended")
			default:
			}
			conn, err := net.Dial("tcp", serverIP+":"+port)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
	}
	return p
}

// readSources lists the module's folders. The go command notices, and does not take a passed test for valid (cached) once
// a file in them has changed; of the product that TestMain builds it knows nothing.
func readSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// command runs one of the product's commands beside the server, and returns what it printed.
func (p *product) command(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, os.Getenv(binaryEnv), append(args, "--data", p.data)...)
}

// A dhcpAnswer is where a machine's DHCP server is to send it; empty while it is not to boot from the network.
type dhcpAnswer struct{ bootFile, nextServer string }

// askHook asks what a DHCP server asks for a machine.
func (p *product) askHook(t *testing.T, mac string) (a dhcpAnswer) {
	t.Helper()
	response, err := http.Get(hookURL + url.QueryEscape(mac))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Options []struct {
			Option int    `json:"option"`
			Value  string `json:"value"`
		} `json:"options"`
		NextServer string `json:"next-server"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", response.Request.URL, response.Status, err)
	}
	for _, option := range answer.Options {
		if option.Option == 67 {
			a.bootFile = option.Value
		}
	}
	a.nextServer = answer.NextServer
	return a
}

// awaitNetboot waits until the machine is to boot from the network.
func (p *product) awaitNetboot(t *testing.T, mac string) (answer dhcpAnswer) {
	t.Helper()
	eventually(t, soon, "the DHCP hook names a boot file", func() bool {
		answer = p.askHook(t, mac)
		return answer.bootFile != ""
	})
	return answer
}

// stop ends the server as a service manager does, and checks that it obeys in time and had no data race.
func (p *product) stop(t *testing.T) {
	t.Helper()
	if err := p.serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		t.Fatalf("the server is still there %s after SIGTERM", stopTime)
	}
	if !p.serve.ProcessState.Success() {
		t.Errorf("the server ended with %s", p.serve.ProcessState)
	}
	if log, err := os.ReadFile(p.log); err != nil || strings.Contains(string(log), "DATA RACE") {
		t.Errorf("data race, or no log: %v", err)
	}
}

// sshKey makes a key pair and returns the private key's file; the public one's is beside it, with .pub.
func sshKey(t *testing.T) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "id_ed25519")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "person", "-f", key)
	return key
}

// sshCommand is the OpenSSH command by which the owner of the key enters.
func sshCommand(key, user string, command ...string) []string {
	return append([]string{"ssh", "-F", "none", "-i", key, "-p", sshPort, "-o", "IdentitiesOnly=yes",
		"-o", "UserKnownHostsFile=" + key + ".known_hosts", "-o", "StrictHostKeyChecking=accept-new",
		"-o", "LogLevel=ERROR", user + "@" + serverIP}, command...)
}
