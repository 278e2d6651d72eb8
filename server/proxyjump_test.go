package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"provisioner/lab"
	"provisioner/store"
)

// machineSSH is the ssh server of a machine's operating system, on an address
// of its own. It lets everybody in, and knows the commands hello, cat and wait.
func machineSSH(t *testing.T, address string) (port string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	config := &gossh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(newKey(t))
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveMachine(conn, config) // ends with the connection
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func serveMachine(conn net.Conn, config *gossh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := gossh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go gossh.DiscardRequests(requests)
	for asked := range channels {
		channel, requests, err := asked.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "exec", nil)
				if r.Type != "exec" {
					continue
				}
				switch string(r.Payload[4:]) {
				case "hello":
					_, _ = io.WriteString(channel, "this is the machine\n")
				case "cat":
					_, _ = io.Copy(channel, channel)
				case "wait":
					_, _ = io.WriteString(channel, "ready\n")
					continue
				}
				_, _ = channel.SendRequest("exit-status", false, gossh.Marshal(struct{ Code uint32 }{0}))
				_ = channel.Close()
			}
		}()
	}
}

// jumps is a lab with one machine that can be reached, and a configuration of
// ssh for each of its people.
type jumps struct {
	*product
	port    string // of the machine's ssh
	people  map[string]person
	configs map[string]string // files, by name
}

func withJumps(t *testing.T) *jumps {
	t.Helper()
	needs(t, "ssh", "openssh-client")
	j := &jumps{product: start(t), people: make(map[string]person), configs: make(map[string]string)}
	j.port = machineSSH(t, "127.9.0.11")
	ctx := t.Context()
	network, static, address := "lab", lab.ConfigStatic, "127.9.0.11"
	err := j.lab.AddNetwork(ctx, lab.Local, store.Network{Name: network, Subnet: "127.9.0.0/24"})
	if err == nil {
		err = j.lab.AddMachine(ctx, lab.Local, lab.NewMachine{Name: "box-01", Arch: "amd64", Subarch: "uefi", MACs: []string{"52:54:00:00:00:0b"}})
	}
	if err == nil {
		_, err = j.lab.SetInterface(ctx, lab.Local, "box-01", "", lab.InterfaceChange{Network: &network, ConfigType: &static, IPv4: &address})
	}
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(j.SSHAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ada", "grace"} {
		j.people[name] = j.person(name, false)
		config := fmt.Sprintf("Host lab\n HostName 127.0.0.1\n Port %s\n User %s\n IdentityFile %s\n"+
			"Host *\n IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n BatchMode yes\n", port, name, j.people[name].args[3])
		j.configs[name] = filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(j.configs[name], []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func (j *jumps) allow(yes bool) {
	j.t.Helper()
	if err := j.lab.ChangeSite(j.t.Context(), lab.Local, func(s *lab.Site) { s.ProxyJump = yes }); err != nil {
		j.t.Fatal(err)
	}
}

func (j *jumps) ssh(who string, args ...string) *exec.Cmd {
	return exec.CommandContext(j.t.Context(), "ssh", append([]string{"-F", j.configs[who]}, args...)...)
}

// try runs ssh -J with a command on the machine.
func (j *jumps) try(who, host, command, input string) (out, notes string, err error) {
	j.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := j.ssh(who, "-J", "lab", "-p", j.port, host, command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func TestProxyJumpReachesMachinesThatAreHeld(t *testing.T) {
	j := withJumps(t)
	_, notes, err := j.try("ada", "box-01", "hello", "")
	if err == nil || !strings.Contains(notes, "this site does not allow connections to machines") {
		t.Errorf("where the site does not allow it: %v: %s", err, notes)
	}
	j.allow(true)
	if _, notes, err = j.try("ada", "box-01", "hello", ""); err == nil || !strings.Contains(notes, "you do not hold it") {
		t.Errorf("a machine that nobody holds: %v: %s", err, notes)
	}
	j.run("ada", j.people["ada"].signer, "reserve box-01", "")

	for _, host := range []string{"box-01", "127.9.0.11"} {
		if out, notes, err := j.try("ada", host, "hello", ""); err != nil || out != "this is the machine\n" {
			t.Errorf("%s: %v: %s%s", host, err, out, notes)
		}
	}
	content := strings.Repeat("0123456789abcdef", 1<<16)
	if out, notes, err := j.try("ada", "box-01", "cat", content); err != nil || out != content {
		t.Errorf("1 MiB there and back: %v: %d bytes, %s", err, len(out), notes)
	}
	for host, words := range map[string]string{
		"box-01": "you do not hold it", "127.9.0.11": "it is no machine that you hold", "127.0.0.1": "it is no machine that you hold", "web-02": "you do not hold it",
	} {
		if _, notes, err := j.try("grace", host, "hello", ""); err == nil || !strings.Contains(notes, "administratively prohibited: reach "+host+": "+words) {
			t.Errorf("grace to %s: %v: %s", host, err, notes)
		}
	}
	j.port = "1"
	if _, notes, err := j.try("ada", "box-01", "hello", ""); err == nil || !strings.Contains(notes, "connect failed: reach box-01 at 127.9.0.11:1: connect: connection refused") {
		t.Errorf("a port where nobody listens: %v: %s", err, notes)
	}
}

func TestProxyJumpEndsWithTheReservationAndTheKey(t *testing.T) {
	for name, end := range map[string]func(*jumps) error{
		"reservation": func(j *jumps) error { return j.lab.Release(j.t.Context(), lab.Local, "box-01") },
		"key": func(j *jumps) error {
			return j.lab.RemoveKey(j.t.Context(), lab.Local, "ada", gossh.FingerprintSHA256(j.people["ada"].signer.PublicKey()))
		},
	} {
		t.Run(name, func(t *testing.T) { jumpEnds(t, end) })
	}
}

func jumpEnds(t *testing.T, end func(*jumps) error) {
	j := withJumps(t)
	j.allow(true)
	if err := j.lab.Assign(t.Context(), lab.Local, "box-01", "ada", ""); err != nil {
		t.Fatal(err)
	}
	cmd := j.ssh("ada", "-J", "lab", "-p", j.port, "box-01", "wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatal(err)
	}
	if err := end(j); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("ssh ended as if the machine had closed the session in order")
	}
}

// Who forwards ports opens many channels: they have logged in once, and what
// they may is asked each time.
func TestManyConnectionsAreOneLogin(t *testing.T) {
	j := withJumps(t)
	j.allow(true)
	if err := j.lab.Assign(t.Context(), lab.Local, "box-01", "ada", ""); err != nil {
		t.Fatal(err)
	}
	signer := j.people["ada"].signer
	client, _, err := j.dial("ada", signer)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		conn, err := client.Dial("tcp", "127.9.0.11:"+j.port)
		if err != nil {
			t.Fatal(err)
		}
		if banner, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(banner, "SSH-2.0-") {
			t.Errorf("%q, %v", banner, err)
		}
		_ = conn.Close()
	}
	kinds := make(map[string]int)
	events, err := j.lab.Events(t.Context(), lab.Local, lab.EventFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.User == "ada" {
			kinds[e.Kind]++
		}
	}
	if kinds[lab.EventLogin] != 1 || kinds[lab.EventTunnel] != 3 {
		t.Errorf("events: %v", kinds)
	}
	if err := j.lab.RemoveKey(t.Context(), lab.Local, "ada", gossh.FingerprintSHA256(signer.PublicKey())); err != nil {
		t.Fatal(err)
	}
	if conn, err := client.Dial("tcp", "127.9.0.11:"+j.port); err == nil || !strings.Contains(err.Error(), "was taken from ada") {
		t.Errorf("without the key: %v, %v", conn, err)
	}
}

func TestNothingElseIsForwarded(t *testing.T) {
	p := start(t)
	client, _, err := p.dial("ada", p.enrolled("ada", false))
	if err != nil {
		t.Fatal(err)
	}
	if l, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
		t.Error("a port of the server was forwarded")
	}
	if l, err := client.ListenUnix("/tmp/socket"); err == nil {
		_ = l.Close()
		t.Error("a socket of the server was forwarded")
	}
	for network, address := range map[string]string{"tcp": "127.0.0.1:22", "unix": "/run/docker.sock"} {
		if conn, err := client.Dial(network, address); err == nil {
			_ = conn.Close()
			t.Errorf("%s was reached", address)
		}
	}
	for name, payload := range map[string][]byte{
		"empty": nil, "short": {0, 0, 0, 9, 'x'}, "port 0": gossh.Marshal(struct {
			Host       string
			Port       uint32
			OriginHost string
			OriginPort uint32
		}{"web-01", 0, "127.0.0.1", 1}),
		"long name": gossh.Marshal(struct {
			Host       string
			Port       uint32
			OriginHost string
			OriginPort uint32
		}{strings.Repeat("x", 256), 22, "127.0.0.1", 1}),
	} {
		_, _, err := client.OpenChannel("direct-tcpip", payload)
		if err == nil || !strings.Contains(err.Error(), "no address that could be reached") {
			t.Errorf("%s: %v", name, err)
		}
	}

	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.RequestAgentForwarding(session); err == nil {
		t.Error("the agent was accepted")
	}
	var notes bytes.Buffer
	session.Stderr = &notes
	if err := session.RequestPty("xterm", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	if err := session.Run("whoami"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(notes.String(), "[agent forwarding is off") {
		t.Errorf("notes: %q", notes.String())
	}
	session, err = client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	_ = agent.RequestAgentForwarding(session)
	if out, err := session.CombinedOutput("whoami"); err != nil || !strings.HasPrefix(string(out), "ada (user)") {
		t.Errorf("a script is told: %q, %v", out, err)
	}
}
