package lab

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

var machineName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Machine is a machine as people see it: what is configured, and what its BMC
// says.
type Machine struct {
	store.Machine
	Power Power
}

// Machines returns all machines by name. Whoever may log in may see them.
func (l *Lab) Machines(ctx context.Context, actor Actor) ([]Machine, error) {
	var machines []Machine
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Machines(ctx)
		machines = make([]Machine, 0, len(rows))
		for _, row := range rows {
			if actor.sees(row) {
				machines = append(machines, Machine{Machine: row})
			}
		}
		return err
	})
	if err != nil {
		return nil, wrap(err, "list machines")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range machines {
		machines[i].Power = l.powerLocked(machines[i].ID)
	}
	return machines, nil
}

// MachineDetail is what a machine's own page shows.
type MachineDetail struct {
	Machine
	Interfaces []store.Interface
	Run        *store.Run // the newest; nil: never provisioned
	Kernel     string     // names; empty: none
	Initrd     string
	Preseed    string
}

// Machine returns one machine.
func (l *Lab) Machine(ctx context.Context, actor Actor, name string) (MachineDetail, error) {
	var d MachineDetail
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if d.Machine.Machine, err = tx.Machine(ctx, name); err != nil {
			return notFound(err, "machine", name)
		}
		if !actor.sees(d.Machine.Machine) {
			return missing("machine", name)
		}
		if d.Interfaces, err = tx.Interfaces(ctx, d.ID); err != nil {
			return err
		}
		run, err := tx.LatestRun(ctx, d.ID)
		if err == nil {
			run.Token = "" // as good as a password
			d.Run = &run
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		for id, name := range map[int64]*string{d.KernelID: &d.Kernel, d.InitrdID: &d.Initrd} {
			if id != 0 {
				image, err := tx.Image(ctx, id)
				if err != nil {
					return err
				}
				*name = image.Name
			}
		}
		if d.PreseedID != 0 {
			preseed, err := tx.Preseed(ctx, d.PreseedID)
			d.Preseed = preseed.Name
			return err
		}
		return nil
	})
	if err != nil {
		return MachineDetail{}, wrap(err, "show machine")
	}
	d.Power = l.power(d.ID)
	return d, nil
}

// NewMachine describes a machine to be added.
type NewMachine struct {
	Name    string
	Arch    string // amd64, arm64
	Subarch string // uefi, bios
	MACs    []string
	BMC     *store.BMC // nil: none; without a type: plain
}

// AddMachine adds a machine. Where there is one of that name, its BMC is
// changed to the one given, and interfaces that it lacks are added.
func (l *Lab) AddMachine(ctx context.Context, actor Actor, m NewMachine) error {
	if !actor.IsAdmin() {
		return fail(Denied, "add machine %s: only an admin may", m.Name)
	}
	if err := checkMachineName(m.Name); err != nil {
		return wrap(err, "add machine %q", m.Name)
	}
	macs, err := parseMACs(m.MACs)
	if err == nil && m.BMC != nil {
		m.BMC, err = l.checkBMC(*m.BMC)
	}
	if err != nil {
		return wrap(err, "add machine %s", m.Name)
	}
	err = l.write(ctx, func(tx *store.Tx) error { return l.addMachine(ctx, tx, actor, m, macs) })
	return wrap(err, "add machine %s", m.Name)
}

func (l *Lab) addMachine(ctx context.Context, tx *store.Tx, actor Actor, m NewMachine, macs []string) error {
	kind := EventMachineChanged
	row, err := tx.Machine(ctx, m.Name)
	if errors.Is(err, store.ErrNotFound) {
		kind = EventMachineAdded
		subarch, err := tx.Subarch(ctx, m.Arch, m.Subarch)
		if err != nil {
			return notFound(err, "architecture", m.Arch+"/"+m.Subarch)
		}
		row = store.Machine{Name: m.Name, SubarchID: subarch.ID, State: store.StateUnknown, CreatedAt: l.now()}
		if row.ID, err = tx.AddMachine(ctx, row); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if m.BMC != nil {
		if err := l.giveBMC(ctx, tx, row, *m.BMC); err != nil {
			return err
		}
	}
	have, err := tx.Interfaces(ctx, row.ID)
	if err != nil {
		return err
	}
	for _, mac := range macs {
		if !hasMAC(have, mac) {
			if err := addInterface(ctx, tx, row.ID, mac); err != nil {
				return err
			}
		}
	}
	return l.record(ctx, tx, actor, store.Event{Kind: kind, Machine: m.Name, Detail: strings.Join(macs, " ")})
}

func checkMachineName(name string) error {
	if !machineName.MatchString(name) {
		return fail(Invalid, "a machine name has up to 63 letters, digits, `-`, `_` and `.`")
	}
	return nil
}

// parseMACs returns addresses in the form in which they are kept.
func parseMACs(texts []string) ([]string, error) {
	macs := make([]string, len(texts))
	for i, text := range texts {
		mac, err := boot.ParseMAC(text)
		if err != nil {
			return nil, fail(Invalid, "%w", err)
		}
		macs[i] = mac.String()
	}
	return macs, nil
}

func hasMAC(interfaces []store.Interface, mac string) bool {
	return slices.ContainsFunc(interfaces, func(i store.Interface) bool { return i.MAC == mac })
}

// addInterface gives a machine an interface, whose address is discovered no more.
func addInterface(ctx context.Context, tx *store.Tx, machineID int64, mac string) error {
	if err := tx.AddInterface(ctx, machineID, mac); errors.Is(err, store.ErrExists) {
		return fail(Conflict, "another machine has an interface with the address %s", mac)
	} else if err != nil {
		return err
	}
	return tx.ForgetDiscovered(ctx, mac)
}

// holderNames joins the names of who holds a machine, for a sentence.
func holderNames(m store.Machine) string {
	names := make([]string, len(m.Holders))
	for i, h := range m.Holders {
		names[i] = h.User
	}
	return strings.Join(names, ", ")
}
