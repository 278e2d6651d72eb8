package lab

import (
	"context"

	"provisioner/ipmi"
	"provisioner/store"
)

// RestartFrom has a machine start now, and from that device this once: the boot
// device first, then reset if it is on, else on. It blocks until the BMC has
// answered. The machine's holders and admins may.
func (l *Lab) RestartFrom(ctx context.Context, actor Actor, name string, device BootDevice) error {
	order, known := ipmiDevices[device]
	if !known {
		return fail(Invalid, "boot device %q: it is one of pxe, disk, bios, cdrom and none", device)
	}
	m, a, err := l.operate(ctx, actor, name, "restart")
	if err != nil {
		return err
	}
	// A BMC that was told the device is told to start, too, whoever leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bmcTerm)
	defer cancel()
	bmcErr := restartFrom(ctx, a, m, order)
	err = l.ordered(ctx, actor, m, EventPower, EventPowerFailed, "restart from "+string(device), bmcErr)
	return wrap(err, "restart %s from %s", m.Name, device)
}

func restartFrom(ctx context.Context, a *attachment, m store.Machine, device ipmi.BootDevice) error {
	defer a.poll()
	if err := a.bmc.SetBootDevice(ctx, device, ipmi.BootOptions{EFI: m.EFIBoot}); err != nil {
		return err
	}
	state, err := a.bmc.Power(ctx)
	if err != nil {
		return err
	}
	if state == ipmi.PowerOn {
		return a.bmc.SetPower(ctx, ipmi.PowerReset)
	}
	return a.bmc.SetPower(ctx, ipmi.PowerUp)
}
