package lab

import (
	"context"
	"errors"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

// MachineChange says what becomes of a machine; what is nil stays as it is.
type MachineChange struct {
	// What only admins change.

	Name    *string
	Arch    *string
	MACs    *[]string  // all that it has from now on; those that stay keep their networks and addresses
	BMC     *store.BMC // one that is there, by its ID, and the slot; or one as for [NewMachine]; without ID and Address: none
	Console *store.ConsoleMode

	// What its holders change, too. Images and preseeds are named; an empty
	// initrd or preseed is none.

	Subarch       *string
	Kernel        *string
	Initrd        *string
	Preseed       *string
	KernelOptions *string // as for [ProvisionRequest]
	Netboot       *bool   // a run begins, without the BMC being told; or it ends, as by [Lab.EndRun]
}

// forAdmins reports whether the change is for admins only.
func (c MachineChange) forAdmins() bool {
	return c.Name != nil || c.Arch != nil || c.MACs != nil || c.BMC != nil || c.Console != nil
}

// boots reports whether the change is about what the machine boots.
func (c MachineChange) boots() bool {
	return c.Subarch != nil || c.Kernel != nil || c.Initrd != nil || c.Preseed != nil || c.KernelOptions != nil
}

// ChangeMachine changes a machine: what it is called and made of, for admins,
// and what it boots, for its holders, too. What it boots cannot be changed
// while a run goes on that the machine has begun.
//
// A machine that is called otherwise takes its history along, and its console
// is opened anew.
func (l *Lab) ChangeMachine(ctx context.Context, actor Actor, name string, change MachineChange) error {
	if change.forAdmins() && !actor.IsAdmin() {
		return fail(Denied, "change machine %s: only an admin may change its name, architecture, addresses, BMC and console", name)
	}
	err := l.checkMachineChange(&change)
	if err != nil {
		return wrap(err, "change machine %s", name)
	}
	var began int64 // the machine whose run it is
	err = l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		details, err := l.identify(ctx, tx, &m, change)
		if err != nil {
			return err
		}
		hardware, err := l.changeHardware(ctx, tx, m, change)
		if err != nil {
			return err
		}
		boots, err := l.changeBoot(ctx, tx, actor, &m, change)
		if err != nil {
			return err
		}
		if err := tx.UpdateMachine(ctx, m); err != nil {
			return err
		}
		if details = append(append(details, hardware...), boots...); len(details) > 0 {
			e := store.Event{Kind: EventMachineChanged, Machine: m.Name, Detail: strings.Join(details, ", ")}
			if err := l.record(ctx, tx, actor, e); err != nil {
				return err
			}
		}
		began, err = l.switchNetboot(ctx, tx, actor, m, change)
		return err
	})
	if err != nil {
		return wrap(err, "change machine %s", name)
	}
	if began != 0 {
		l.holdConsole(began)
	}
	return nil
}

// checkMachineChange refuses what is wrong whatever there is, and has the rest
// in the form in which it is kept.
func (l *Lab) checkMachineChange(change *MachineChange) error {
	if change.Name != nil {
		if err := checkMachineName(*change.Name); err != nil {
			return err
		}
	}
	if change.MACs != nil {
		macs, err := parseMACs(*change.MACs)
		if err != nil {
			return err
		}
		change.MACs = &macs
	}
	if change.Console != nil {
		if err := checkConsoleMode(*change.Console); err != nil {
			return err
		}
	}
	if change.KernelOptions != nil {
		if err := boot.CheckKernelOptions(*change.KernelOptions); err != nil {
			return fail(Invalid, "%w", err)
		}
	}
	if change.BMC != nil && change.BMC.ID == 0 && change.BMC.Address != "" {
		bmc, err := l.checkBMC(*change.BMC)
		change.BMC = bmc
		return err
	}
	return nil
}

// identify changes what a machine is called and which kind it is, and returns
// what was changed, for people.
func (l *Lab) identify(ctx context.Context, tx *store.Tx, m *store.Machine, change MachineChange) (details []string, err error) {
	before := *m
	set(&m.Name, change.Name)
	set(&m.Arch, change.Arch)
	set(&m.Subarch, change.Subarch)
	if m.Name == before.Name && m.Arch == before.Arch && m.Subarch == before.Subarch {
		return nil, nil
	}
	subarch, err := tx.Subarch(ctx, m.Arch, m.Subarch)
	if err != nil {
		return nil, notFound(err, "architecture", m.Arch+"/"+m.Subarch)
	}
	m.SubarchID, m.Arch, m.Subarch = subarch.ID, subarch.Arch, subarch.Name
	m.BootloaderID, m.EFIBoot = subarch.BootloaderID, subarch.EFIBoot
	if m.Arch != before.Arch {
		// What it has booted is for the other one.
		m.KernelID, m.InitrdID = 0, 0
	}
	if err := tx.SetMachineIdentity(ctx, m.ID, m.Name, m.SubarchID); errors.Is(err, store.ErrExists) {
		return nil, fail(Conflict, "there is a machine %q already", m.Name)
	} else if err != nil {
		return nil, err
	}
	if m.Name != before.Name {
		details = append(details, "called "+before.Name+" before")
	}
	if m.SubarchID != before.SubarchID {
		details = append(details, m.Arch+"/"+m.Subarch)
	}
	return details, nil
}

// changeHardware changes a machine's interfaces, BMC and console.
func (l *Lab) changeHardware(ctx context.Context, tx *store.Tx, m store.Machine, change MachineChange) (details []string, err error) {
	if change.MACs != nil {
		have, err := tx.Interfaces(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		wanted := make(map[string]bool)
		for _, mac := range *change.MACs {
			wanted[mac] = true
		}
		for _, i := range have {
			if wanted[i.MAC] {
				continue
			}
			if err := tx.RemoveInterface(ctx, m.ID, i.MAC); err != nil {
				return nil, err
			}
			details = append(details, "without "+i.MAC)
		}
		for _, mac := range *change.MACs {
			if !wanted[mac] || hasMAC(have, mac) {
				continue
			}
			wanted[mac] = false // it may be named twice
			if err := addInterface(ctx, tx, m.ID, mac); err != nil {
				return nil, err
			}
			details = append(details, mac)
		}
	}
	switch {
	case change.BMC == nil:
		return details, nil
	case change.BMC.ID != 0:
		bmc, err := theBMC(ctx, tx, change.BMC.ID)
		if err != nil {
			return nil, err
		}
		bmc.Slot = change.BMC.Slot
		if _, err := l.checkBMC(bmc); err != nil {
			return nil, err
		}
		return append(details, "BMC "+bmc.Address), l.useBMC(ctx, tx, m, bmc)
	case change.BMC.Address != "":
		return append(details, "BMC "+change.BMC.Address), l.giveBMC(ctx, tx, m, *change.BMC)
	}
	return append(details, "without BMC"), l.useBMC(ctx, tx, m, store.BMC{})
}

// changeBoot changes what a machine boots, and when its console is connected,
// in m alone: its caller keeps it.
func (l *Lab) changeBoot(ctx context.Context, tx *store.Tx, actor Actor, m *store.Machine, change MachineChange) (details []string, err error) {
	if change.Console != nil && *change.Console != m.Console {
		m.Console = *change.Console
		details = append(details, consoleDetail(m.Console))
	}
	if !change.boots() && change.Arch == nil {
		return details, nil
	}
	run, err := tx.RunningRun(ctx, m.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case run.Stage != StageAsked:
		return nil, fail(Conflict, "it is being installed: end the run first")
	}
	for _, choice := range []struct {
		kind store.ImageType
		name *string
		id   *int64
	}{{store.ImageKernel, change.Kernel, &m.KernelID}, {store.ImageInitrd, change.Initrd, &m.InitrdID}} {
		switch {
		case choice.name == nil:
			continue
		case *choice.name != "":
			if *choice.id, err = l.bootImage(ctx, tx, actor, *m, choice.kind, *choice.name); err != nil {
				return nil, err
			}
		case choice.kind == store.ImageKernel:
			return nil, fail(Invalid, "a kernel is needed: choose one")
		default:
			*choice.id = 0
		}
		details = append(details, string(choice.kind)+" "+orNone(*choice.name))
	}
	if change.Preseed != nil {
		m.PreseedID = 0
		if *change.Preseed != "" {
			preseed, err := usablePreseed(ctx, tx, actor, *change.Preseed)
			if err != nil {
				return nil, err
			}
			m.PreseedID = preseed.ID
		}
		details = append(details, "preseed "+orNone(*change.Preseed))
	}
	if change.KernelOptions != nil && *change.KernelOptions != m.KernelOptions {
		m.KernelOptions = *change.KernelOptions
		details = append(details, "kernel options "+orNone(m.KernelOptions))
	}
	return details, nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// switchNetboot has a machine boot from the network or from its disk when it
// asks next. It returns the id of the machine if a run has begun.
func (l *Lab) switchNetboot(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, change MachineChange) (began int64, err error) {
	running, err := tx.RunningRun(ctx, m.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	goesOn := err == nil
	on := goesOn && m.NetbootEnabled
	set(&on, change.Netboot)
	switch {
	case goesOn && !on:
		return 0, l.endRun(ctx, tx, actor, m, running, store.RunDone, "")
	case !on, goesOn && !change.boots():
		return 0, nil
	}
	request := ProvisionRequest{Options: m.KernelOptions}
	for id, name := range map[int64]*string{m.KernelID: &request.Kernel, m.InitrdID: &request.Initrd} {
		if id == 0 {
			continue
		}
		image, err := tx.Image(ctx, id)
		if err != nil {
			return 0, err
		}
		*name = image.Name
	}
	if m.PreseedID != 0 {
		preseed, err := tx.Preseed(ctx, m.PreseedID)
		if err != nil {
			return 0, err
		}
		request.Preseed = preseed.Name
	}
	run, err := l.newRun(ctx, tx, actor, m, request)
	if err != nil {
		return 0, err
	}
	return m.ID, l.keepRun(ctx, tx, actor, m, &run, request.Kernel)
}

// SetConsoleMode says when the console of a machine is connected. Only an
// admin may.
func (l *Lab) SetConsoleMode(ctx context.Context, actor Actor, name string, mode store.ConsoleMode) error {
	return l.ChangeMachine(ctx, actor, name, MachineChange{Console: &mode})
}

func checkConsoleMode(mode store.ConsoleMode) error {
	if mode != store.ConsoleDefault && mode != store.ConsoleAlways && mode != store.ConsoleOnDemand {
		return fail(Invalid, "console %q: it is one of always and on-demand, or empty for the site's default", mode)
	}
	return nil
}

func consoleDetail(mode store.ConsoleMode) string {
	if mode == store.ConsoleDefault {
		return "console as the site has it"
	}
	return "console " + string(mode)
}

// RemoveMachine forgets a machine: its interfaces, runs and boot settings, and
// its BMC unless that is a chassis'. Its history, under its name, and the log of
// its console stay. Only an admin may, and not while somebody holds the machine
// or it is being installed: the error says who and that.
func (l *Lab) RemoveMachine(ctx context.Context, actor Actor, name string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "remove machine %s: only an admin may", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if len(m.Holders) > 0 {
			return fail(Conflict, "it is held by %s: release it first", holderNames(m))
		}
		if _, err := tx.RunningRun(ctx, m.ID); err == nil {
			return fail(Conflict, "it is being installed: end the run first")
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := l.useBMC(ctx, tx, m, store.BMC{}); err != nil {
			return err
		}
		if err := tx.DeleteMachine(ctx, m.ID); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{
			Kind: EventMachineRemoved, Machine: m.Name, Detail: "the log of its console stays in consoles/" + logName(m),
		})
	})
	return wrap(err, "remove machine %s", name)
}
