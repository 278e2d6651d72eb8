package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/server"
	"provisioner/server/metrics"
	"provisioner/store"
	"provisioner/store/storetest"
)

// product is a server on free ports, over a lab of two machines: web-01, whose
// console the test plays, and web-02, whose BMC does not answer.
type product struct {
	*server.Server
	t    *testing.T
	dir  string // of its data
	lab  *lab.Lab
	bmc  *fakeBMC
	stop func() // ends the server and waits for it
}

func start(t *testing.T) *product {
	t.Helper()
	dir := t.TempDir()
	db, err := storetest.Open(t.Context(), filepath.Join(dir, "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	p := &product{t: t, dir: dir, bmc: &fakeBMC{opened: make(chan net.Conn, 10)}}
	counts := metrics.New()
	p.lab, err = lab.New(lab.Config{
		Store: db, DataDir: dir, PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1"}, Observer: counts,
		NewBMC: func(b store.BMC) (lab.BMC, error) {
			if b.Address == "alive" {
				return p.bmc, nil
			}
			return &fakeBMC{err: &ipmi.Error{Op: "chassis status", Addr: "10.0.0.2:623", Err: ipmi.ErrNoAnswer}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"web-01": "alive", "web-02": "dead"} {
		err := p.lab.AddMachine(t.Context(), lab.Local, lab.NewMachine{
			Name: name, Arch: "amd64", Subarch: "uefi", BMC: &store.BMC{Address: address},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.Server, err = server.Listen(t.Context(), server.Config{
		Lab: p.lab, SSHAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", TFTPAddr: "127.0.0.1:0",
		HostKey: filepath.Join(dir, "host_key"), Logger: slog.New(slog.DiscardHandler), MetricsAddr: "127.0.0.1:0", Metrics: counts,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	labCtx, cancelLab := context.WithCancel(t.Context())
	served, watched := make(chan error, 1), make(chan error, 1)
	updates := p.lab.Subscribe()
	defer updates.Close()
	go func() { served <- p.Serve(ctx) }()       // ends with cancel, in stop
	go func() { watched <- p.lab.Run(labCtx) }() // ends with cancelLab, likewise
	p.stop = sync.OnceFunc(func() {
		cancel()
		err := <-served
		cancelLab()
		if err := errors.Join(err, <-watched); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(func() {
		p.stop()
		if err := errors.Join(p.lab.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	for connected := false; !connected; { // or a command may come too early
		events, _, err := updates.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		connected = slices.ContainsFunc(events, func(e store.Event) bool { return e.Machine == "web-01" && e.Kind == lab.EventPowerSeen })
	}
	return p
}

func newKey(t *testing.T) gossh.Signer {
	t.Helper()
	_, signer := newKeyPair(t)
	return signer
}

func newKeyPair(t *testing.T) (ed25519.PrivateKey, gossh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return private, signer
}

// enrolled makes an account and returns its key.
func (p *product) enrolled(name string, admin bool) gossh.Signer {
	p.t.Helper()
	key := newKey(p.t)
	err := p.lab.AddUser(p.t.Context(), lab.Local, name, admin, &lab.PublicKey{
		Fingerprint: gossh.FingerprintSHA256(key.PublicKey()), Authorized: string(gossh.MarshalAuthorizedKey(key.PublicKey())),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return key
}

// dial logs in. said is what a person is shown on the way.
func (p *product) dial(user string, keys ...gossh.Signer) (client *gossh.Client, said string, err error) {
	p.t.Helper()
	asked := gossh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
		said += instruction
		return make([]string, len(questions)), nil
	})
	client, err = gossh.Dial("tcp", p.SSHAddr().String(), &gossh.ClientConfig{
		User: user, Auth: []gossh.AuthMethod{gossh.PublicKeys(keys...), asked},
		HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err == nil {
		p.t.Cleanup(func() { _ = client.Close() })
	}
	return client, said, err
}

// result is how a command ended.
type result struct {
	out, notes string
	code       int
}

// run runs a command, as `ssh user@server command <input`.
func (p *product) run(user string, key gossh.Signer, command, input string) result {
	p.t.Helper()
	client, said, err := p.dial(user, key)
	if err != nil {
		p.t.Fatalf("log in as %s: %v (%s)", user, err, said)
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		p.t.Fatal(err)
	}
	var out, notes bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(input), &out, &notes
	return result{code: exitCode(p.t, session.Run(command)), out: out.String(), notes: notes.String()}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *gossh.ExitError
	if errors.As(err, &exit) {
		return exit.ExitStatus()
	}
	if err != nil {
		t.Errorf("session: %v", err)
	}
	return 0
}

// fakeBMC is a BMC whose console the test plays.
type fakeBMC struct {
	err    error
	opened chan net.Conn // the machine's end of each console that was opened

	sensors []ipmi.Sensor
	events  []ipmi.SELEntry
	fru     ipmi.FRU

	settings ipmi.SOLSettings
	lacks    error // what Sensors answers

	mu    sync.Mutex
	off   bool
	inUse bool     // another program has the console
	asked []string // what it was asked to do, in order
}

// order notes what the BMC was asked to do.
func (b *fakeBMC) order(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, fmt.Sprintf(format, args...))
	return b.err
}

// orders returns what the BMC was asked to do since it was called last.
func (b *fakeBMC) orders() (asked []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, b.asked = b.asked, nil
	return asked
}

func (b *fakeBMC) set(off, inUse bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off, b.inUse = off, inUse
}

func (b *fakeBMC) Power(context.Context) (ipmi.PowerState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off {
		return ipmi.PowerOff, b.err
	}
	return ipmi.PowerOn, b.err
}

func (b *fakeBMC) SetPower(_ context.Context, action ipmi.PowerAction) error {
	return b.order("power %s", action)
}

func (b *fakeBMC) Identify(context.Context, ipmi.Light) error { return b.err }
func (b *fakeBMC) Close(context.Context) error                { return nil }

func (b *fakeBMC) SetBootDevice(_ context.Context, device ipmi.BootDevice, _ ipmi.BootOptions) error {
	return b.order("boot %s", device)
}

func (b *fakeBMC) DeviceInfo(context.Context) (ipmi.DeviceInfo, error) {
	return ipmi.DeviceInfo{}, b.err
}
func (b *fakeBMC) Sensors(context.Context) ([]ipmi.Sensor, error) {
	return b.sensors, errors.Join(b.err, b.lacks)
}
func (b *fakeBMC) SEL(context.Context, int) ([]ipmi.SELEntry, error) { return b.events, b.err }
func (b *fakeBMC) FRU(context.Context) (ipmi.FRU, error)             { return b.fru, b.err }
func (b *fakeBMC) SOLSettings(context.Context) (ipmi.SOLSettings, error) {
	return b.settings, b.err
}

func (b *fakeBMC) OpenSOL(_ context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inUse && !takeOver {
		return nil, &ipmi.Error{Op: "open SOL", Addr: "10.0.0.1:623", Err: &ipmi.SOLActiveError{Holder: ipmi.Holder{User: "conman"}}}
	}
	b.inUse = false
	ours, theirs := net.Pipe()
	b.opened <- theirs
	return line{ours, b}, nil
}

// line is our end of a console.
type line struct {
	net.Conn
	bmc *fakeBMC
}

func (l line) SendBreak(context.Context) error { return l.bmc.order("break") }

// joined waits until a person at a console sees what the machine prints.
func joined(t *testing.T, machine io.Writer, out io.Reader) {
	t.Helper()
	if _, err := io.WriteString(machine, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestPortInUseIsNamedAndNothingIsLeftOpen(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	probe, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := probe.Addr().String()
	_ = probe.Close()
	_, err = server.Listen(t.Context(), server.Config{
		SSHAddr: free, HTTPAddr: taken.Addr().String(), TFTPAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil || !strings.Contains(err.Error(), "HTTP") || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), "--http-addr") {
		t.Errorf("listen: %v", err)
	}
	again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", free)
	if err != nil {
		t.Fatalf("the ssh port is still taken: %v", err)
	}
	_ = again.Close()
}

func TestSessionsAreToldThatTheServerStops(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	client, _, err := p.dial("ada", key)
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var notes bytes.Buffer
	session.Stderr = &notes
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("console web-01"); err != nil {
		t.Fatal(err)
	}
	joined(t, <-p.bmc.opened, out)
	before := time.Now()
	p.stop()
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("the server took %s to end", took)
	}
	if code := exitCode(t, session.Wait()); code != 6 || !strings.Contains(notes.String(), "the server is stopping") {
		t.Errorf("exit %d, notes %q", code, notes.String())
	}
}
