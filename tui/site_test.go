package tui

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files and docs/keys.md anew")

// patience is how long a test waits for what should take milliseconds.
const patience = 20 * time.Second

// pi is when everything in these tests begins.
func pi() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

// site is a lab on a temporary store, with machines whose BMCs are fakes.
type site struct {
	t   testing.TB
	lab *lab.Lab
	db  *store.DB

	passed atomic.Int64 // nanoseconds since pi

	mu   sync.Mutex
	bmcs map[string]*fakeBMC // by address, which is the machine's name here
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, bmcs: make(map[string]*fakeBMC)}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if s.db, err = storetest.Open(ctx, filepath.Join(dir, "test.db")); err != nil {
		t.Fatal(err)
	}
	s.lab, err = lab.New(lab.Config{
		Store: s.db, DataDir: dir, Now: s.now, PollEvery: time.Hour, PublicURL: &url.URL{Scheme: "http", Host: "10.0.0.1:8080"},
		NewBMC: func(b store.BMC) (lab.BMC, error) { return s.bmc(b.Address), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.lab.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = s.lab.Close()
		_ = s.db.Close()
	})
	return s
}

func (s *site) now() time.Time { return pi().Add(time.Duration(s.passed.Load())) }

// advance lets time pass.
func (s *site) advance(d time.Duration) { s.passed.Add(int64(d)) }

func (s *site) bmc(address string) *fakeBMC {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bmcs[address]
	if b == nil {
		b = &fakeBMC{lines: make(chan net.Conn, 16)}
		s.bmcs[address] = b
	}
	return b
}

// machine adds one, and waits until its BMC has answered once.
func (s *site) machine(name, arch string, change ...func(*fakeBMC)) *fakeBMC {
	s.t.Helper()
	b := s.bmc(name)
	for _, f := range change {
		f(b)
	}
	s.mu.Lock()
	n := len(s.bmcs)
	s.mu.Unlock()
	s.must(s.lab.AddMachine(s.t.Context(), lab.Local, lab.NewMachine{
		Name: name, Arch: arch, Subarch: "uefi", MACs: []string{fmt.Sprintf("52:54:00:00:%02x:%02x", n/256, n%256)},
		BMC: &store.BMC{Address: name, Username: "u", Password: "p"},
	}))
	s.await(name+" to be polled", func() bool {
		d, err := s.lab.Machine(s.t.Context(), lab.Local, name)
		return err == nil && !d.Power.At.IsZero()
	})
	return b
}

// await polls what has no channel to wait on.
func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-timeout:
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// user makes an account, or finds it.
func (s *site) user(name string, admin bool) lab.Actor {
	s.t.Helper()
	_ = s.lab.AddUser(s.t.Context(), lab.Local, name, admin, nil)
	actor := lab.Actor{Via: "test"}
	s.must(s.db.Read(s.t.Context(), func(tx *store.Tx) (err error) {
		actor.User, err = tx.User(s.t.Context(), name)
		return err
	}))
	return actor
}

func (s *site) image(name string, kind store.ImageType, arch string) {
	s.t.Helper()
	subarch := ""
	if kind == store.ImageBootloader {
		subarch = "uefi"
	}
	s.must(s.lab.AddImage(s.t.Context(), lab.Local, lab.NewImage{
		Name: name, Type: kind, Arch: arch, Subarch: subarch, Filename: "file", Public: true,
	}, strings.NewReader(strings.Repeat(name, 100_000))))
}

// window is a size of terminals.
type window struct {
	name          string
	width, height int
}

// small is the window that everybody has.
var small = window{"80x24", 80, 24}

// inWindows runs a test in a small window and in a wide one.
func inWindows(t *testing.T, test func(t *testing.T, w window)) {
	for _, w := range []window{small, {"120x40", 120, 40}} {
		t.Run(w.name, func(t *testing.T) { test(t, w) })
	}
}

// atMachine sits somebody down before a machine's page, and waits for its
// console, if they may see that.
func (s *site) atMachine(actor lab.Actor, w window, name string) *seat {
	s.t.Helper()
	p := s.sit(actor, w.width, w.height)
	p.awaits(name)
	p.press("/"+name, enterKey, enterKey)
	p.awaits("╭─ "+name, "Power")
	m, err := s.lab.Machine(s.t.Context(), actor, name)
	if err == nil && m.HeldBy(actor.User.ID) && s.bmc(name).works() {
		p.awaits("● live")
		if w.width >= wideWidth {
			p.awaits("console opened")
		}
	}
	return p
}

// seat is a person at a terminal, as it would be at the other end of ssh.
type seat struct {
	t      testing.TB
	keys   *io.PipeWriter
	resize chan Size
	leave  context.CancelCauseFunc
	done   chan struct{} // closed when Run has returned err
	err    error

	mu     sync.Mutex
	screen *vt.Emulator
	width  int
	height int
	bytes  int
	writes int
	raw    bytes.Buffer
	wrote  chan struct{}
}

// sit opens the dashboard for somebody.
func (s *site) sit(actor lab.Actor, width, height int) *seat {
	s.t.Helper()
	return s.sitWith(Config{Actor: actor}, width, height, []string{"TERM=xterm-256color"})
}

// sitAt is sit for somebody who came in by that address.
func (s *site) sitAt(actor lab.Actor, w window, address string) *seat {
	s.t.Helper()
	return s.sitWith(Config{Actor: actor, SSHAddr: address}, w.width, w.height, []string{"TERM=xterm-256color"})
}

func (s *site) sitWith(cfg Config, width, height int, env []string) *seat {
	s.t.Helper()
	cfg.Lab, cfg.Site, cfg.Now = s.lab, "lab-west", s.now
	in, keys := io.Pipe()
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &seat{
		t: s.t, keys: keys, resize: make(chan Size, 1), leave: cancel, done: make(chan struct{}),
		screen: vt.NewEmulator(width, height), width: width, height: height, wrote: make(chan struct{}, 1),
	}
	p.screen.SetScrollbackSize(1)
	go func() { _, _ = io.Copy(io.Discard, p.screen) }() // as long as the test binary
	go func() {
		defer close(p.done)
		p.err = Run(ctx, cfg, Terminal{
			In: in, Out: p, Width: width, Height: height, Resize: p.resize, Env: env,
		})
	}()
	s.t.Cleanup(func() {
		cancel(nil)
		_ = keys.Close()
		<-p.done
	})
	return p
}

// Write is the terminal's.
func (p *seat) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.bytes += len(b)
	p.writes++
	p.raw.Write(b)
	_, _ = p.screen.Write(b)
	p.mu.Unlock()
	select {
	case p.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

// press types keys, as bytes.
func (p *seat) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		if _, err := io.WriteString(p.keys, k); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *seat) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// red reports whether the first such character on the screen is red.
func (p *seat) red(char string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for y := range p.height {
		for x := range p.width {
			if c := p.screen.CellAt(x, y); c != nil && c.Content == char {
				return c.Style.Fg == ansi.Red
			}
		}
	}
	return false
}

// awaits waits until everything wanted is on the screen; with a ! before it,
// until it is not.
func (p *seat) awaits(wanted ...string) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		text, missing := p.text(), ""
		for _, w := range wanted {
			w, absent := strings.CutPrefix(w, "!")
			if strings.Contains(text, w) == absent {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-p.wrote:
		case <-timeout:
			p.t.Fatalf("waited in vain for %q; the screen:\n%s", missing, text)
		}
	}
}

// quiet waits until nothing has been drawn for a while.
func (p *seat) quiet(while time.Duration) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case <-p.wrote:
		case <-time.After(while):
			return
		case <-timeout:
			p.t.Fatal("the screen never comes to rest")
		}
	}
}

func (p *seat) resizeTo(width, height int) {
	p.mu.Lock()
	p.screen.Resize(width, height)
	p.width, p.height = width, height
	p.mu.Unlock()
	p.resize <- Size{width, height}
}

// golden waits until the screen is the one of testdata/name.
func (p *seat) golden(name string) {
	p.t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(p.text()+"\n"), 0o600); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	timeout := time.After(patience)
	for {
		got := p.text() + "\n"
		if got == string(want) {
			return
		}
		select {
		case <-p.wrote: // what nobody has waited for
		case <-timeout:
			p.t.Fatalf("%s differs (go test ./tui -update, and look at the difference):\n%s\nwanted:\n%s", path, got, want)
		}
	}
}
