package lab

import (
	"context"
	"errors"
	"slices"
	"time"

	"provisioner/ipmi"
)

const (
	// Sensors and events are asked for again when they are older than this,
	// and what does not change when it is older than that.
	readingsKept = 30 * time.Second
	hardwareKept = time.Hour

	// inventoryTime bounds a read: that of a large machine's sensors for the
	// first time takes a slow BMC half of it.
	inventoryTime = time.Minute

	// inventoryEvents is how many events a machine's page has.
	inventoryEvents = 100
	eventLogMax     = 4096
)

// What an [Inventory] is made of, under names for faces, which know no BMCs.
type (
	// DeviceInfo is who the BMC is.
	DeviceInfo = ipmi.DeviceInfo
	// FRU is what the machine is.
	FRU = ipmi.FRU
	// Sensor is a sensor and what it says.
	Sensor = ipmi.Sensor
	// Thresholds are the bounds of a sensor's normal values.
	Thresholds = ipmi.Thresholds
	// SensorStatus is how bad a reading or an event is.
	SensorStatus = ipmi.SensorStatus
	// SELEntry is an entry of the event log.
	SELEntry = ipmi.SELEntry
	// SOLSettings are how the BMC is set up for consoles.
	SOLSettings = ipmi.SOLSettings
)

// How a sensor's reading, or an event, is to be taken.
const (
	SensorOK          = ipmi.SensorOK
	SensorWarning     = ipmi.SensorWarning
	SensorCritical    = ipmi.SensorCritical
	SensorFatal       = ipmi.SensorFatal
	SensorUnavailable = ipmi.SensorUnavailable
)

// Inventory is what a machine's BMC says of it: what it is, what it is made of,
// how it is, and what happened to it. A BMC may lack any part.
type Inventory struct {
	Device  Reading[DeviceInfo]
	FRU     Reading[FRU]
	Sensors Reading[[]Sensor]
	Events  Reading[[]SELEntry] // the newest 100, newest first
	Console Reading[SOLSettings]
}

// Reading is one part of an [Inventory]. Value is shared with others who ask,
// and not to be changed.
type Reading[T any] struct {
	Value   T         // what the BMC said last
	At      time.Time // when it answered last; zero: never
	Problem string    // why there is no newer Value, or none at all; empty: there is
}

// InventoryPart names a part of an [Inventory].
type InventoryPart int

const (
	InventoryDevice InventoryPart = iota
	InventoryFRU
	InventorySensors
	InventoryEvents
	InventoryConsole
)

// Inventory asks a machine's BMC for parts of its inventory, all if none is
// named, and takes those that were read a short while ago as they are: 30 s ago
// for sensors and events, an hour for the others. Whoever may log in may ask.
// It blocks for up to a minute; of several who ask for the same machine, one
// reads and the others wait for its answer.
//
// That a BMC lacks a part is a problem of the part. Where the BMC is gone there
// is an error, and in the Inventory what is known from before.
func (l *Lab) Inventory(ctx context.Context, actor Actor, name string, parts ...InventoryPart) (Inventory, error) {
	var all Inventory
	err := l.readInventory(ctx, actor, name, func(ctx context.Context, a *attachment) error {
		err := a.known.refresh(ctx, a.bmc, l.now, func(p InventoryPart) bool { return len(parts) == 0 || slices.Contains(parts, p) })
		all = a.known.Inventory
		return err
	})
	return all, wrap(err, "inventory of %s", name)
}

// EventLog asks a machine's BMC for the newest entries of its event log, last
// at most, from 1 to 4096: more than the Inventory has. Whoever may log in may
// ask. It blocks like Inventory.
func (l *Lab) EventLog(ctx context.Context, actor Actor, name string, last int) (Reading[[]SELEntry], error) {
	if last < 1 || last > eventLogMax {
		return Reading[[]SELEntry]{}, fail(Invalid, "event log of %s: the last %d entries were asked for; it can be 1 to %d", name, last, eventLogMax)
	}
	if last <= inventoryEvents {
		inventory, err := l.Inventory(ctx, actor, name, InventoryEvents)
		events := inventory.Events
		events.Value = events.Value[:min(last, len(events.Value))]
		return events, err
	}
	var events Reading[[]SELEntry]
	err := l.readInventory(ctx, actor, name, func(ctx context.Context, a *attachment) error {
		if err := a.known.nameSensors(ctx, a.bmc, l.now); err != nil {
			return err
		}
		return refresh(&events, l.now, 0, func() ([]SELEntry, error) { return a.bmc.SEL(ctx, last) })
	})
	return events, wrap(err, "event log of %s", name)
}

// readInventory lets read have a machine's BMC to itself, as far as
// inventories go, for a bounded time.
func (l *Lab) readInventory(ctx context.Context, actor Actor, name string, read func(context.Context, *attachment) error) error {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return err
	}
	a, err := l.attachmentOf(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, inventoryTime)
	defer cancel()
	select {
	case a.known.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.known.turn }()
	return read(ctx, a)
}

// inventory is what a BMC said, and may be read and written by whoever has put
// the one token into turn.
type inventory struct {
	turn chan struct{}
	Inventory
}

func newInventory() *inventory { return &inventory{turn: make(chan struct{}, 1)} }

// refresh reads the parts that are wanted and old. It ends at the first that
// cannot be read because the BMC is gone: the others could not be either.
func (i *inventory) refresh(ctx context.Context, bmc BMC, now func() time.Time, wanted func(InventoryPart) bool) error {
	for _, part := range []struct {
		name    InventoryPart
		refresh func() error
	}{
		{InventoryDevice, func() error {
			return refresh(&i.Device, now, hardwareKept, func() (DeviceInfo, error) { return bmc.DeviceInfo(ctx) })
		}},
		{InventoryFRU, func() error {
			return refresh(&i.FRU, now, hardwareKept, func() (FRU, error) { return bmc.FRU(ctx) })
		}},
		{InventorySensors, func() error {
			return refresh(&i.Sensors, now, readingsKept, func() ([]Sensor, error) { return bmc.Sensors(ctx) })
		}},
		{InventoryEvents, func() error {
			if err := i.nameSensors(ctx, bmc, now); err != nil {
				return err
			}
			return refresh(&i.Events, now, readingsKept, func() ([]SELEntry, error) { return bmc.SEL(ctx, inventoryEvents) })
		}},
		{InventoryConsole, func() error {
			return refresh(&i.Console, now, hardwareKept, func() (SOLSettings, error) { return bmc.SOLSettings(ctx) })
		}},
	} {
		if !wanted(part.name) {
			continue
		}
		if err := part.refresh(); err != nil {
			return err
		}
	}
	return nil
}

// nameSensors sees to it that events have the names of their sensors: the BMC's
// client knows them once it has read the sensors.
func (i *inventory) nameSensors(ctx context.Context, bmc BMC, now func() time.Time) error {
	if !i.Sensors.At.IsZero() {
		return nil
	}
	return refresh(&i.Sensors, now, readingsKept, func() ([]Sensor, error) { return bmc.Sensors(ctx) })
}

// refresh asks for a part that is older than keep. What the BMC refuses, or
// answers with nonsense, is a problem of the part, and not asked for again for
// a while either; any other error is returned, too.
func refresh[T any](r *Reading[T], now func() time.Time, keep time.Duration, ask func() (T, error)) error {
	if r.Problem != "" {
		keep = min(keep, readingsKept)
	}
	if !r.At.IsZero() && now().Sub(r.At) < keep {
		return nil
	}
	value, err := ask()
	switch {
	case err == nil:
		*r = Reading[T]{Value: value, At: now()}
		return nil
	case errors.Is(err, ipmi.ErrRefused), errors.Is(err, ipmi.ErrProtocol):
		*r = Reading[T]{At: now(), Problem: err.Error()}
		return nil
	}
	r.Problem = err.Error()
	return err
}
