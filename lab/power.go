package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/ipmi"
	"provisioner/store"
)

// PowerState is what is known of a machine's power: on, off, or unknown where
// the BMC has not said.
type PowerState string

const (
	PowerOn      PowerState = "on"
	PowerOff     PowerState = "off"
	PowerUnknown PowerState = "unknown"
)

// Power is what the BMC said last.
type Power struct {
	State   PowerState
	At      time.Time // when it was asked last; zero: not yet
	Problem string    // why the state is unknown
}

// PowerAction is what may be asked of a machine's power.
type PowerAction string

const (
	TurnOn    PowerAction = "on"
	TurnOff   PowerAction = "off"
	Reset     PowerAction = "reset"
	Cycle     PowerAction = "cycle" // off, and on again a few seconds later
	Shutdown  PowerAction = "soft"  // the system is asked to shut down
	Interrupt PowerAction = "diag"  // a diagnostic interrupt (NMI), for a crash dump
)

var ipmiActions = map[PowerAction]ipmi.PowerAction{
	TurnOn: ipmi.PowerUp, TurnOff: ipmi.PowerDown, Reset: ipmi.PowerReset,
	Cycle: ipmi.PowerCycle, Shutdown: ipmi.PowerSoft, Interrupt: ipmi.PowerDiag,
}

// Light is what may be asked of the light by which a machine is found in its rack.
type Light string

const (
	LightOff   Light = "off"
	LightBrief Light = "brief" // 15 s
	LightOn    Light = "on"    // until it is turned off; not every BMC can
)

var ipmiLights = map[Light]ipmi.Light{LightOff: ipmi.LightOff, LightBrief: ipmi.LightBrief, LightOn: ipmi.LightOn}

// BootDevice is what a machine may be asked to start from.
type BootDevice string

const (
	BootPXE   BootDevice = "pxe"
	BootDisk  BootDevice = "disk"
	BootBIOS  BootDevice = "bios" // into the firmware's setup
	BootCDROM BootDevice = "cdrom"
	BootNone  BootDevice = "none" // as the firmware is set up
)

var ipmiDevices = map[BootDevice]ipmi.BootDevice{
	BootPXE: ipmi.BootPXE, BootDisk: ipmi.BootDisk, BootBIOS: ipmi.BootBIOS, BootCDROM: ipmi.BootCDROM, BootNone: ipmi.BootNone,
}

// Firmware is in which of its ways a machine's firmware is to boot.
type Firmware string

const (
	FirmwareOwn    Firmware = "" // as the machine's subarch has it
	FirmwareEFI    Firmware = "efi"
	FirmwareLegacy Firmware = "legacy" // BIOS, or what UEFI has of it (CSM)
)

// BootOptions refine a boot device. The zero value is for the next boot only,
// in the machine's own way.
type BootOptions struct {
	Persistent bool // for every boot
	Firmware   Firmware
}

// ipmi returns the options as BMCs know them, and the words that stand for
// them in a machine's history.
func (o BootOptions) ipmi(m store.Machine) (options ipmi.BootOptions, words string, err error) {
	options = ipmi.BootOptions{EFI: m.EFIBoot, Persistent: o.Persistent}
	switch o.Firmware {
	case FirmwareOwn:
	case FirmwareEFI, FirmwareLegacy:
		options.EFI = o.Firmware == FirmwareEFI
		words = ", " + string(o.Firmware)
	default:
		return options, "", fail(Invalid, "firmware %q: it is one of efi and legacy", o.Firmware)
	}
	if o.Persistent {
		words += ", for every boot"
	}
	return options, words, nil
}

// SetPower does something to a machine's power. It blocks until the BMC has
// answered, 5 s or so at most, which says nothing of when the machine obeys.
// Its holders and admins may.
func (l *Lab) SetPower(ctx context.Context, actor Actor, name string, action PowerAction) error {
	order, known := ipmiActions[action]
	if !known {
		return fail(Invalid, "power %q: it is one of on, off, reset, cycle, soft and diag", action)
	}
	m, a, err := l.operate(ctx, actor, name, "power "+string(action))
	if err != nil {
		return err
	}
	bmcErr := a.bmc.SetPower(ctx, order)
	a.poll()
	err = l.ordered(ctx, actor, m, EventPower, EventPowerFailed, string(action), bmcErr)
	return wrap(err, "power %s %s", action, m.Name)
}

// Identify turns the light of a machine on or off. It blocks like SetPower. The machine's holders and admins may.
func (l *Lab) Identify(ctx context.Context, actor Actor, name string, light Light) error {
	order, known := ipmiLights[light]
	if !known {
		return fail(Invalid, "light %q: it is one of off, brief and on", light)
	}
	m, a, err := l.operate(ctx, actor, name, "identify")
	if err != nil {
		return err
	}
	bmcErr := a.bmc.Identify(ctx, order)
	err = l.ordered(ctx, actor, m, EventIdentify, EventIdentifyFailed, string(light), bmcErr)
	return wrap(err, "identify %s", m.Name)
}

// SetBootDevice says what a machine starts from at its next boot, or at every
// one. It starts nothing: a power on or reset follows, within 60 s on many
// BMCs. It blocks like SetPower. The machine's holders and admins may.
func (l *Lab) SetBootDevice(ctx context.Context, actor Actor, name string, device BootDevice, options BootOptions) error {
	order, known := ipmiDevices[device]
	if !known {
		return fail(Invalid, "boot device %q: it is one of pxe, disk, bios, cdrom and none", device)
	}
	m, a, err := l.operate(ctx, actor, name, "set boot device")
	if err != nil {
		return err
	}
	refined, words, err := options.ipmi(m)
	if err != nil {
		return err
	}
	bmcErr := a.bmc.SetBootDevice(ctx, order, refined)
	err = l.ordered(ctx, actor, m, EventBootDevice, EventBootDeviceFailed, string(device)+words, bmcErr)
	return wrap(err, "set boot device %s of %s", device, m.Name)
}

// ordered keeps what a BMC was told and what it said to that, and returns the
// latter.
func (l *Lab) ordered(ctx context.Context, actor Actor, m store.Machine, done, failed, detail string, bmcErr error) error {
	e := store.Event{Kind: done, Machine: m.Name, Detail: detail}
	if bmcErr != nil {
		e.Kind, e.Detail = failed, detail+": "+bmcErr.Error()
	}
	// The BMC has done it: that is kept even if the person is gone meanwhile.
	ctx = context.WithoutCancel(ctx)
	return errors.Join(bmcErr, l.write(ctx, func(tx *store.Tx) error { return l.record(ctx, tx, actor, e) }))
}

// PowerOf asks a machine's BMC now, and returns what it says. Whoever may log
// in may ask.
func (l *Lab) PowerOf(ctx context.Context, actor Actor, name string) (Power, error) {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return Power{}, err
	}
	a, err := l.attachmentOf(m)
	if err != nil {
		return Power{}, wrap(err, "power of %s", name)
	}
	a.insist()
	state, err := a.bmc.Power(ctx)
	if l.powerSeen(ctx, a, state, err) {
		a.poll()
	}
	return l.power(m.ID), wrap(err, "power of %s", name)
}

// operate finds a machine and its BMC for an actor who wants to do something to it.
func (l *Lab) operate(ctx context.Context, actor Actor, name, wanted string) (store.Machine, *attachment, error) {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return m, nil, err
	}
	if err := actor.MayOperate(m); err != nil {
		return m, nil, wrap(err, "%s %s", wanted, m.Name)
	}
	a, err := l.attachmentOf(m)
	if err == nil {
		a.insist()
	}
	return m, a, wrap(err, "%s %s", wanted, m.Name)
}

// insist has the BMC asked even if it is left alone for a while because it has
// failed: a person asks now.
func (a *attachment) insist() {
	bmc := a.bmc
	if b, ok := bmc.(advised); ok {
		bmc = b.BMC
	}
	if b, ok := bmc.(interface{ Retry() }); ok {
		b.Retry()
	}
}

// machine finds a machine for an actor who wants to know something of it.
func (l *Lab) machine(ctx context.Context, actor Actor, name string) (m store.Machine, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		m, err = tx.Machine(ctx, name)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !actor.sees(m) {
		return store.Machine{}, missing("machine", name)
	}
	return m, wrap(err, "find machine %s", name)
}

// powerSeen notes what a BMC said. A change is published; one from on to off or
// back is an event of the machine, too, since somebody may have pressed a button;
// only then powerSeen returns true.
func (l *Lab) powerSeen(ctx context.Context, a *attachment, state ipmi.PowerState, err error) (changed bool) {
	now := Power{At: l.now(), State: PowerOff}
	switch {
	case err != nil:
		now.State, now.Problem = PowerUnknown, lasting(err)
	case state == ipmi.PowerOn:
		now.State = PowerOn
	}
	l.mu.Lock()
	before := a.power
	a.power = now
	l.mu.Unlock()
	if before.State == now.State && before.Problem == now.Problem {
		return false
	}
	e := store.Event{At: now.At, Kind: EventPowerSeen, Machine: a.machine, Detail: string(now.State)}
	if before.State == PowerUnknown || now.State == PowerUnknown {
		l.bus.Publish(e)
		return false
	}
	if err := l.write(ctx, func(tx *store.Tx) error { return tx.AddEvent(ctx, e) }); err != nil {
		l.log.Error("power change not kept", "machine", a.machine, "error", err)
	}
	return true
}

// lasting is what an error of a BMC says, without when it is asked next: a
// screen is not drawn anew for that.
func lasting(err error) string {
	var paused *ipmi.PausedError
	var failed *ipmi.Error
	if errors.As(err, &paused) && errors.As(err, &failed) {
		return advise(&ipmi.Error{Op: failed.Op, Addr: failed.Addr, Err: paused.Err}).Error()
	}
	return err.Error()
}

func (l *Lab) power(machineID int64) Power {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.powerLocked(machineID)
}

func (l *Lab) powerLocked(machineID int64) Power {
	if a := l.machines[machineID]; a != nil {
		return a.power
	}
	return Power{State: PowerUnknown}
}
