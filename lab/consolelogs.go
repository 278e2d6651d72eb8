package lab

import (
	"context"
	"time"

	"provisioner/store"
)

// ConsoleLogs returns the names of the machines of whose consoles an actor may
// read what was printed, in their order: admins of all, others of those that
// they hold, now or formerly.
func (l *Lab) ConsoleLogs(ctx context.Context, actor Actor) (names []string, err error) {
	var machines []store.Machine
	err = l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if actor.IsAdmin() {
			machines, err = tx.Machines(ctx)
		} else {
			machines, err = tx.MachinesHeldBy(ctx, actor.User.ID)
		}
		return err
	})
	for _, m := range machines {
		if actor.sees(m) {
			names = append(names, m.Name)
		}
	}
	return names, wrap(err, "list console logs")
}

// ConsoleLogSize returns how many bytes [Lab.ConsoleLog] would give an actor of
// a machine now, and when the last of them was printed; the zero time where
// there are none. It reads the log's index only, and is not kept as an event.
func (l *Lab) ConsoleLogSize(ctx context.Context, actor Actor, name string) (size int64, at time.Time, err error) {
	c := &ConsoleLog{lab: l, actor: actor, Machine: name}
	if _, err := c.open(ctx); err != nil {
		return 0, at, err
	}
	if size = c.File().Size(); size > 0 {
		at, err = c.TimeAt(c.End())
	}
	return size, at, wrap(err, "look at the console log of %s", name)
}
