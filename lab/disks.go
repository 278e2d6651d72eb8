package lab

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"provisioner/store"
)

// maxDisks bounds how many disks a machine may have named.
const maxDisks = 64

var devicePath = regexp.MustCompile(`^/dev/[A-Za-z0-9][A-Za-z0-9._:+@/-]{0,200}$`)

// Disks returns the disks that people have named for a machine. The first is
// where its system goes. None: nobody has said, and no BMC tells.
func (l *Lab) Disks(ctx context.Context, actor Actor, machine string) (devices []string, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, machine)
		if err == nil && !actor.sees(m) {
			err = store.ErrNotFound
		}
		if err != nil {
			return notFound(err, "machine", machine)
		}
		devices, err = tx.Disks(ctx, m.ID)
		return err
	})
	return devices, wrap(err, "disks of %s", printableName(machine))
}

// SetDisks says which disks a machine has, as device paths such as /dev/sda or
// /dev/disk/by-id/..., for preseeds to name. The first is where its system
// goes. Its holders and admins may.
func (l *Lab) SetDisks(ctx context.Context, actor Actor, machine string, devices []string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, machine)
		if err != nil {
			return notFound(err, "machine", machine)
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		if len(devices) > maxDisks {
			return fail(Invalid, "%d disks, and %d are possible", len(devices), maxDisks)
		}
		for i, device := range devices {
			if !devicePath.MatchString(device) || strings.Contains(device, "..") {
				return fail(Invalid, "%.210q is no disk: give its path, such as /dev/sda or /dev/disk/by-id/nvme-...", device)
			}
			if slices.Contains(devices[:i], device) {
				return fail(Invalid, "%s is there twice", device)
			}
		}
		if err := tx.SetDisks(ctx, m.ID, devices); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventMachineChanged, Machine: m.Name, Detail: "disks " + strings.Join(devices, " ")})
	})
	return wrap(err, "set the disks of %s", printableName(machine))
}
