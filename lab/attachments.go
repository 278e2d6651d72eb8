package lab

import (
	"context"
	"time"

	"provisioner/lab/console"
	"provisioner/store"
)

// attachment is a machine as this process is connected to it.
type attachment struct {
	machine string
	config  store.BMC
	bmc     BMC
	console *console.Console
	pollNow chan struct{} // holds one token while a poll is wanted at once
	glance  chan struct{} // holds one token when somebody has begun to look at the machines
	known   *inventory    // what the BMC said of the machine
	stop    context.CancelFunc

	// Guarded by Lab.mu.
	power  Power
	let    func() // lets go of the console that a run holds; nil: no run
	unkeep func() // has the console on demand again; nil: it is
	seats  []*Seat

	visited time.Time // when somebody was seen in one of them last; zero: not
}

// attachMachines makes the attachments agree with the store: machines that are
// new are watched, those that are gone or have no BMC any more are not, those
// whose BMC or name has changed are connected anew, and consoles are kept as
// the machine and the site have it.
func (l *Lab) attachMachines(ctx context.Context) error {
	type wanted struct {
		machine store.Machine
		bmc     store.BMC
	}
	var all []wanted
	var site Site
	running := make(map[int64]bool)
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		machines, err := tx.Machines(ctx)
		if err != nil {
			return err
		}
		if site, err = readSite(ctx, tx); err != nil {
			return err
		}
		for _, m := range machines {
			if m.BMCID == 0 {
				continue
			}
			bmc, err := tx.MachineBMC(ctx, m.ID)
			if err != nil {
				return err
			}
			all = append(all, wanted{m, bmc})
		}
		runs, err := tx.RunningRuns(ctx)
		for _, r := range runs {
			running[r.MachineID] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watcherCtx == nil || l.watcherCtx.Err() != nil {
		return nil
	}
	l.consolesInsist.Store(site.ConsolesInsist)
	there := make(map[int64]bool, len(all))
	for _, w := range all {
		there[w.machine.ID] = true
	}
	for id, gone := range l.machines {
		if !there[id] {
			gone.stop()
			delete(l.machines, id)
		}
	}
	for _, w := range all {
		old := l.machines[w.machine.ID]
		if old != nil && old.config == w.bmc && old.machine == w.machine.Name {
			old.keepConsole(site.keeps(w.machine))
			continue
		}
		bmc, err := l.newBMC(w.bmc)
		if err != nil {
			l.log.Error("machine is not watched", "machine", w.machine.Name, "error", err)
			continue
		}
		if old != nil {
			old.stop()
		}
		l.attachLocked(w.machine, w.bmc, advised{l.observed(bmc)}).keepConsole(site.keeps(w.machine))
		if running[w.machine.ID] {
			l.holdConsoleLocked(w.machine.ID)
		}
	}
	return nil
}

func (l *Lab) attachLocked(m store.Machine, config store.BMC, bmc BMC) *attachment {
	ctx, stop := context.WithCancel(l.watcherCtx)
	a := &attachment{
		machine: m.Name, config: config, bmc: bmc, console: l.newConsole(m, bmc),
		pollNow: make(chan struct{}, 1), glance: make(chan struct{}, 1), known: newInventory(), stop: stop,
		power: Power{State: PowerUnknown},
	}
	l.machines[m.ID] = a
	l.watchers.Go(func() error { // ends with Run, or when the BMC was replaced
		defer stop()
		l.watchPower(ctx, a)
		a.console.Close()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		// A BMC that does not answer drops the session by itself.
		_ = a.bmc.Close(closing)
		return nil
	})
	return a
}

// keepConsole has the console connected always, or on demand.
func (a *attachment) keepConsole(always bool) {
	switch {
	case always && a.unkeep == nil:
		a.unkeep = a.console.Keep()
	case !always && a.unkeep != nil:
		a.unkeep()
		a.unkeep = nil
	}
}

// attachmentOf returns the connection to a machine's BMC.
func (l *Lab) attachmentOf(m store.Machine) (*attachment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.machines[m.ID]; a != nil {
		return a, nil
	}
	if m.BMCID == 0 {
		return nil, fail(Invalid, "%s has no BMC: an admin can give it one", m.Name)
	}
	return nil, fail(Unavailable, "the BMC of %s is not connected yet; try again in a second", m.Name)
}

// holdConsoleLocked keeps the console of a machine open while a run goes on,
// and takes it from whoever has it, so that what it prints is in its log.
func (l *Lab) holdConsoleLocked(machineID int64) {
	if a := l.machines[machineID]; a != nil && a.let == nil {
		a.let = a.console.Hold()
	}
}

func (l *Lab) holdConsole(machineID int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holdConsoleLocked(machineID)
}

// letConsole ends holdConsole.
func (l *Lab) letConsole(machine string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.machines {
		if a.machine == machine && a.let != nil {
			a.let()
			a.let = nil
		}
	}
}

// detachAll forgets all attachments after their watchers have ended.
func (l *Lab) detachAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.machines)
	l.watcherCtx = nil
}
