package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

const (
	baud115200 = 11_520 // bytes a second: ten bits each, IPMI's 8N1

	memoryTarget = 100 << 10 // bytes for each console
)

// fleet is what a side of the comparison came to with many consoles.
type fleet struct {
	opened sample // from its start until all consoles are open
	memory int64  // bytes, all of it, after the idle time
	idle   time.Duration
	idleIn time.Duration
	busy   time.Duration
	busyIn time.Duration
	lost   error // what is missing in the logs; nil: nothing
}

// keeper opens the consoles of all BMCs and logs them.
type keeper struct {
	name    string
	prepare func(ctx context.Context, dir string, machines int) error
	start   func(ctx context.Context, dir string) (*process, error)
	// logged returns the log of a machine.
	logged func(dir string, machine int) ([]byte, error)
}

// consoles is many consoles that are open and logged, idle and busy: by the
// whole of our lab, and by conmand.
func consoles(ctx context.Context, d *director) ([]row, error) {
	if err := privileged(); err != nil {
		return nil, err
	}
	sides := []keeper{
		{"ours", furnish, startLab, labLogged},
		{"conmand", configureConmand, startConmand, conmandLogged},
	}
	machines, rounds := d.scale(1000, 10), d.scale(3, 1)
	results := make([]fleet, len(sides))
	for round := range rounds {
		for i, side := range sides {
			dir := filepath.Join(d.dir, fmt.Sprintf("%s-%d", side.name, round))
			err := runFleet(ctx, d, side, dir, machines, round == rounds-1, &results[i])
			if err != nil {
				return nil, fmt.Errorf("%d consoles by %s: %w", machines, side.name, err)
			}
		}
	}
	return fleetRows(machines, results[0], results[1]), nil
}

// runFleet starts BMCs and a side's consoles, and with measure sees what they
// cost, idle and busy.
func runFleet(ctx context.Context, d *director, side keeper, dir string, machines int, measure bool, f *fleet) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	boards, err := startRole(ctx, "bmcs")
	if err != nil {
		return err
	}
	defer boards.stop()
	if err := boards.call(ctx, "Start", Boards{Well: machines}, &none{}); err != nil {
		return err
	}
	if err := side.prepare(ctx, dir, machines); err != nil {
		return err
	}
	began := time.Now()
	p, err := side.start(ctx, dir)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := boards.call(ctx, "AwaitOpen", machines, &none{}); err != nil {
		return errors.Join(err, errors.New(p.last()))
	}
	f.opened = append(f.opened, time.Since(began))
	if !measure {
		return nil
	}

	f.idleIn, f.busyIn = d.duration(30*time.Second, time.Second), d.duration(10*time.Second, time.Second)
	if err := pause(ctx, d.duration(5*time.Second, time.Second)); err != nil { // what the start has left to do
		return err
	}
	if f.idle, err = p.cpuFor(ctx, f.idleIn); err != nil {
		return err
	}
	if f.memory, err = p.memory(); err != nil {
		return err
	}
	if err := boards.call(ctx, "AwaitOpen", machines, &none{}); err != nil {
		return fmt.Errorf("after %v: %w", f.idleIn, err)
	}
	s := Speech{Talkers: max(1, machines/100), Rate: baud115200, For: f.busyIn}
	before, err := p.cpu()
	if err != nil {
		return err
	}
	began = time.Now()
	if err := boards.call(ctx, "Talk", s, &none{}); err != nil {
		return err
	}
	after, err := p.cpu()
	if err != nil {
		return err
	}
	f.busy, f.busyIn = after-before, time.Since(began)
	f.lost = compareLogs(ctx, side, dir, machines, s)
	return ctx.Err()
}

// compareLogs waits until the logs have all that was printed, and says what
// they lack after ten seconds.
func compareLogs(ctx context.Context, side keeper, dir string, machines int, s Speech) error {
	var missing error
	for range 50 {
		missing = nil
		for _, i := range talking(machines, s.Talkers) {
			want := printout(i, int(int64(s.Rate)*int64(s.For)/int64(time.Second)))
			got, err := side.logged(dir, i)
			if err != nil {
				missing = err
				break
			}
			if !strings.Contains(string(got), want) {
				missing = fmt.Errorf("the log of machine %d, of %d bytes, lacks some of the %d that it has printed", i, len(got), len(want))
				break
			}
		}
		if missing == nil {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return missing
}

func fleetRows(machines int, ours, peer fleet) []row {
	each := func(f fleet) string { return fmt.Sprintf("%d KB", f.memory/int64(machines)>>10) }
	idle := func(f fleet) string { return share(f.idle, f.idleIn) }
	busy := func(f fleet) string {
		kept := "nothing lost, "
		if f.lost != nil {
			kept = f.lost.Error() + "; "
		}
		return kept + share(f.busy, f.busyIn)
	}
	named := func(s string) string { return s + " (conmand)" }
	open := fmt.Sprintf("%d consoles open and logging", machines)
	return []row{
		{
			Measure: open + ": memory of the process, for each", Ours: each(ours), Peer: named(each(peer)),
			Ratio: float64(ours.memory) / float64(peer.memory), Target: "at most 100 KB",
			Met: ours.memory <= int64(machines)*memoryTarget,
		},
		{
			Measure: open + fmt.Sprintf(": from the start of the program until all are open, median of %d", len(ours.opened)),
			Ours:    figure(ours.opened.median()), Peer: named(figure(peer.opened.median())), Ratio: ratio(ours.opened.median(), peer.opened.median()),
			Target: "no later", Met: ours.opened.median() <= peer.opened.median(),
		},
		{
			Measure: open + fmt.Sprintf(": processor while idle for %v, of one core (ours asks for power states, too)", ours.idleIn),
			Ours:    idle(ours), Peer: named(idle(peer)), Ratio: ratio(ours.idle, peer.idle), Target: "no more", Met: ours.idle <= peer.idle,
		},
		{
			Measure: fmt.Sprintf("%d consoles, %d of them printing at 115200 baud: what is lost, and processor of one core", machines, max(1, machines/100)),
			Ours:    busy(ours), Peer: named(busy(peer)), Ratio: ratio(ours.busy, peer.busy),
			Target: "nothing lost, below 50 %", Met: ours.lost == nil && 2*ours.busy < ours.busyIn,
		},
	}
}

// labProcess is the role of our side: a whole lab as the server runs it, with
// its store and its logs on disk.
type labProcess struct {
	lab *lab.Lab
}

func labStore(dir string) string { return filepath.Join(dir, "provisioner.db") }

// Start starts the lab in a data folder. It runs until the process ends.
func (l *labProcess) Start(dir string, _ *none) error {
	ctx := context.Background()
	db, err := store.Open(ctx, labStore(dir))
	if err != nil {
		return err
	}
	if l.lab, err = lab.New(lab.Config{Store: db, DataDir: dir}); err != nil {
		return err
	}
	go func() { _ = l.lab.Run(ctx) }() // until the process ends
	return nil
}

// AwaitPower waits until the power state of that many machines is known, and
// returns how long that took.
func (l *labProcess) AwaitPower(want int, took *time.Duration) error {
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		machines, err := l.lab.Machines(context.Background(), lab.Local)
		if err != nil {
			return err
		}
		known := 0
		for _, m := range machines {
			if m.Power.State != lab.PowerUnknown {
				known++
			}
		}
		if known >= want {
			break
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("the power state of %d machines is known after a minute, not of %d", known, want)
		}
	}
	*took = time.Since(began)
	return nil
}

// furnish makes a data folder with machines whose BMCs are the simulated ones.
func furnish(ctx context.Context, dir string, machines int) error {
	db, err := store.Open(ctx, labStore(dir))
	if err != nil {
		return err
	}
	l, err := lab.New(lab.Config{Store: db, DataDir: dir})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	for i := 0; i < machines && err == nil; i++ {
		err = l.AddMachine(ctx, lab.Local, lab.NewMachine{
			Name: fmt.Sprintf("node-%04d", i), Arch: "amd64", Subarch: "uefi",
			MACs: []string{net.HardwareAddr{0x52, 0x54, 0, 1, byte(i >> 8), byte(i)}.String()},
			BMC:  &store.BMC{Address: bmcAddress(i), Username: bmcUser, Password: bmcPassword},
		})
	}
	return errors.Join(err, l.Close(), db.Close())
}

func startLab(ctx context.Context, dir string) (*process, error) {
	p, err := startRole(ctx, "lab")
	if err != nil {
		return nil, err
	}
	if err := p.call(ctx, "Start", dir, &none{}); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// labLogged reads the segments of a machine's log: machines are numbered from
// one in the order in which furnish adds them.
func labLogged(dir string, machine int) ([]byte, error) {
	segments, err := filepath.Glob(filepath.Join(dir, "consoles", strconv.Itoa(machine+1), "*.log"))
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, name := range segments { // Glob sorts
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, text...)
	}
	return all, nil
}

// configureConmand has conmand open and log the same BMCs' consoles.
func configureConmand(ctx context.Context, dir string, machines int) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := listener.Close(); err != nil { // for conmand, which cannot choose one by itself
		return err
	}
	var config strings.Builder
	fmt.Fprintf(&config, "SERVER loopback=ON\nSERVER port=%s\nSERVER logdir=\"%s\"\nSERVER pidfile=\"%s\"\nSERVER logfile=\"%s\"\n",
		port, dir, filepath.Join(dir, "pid"), filepath.Join(dir, "conmand.log"))
	fmt.Fprintf(&config, "GLOBAL log=\"%%N.log\"\nGLOBAL ipmiopts=\"U:%s,P:%s,C:3\"\n", bmcUser, bmcPassword)
	for i := range machines {
		fmt.Fprintf(&config, "CONSOLE name=\"n%d\" dev=\"ipmi:%s\"\n", i, bmcAddress(i))
	}
	return os.WriteFile(conmandConfig(dir), []byte(config.String()), 0o600)
}

func conmandConfig(dir string) string { return filepath.Join(dir, "conman.conf") }

func startConmand(ctx context.Context, dir string) (*process, error) {
	return start(ctx, "conmand", nil, "conmand", "-F", "-c", conmandConfig(dir))
}

func conmandLogged(dir string, machine int) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir, fmt.Sprintf("n%d.log", machine)))
}
