package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/store"
	"provisioner/store/storetest"
)

// TestSoak runs for SOAKTIME, a duration; 20s by default.
func TestSoak(t *testing.T) {
	duration := 20 * time.Second
	if text := os.Getenv("SOAKTIME"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAKTIME: %v", err)
		}
	}
	const consoles = 200
	// A short run first: what a process takes once and keeps is no leftover.
	run(t, consoles, time.Second)
	before := held(t)
	run(t, consoles, duration)
	checkLeftovers(t, before, 512<<10) // of the 20 KB and more that each console has had
}

// site is a lab with its BMCs.
type site struct {
	*lab.Lab
	t           *testing.T
	dir         string
	controllers []*controller
	people      []lab.Actor

	mu          sync.Mutex
	connections []*connection

	// What has happened, for the log.
	visits, keys, skips, orders, refused atomic.Int64
}

// run is one whole life of a lab: nothing of it is left when run returns.
func run(t *testing.T, machines int, duration time.Duration) {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	for i := range machines {
		s.controllers = append(s.controllers, startController(t, i))
	}
	db, err := storetest.Open(t.Context(), filepath.Join(s.dir, "provisioner.db"))
	s.must(err)
	s.Lab, err = lab.New(lab.Config{Store: db, DataDir: s.dir, PollEvery: 2 * time.Second, NewBMC: s.newBMC})
	s.must(err)
	s.furnish()

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ends with cancel, below
	s.await("all consoles are open", func() error { return s.open() })
	s.disturb(ctx, duration)
	s.settle()
	cancel()
	s.must(<-ended)
	s.must(errors.Join(s.Close(), db.Close()))
	for _, c := range s.controllers {
		c.close()
	}
	s.report()
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) name(machine int) string { return fmt.Sprintf("node-%03d", machine) }

// newBMC is what the lab reaches its BMCs by.
func (s *site) newBMC(b store.BMC) (lab.BMC, error) {
	for _, c := range s.controllers {
		if c.addr == b.Address {
			way := connect(b, c)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.connections = append(s.connections, way)
			return way, nil
		}
	}
	return nil, errUnknownBMC
}

func (s *site) furnish() {
	ctx := s.t.Context()
	for i, c := range s.controllers {
		s.must(s.AddMachine(ctx, lab.Local, lab.NewMachine{
			Name: s.name(i), Arch: "amd64", Subarch: "uefi",
			MACs: []string{net.HardwareAddr{0x52, 0x54, 0, 2, byte(i >> 8), byte(i)}.String()},
			BMC:  &store.BMC{Address: c.addr, Username: user, Password: password},
		}))
	}
	for _, name := range []string{"ada", "grace", "linus"} {
		key := lab.PublicKey{Fingerprint: "SHA256:" + name, Authorized: "ssh-ed25519 AAAA" + name, Comment: name}
		s.must(s.AddUser(ctx, lab.Local, name, true, &key))
		actor, err := s.Login(ctx, name, key.Fingerprint, "192.0.2.1:1")
		s.must(err)
		s.people = append(s.people, actor)
	}
}

// open says which console is not open.
func (s *site) open() error {
	for i, c := range s.controllers {
		if !c.consoleOpen() {
			return fmt.Errorf("the console of %s is not open", s.name(i))
		}
	}
	return nil
}

// await waits until a condition holds, for three minutes at most.
func (s *site) await(what string, holds func() error) {
	s.t.Helper()
	began := time.Now()
	for {
		err := holds()
		if err == nil {
			s.t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > 3*time.Minute {
			s.t.Fatalf("until %s: %v", what, err)
		}
		wait(s.t.Context(), 50*time.Millisecond)
	}
}

// disturb has machines print, BMCs restart, people come and go, and power
// orders given, for that long.
func (s *site) disturb(ctx context.Context, duration time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var all sync.WaitGroup
	// Each has a random source of its own, always the same.
	source := uint64(0)
	often := func(every time.Duration, do func(ctx context.Context, random *rand.Rand)) {
		source++
		random := rand.New(rand.NewPCG(source, 0))
		all.Go(func() { // ends with ctx
			for ctx.Err() == nil {
				do(ctx, random)
				wait(ctx, every/2+upTo(random, every))
			}
		})
	}
	n := len(s.controllers)
	often(200*time.Millisecond, func(_ context.Context, random *rand.Rand) {
		for range max(1, n/10) {
			s.controllers[random.IntN(n)].machine.print(1 + random.IntN(40))
		}
	})
	for range 4 {
		often(time.Second, func(ctx context.Context, random *rand.Rand) {
			crash := random.IntN(2) == 0 // or it takes its leave
			s.controllers[random.IntN(n)].restart(ctx, crash, upTo(random, 500*time.Millisecond))
		})
	}
	for range 20 {
		often(100*time.Millisecond, s.visit)
	}
	for range 4 {
		often(300*time.Millisecond, s.order)
	}
	all.Wait()
}

func upTo(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}

// visit is one person at one console: some type, some are slow, most watch.
func (s *site) visit(ctx context.Context, random *rand.Rand) {
	name := s.name(random.IntN(len(s.controllers)))
	actor := s.people[random.IntN(len(s.people))]
	ctx, cancel := context.WithTimeout(ctx, upTo(random, 2*time.Second))
	defer cancel()
	viewer, err := s.OpenConsole(ctx, actor, name)
	if ctx.Err() != nil {
		if err == nil {
			viewer.Close()
		}
		return
	}
	if err != nil {
		s.t.Errorf("open the console of %s: %v", name, err)
		return
	}
	defer viewer.Close()
	s.visits.Add(1)
	types, slow := random.IntN(3) == 0, random.IntN(4) == 0
	for {
		out, err := viewer.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				s.t.Errorf("watch %s: %v", name, err)
			}
			return
		}
		s.skips.Add(int64(min(out.Skipped, 1)))
		if types {
			switch err := viewer.TrySend([]byte("uptime\r")); {
			case err == nil:
				s.keys.Add(7)
			case errors.Is(err, console.ErrNotConnected), errors.Is(err, console.ErrBusy), errors.As(err, new(*console.OccupiedError)):
			default:
				s.t.Errorf("type at %s: %v", name, err)
			}
			wait(ctx, 50*time.Millisecond)
		}
		if slow {
			wait(ctx, 500*time.Millisecond)
		}
	}
}

// order is one power order. A BMC that is away may refuse it.
func (s *site) order(ctx context.Context, random *rand.Rand) {
	name := s.name(random.IntN(len(s.controllers)))
	actor := s.people[random.IntN(len(s.people))]
	actions := []lab.PowerAction{lab.TurnOn, lab.TurnOff, lab.Reset, lab.Cycle}
	err := s.SetPower(ctx, actor, name, actions[random.IntN(len(actions))])
	s.orders.Add(1)
	if err != nil {
		s.refused.Add(1)
	}
}

// settle waits until all is as it was before the disturbance, and every byte
// that was printed is in its log.
func (s *site) settle() {
	s.await("all consoles are open again", s.open)
	opened := make([]int, len(s.controllers))
	for i, c := range s.controllers {
		opened[i] = s.reopened(c)
		c.machine.print(1) // so that every log has an end to look for
	}
	s.await("the logs have the last line", func() error {
		for i, c := range s.controllers {
			if now := s.reopened(c); now != opened[i] { // the end may be what was lost with the console
				opened[i] = now
				c.machine.print(1)
			}
			log := s.log(i)
			want := line(i, int(c.machine.lines())-1)
			if len(log) < lineSize || string(log[len(log)-lineSize:]) != want {
				return fmt.Errorf("the log of %s, of %d bytes, does not end with %q", s.name(i), len(log), want)
			}
		}
		return nil
	})
}

// reopened is how often a BMC's console was opened though it had not restarted.
func (s *site) reopened(to *controller) (times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.connections {
		if c.to == to {
			times += c.reopened()
		}
	}
	return times
}

// log reads the segments of a machine's log. Machines are numbered from one.
func (s *site) log(machine int) []byte {
	segments, err := filepath.Glob(filepath.Join(s.dir, "consoles", strconv.Itoa(machine+1), "*.log"))
	s.must(err)
	var all []byte
	for _, name := range segments { // Glob sorts
		text, err := os.ReadFile(name)
		s.must(err)
		all = append(all, text...)
	}
	return all
}

// report checks the logs, and says what has happened.
func (s *site) report() {
	var printed, typed, missing int64
	restarts := 0
	for i, c := range s.controllers {
		lost, err := c.machine.check(s.log(i))
		if err != nil {
			s.t.Errorf("%s: %v", s.name(i), err)
		}
		missing += lost
		printed += c.machine.lines() * lineSize
		typed += c.machine.input()
		restarts += c.restarted()
	}
	again := 0
	for _, c := range s.controllers {
		again += s.reopened(c)
	}
	s.t.Logf("%d machines printed %d bytes, of which %d were inside BMCs that restarted; %d restarts; %d consoles lost otherwise; %d bytes of %d typed arrived",
		len(s.controllers), printed, missing, restarts, again, typed, s.keys.Load())
	s.t.Logf("%d visits, %d of them told that they missed something; %d power orders, %d refused",
		s.visits.Load(), s.skips.Load(), s.orders.Load(), s.refused.Load())
	if typed > s.keys.Load() {
		s.t.Errorf("%d bytes were typed, and %d arrived", s.keys.Load(), typed)
	}
}
