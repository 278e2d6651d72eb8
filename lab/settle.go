package lab

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"provisioner/ipmi"
	"provisioner/store"
)

const (
	powerOffAtOnce = 8 // BMCs that are told at the same time
	powerOffFirst  = 30 * time.Second
	powerOffMost   = 30 * time.Minute // between two tries
	powerOffTerm   = 24 * time.Hour   // after which it is given up
)

// settle does what the site wants done to a machine that nobody holds any more.
func (l *Lab) settle(ctx context.Context, tx *store.Tx, m store.Machine) error {
	site, err := readSite(ctx, tx)
	if err != nil || site.Release != ReleasePowerOff || m.BMCID == 0 {
		return err
	}
	now := l.now()
	return tx.SetPowerOff(ctx, store.PowerOff{MachineID: m.ID, AskedAt: now, NextAt: now})
}

// turnOffReleased turns off the machines that settle has said it of, until ctx
// ends. A BMC that does not answer is asked again, ever more rarely, for a day.
func (l *Lab) turnOffReleased(ctx context.Context) error {
	l.tendWhatIsDue(ctx, l.wakePowerOffs, l.turnOffDue, "machines that were released have not been turned off")
	return nil
}

// turnOffDue turns off what is due, and returns when something is next.
func (l *Lab) turnOffDue(ctx context.Context) (next time.Time, err error) {
	l.turnOffMu.Lock()
	defer l.turnOffMu.Unlock()
	var all []store.PowerOff
	err = l.store.Read(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.PowerOffs(ctx)
		return err
	})
	if err != nil {
		return next, err
	}
	var group errgroup.Group
	group.SetLimit(powerOffAtOnce)
	for _, p := range all {
		wait := p.NextAt.Sub(l.now())
		if wait > 0 && wait <= powerOffMost { // longer: the clock has been set back
			if next.IsZero() || p.NextAt.Before(next) {
				next = p.NextAt
			}
			continue
		}
		group.Go(func() error { return wrap(l.turnOff(ctx, p), "turn off %s", p.Machine) })
	}
	return next, group.Wait()
}

// turnOff turns off one machine, unless somebody holds it again.
func (l *Lab) turnOff(ctx context.Context, p store.PowerOff) error {
	defer l.beginPowerOff(p.MachineID)()
	var m store.Machine
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.MachineByID(ctx, p.MachineID)
		return err
	})
	if err != nil {
		return err
	}
	if len(m.Holders) > 0 {
		return l.store.Write(ctx, func(tx *store.Tx) error { return tx.DropPowerOff(ctx, m.ID) })
	}
	changed, bmcErr := l.orderOff(ctx, m)
	if ctx.Err() != nil {
		return nil // it is done after the restart
	}
	e := store.Event{Kind: EventPower, Machine: m.Name, Detail: "off: it was released"}
	now := l.now()
	p.Tries++
	givenUp := now.Sub(p.AskedAt) >= powerOffTerm
	if bmcErr != nil {
		e.Kind, e.Detail = EventPowerFailed, "off, as it was released: "+bmcErr.Error()
		if givenUp {
			e.Detail += "; it is given up"
		}
	}
	return l.write(ctx, func(tx *store.Tx) error {
		switch {
		case bmcErr == nil && !changed:
			return tx.DropPowerOff(ctx, m.ID)
		case bmcErr == nil || givenUp:
			if err := tx.DropPowerOff(ctx, m.ID); err != nil {
				return err
			}
			return l.record(ctx, tx, clockActor, e)
		}
		if m, err := tx.MachineByID(ctx, m.ID); err != nil || len(m.Holders) > 0 {
			return err // somebody took it meanwhile
		}
		p.NextAt = now.Add(min(powerOffFirst<<min(p.Tries-1, 10), powerOffMost))
		if err := tx.SetPowerOff(ctx, p); err != nil || p.Tries > 1 {
			return err
		}
		return l.record(ctx, tx, clockActor, e)
	})
}

// orderOff has a machine turned off that is on. It blocks until its BMC has answered.
func (l *Lab) orderOff(ctx context.Context, m store.Machine) (changed bool, err error) {
	a, err := l.attachmentOf(m)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, bmcTerm)
	defer cancel()
	state, err := a.bmc.Power(ctx)
	if err != nil || state == ipmi.PowerOff {
		return false, err
	}
	defer a.poll()
	return true, a.bmc.SetPower(ctx, ipmi.PowerDown)
}

// beginPowerOff notes that a machine is being turned off, until the function
// is called that it returns.
func (l *Lab) beginPowerOff(machineID int64) (done func()) {
	ended := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turningOff[machineID] = ended
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.turningOff, machineID)
		close(ended)
	}
}

// awaitPowerOff waits, for who has just got a machine, until it is not being
// turned off any more: what they do next would be undone. It takes as long as
// the BMC takes to answer.
func (l *Lab) awaitPowerOff(ctx context.Context, machineID int64) {
	l.mu.Lock()
	ended := l.turningOff[machineID]
	l.mu.Unlock()
	if ended == nil {
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
