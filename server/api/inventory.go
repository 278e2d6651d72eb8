package api

import (
	"context"
	"time"

	"provisioner/lab"
)

// Inventory is what a machine's BMC says of it, in answers.
type Inventory struct {
	Device  InventoryDevice   `json:"device"`
	Board   InventoryBoard    `json:"board"`
	Sensors InventorySensors  `json:"sensors"`
	Events  InventoryEventLog `json:"events"`
}

// InventoryReading is when a part of an inventory was read.
type InventoryReading struct {
	At      *string `json:"at" doc:"When the BMC answered last (RFC 3339); null: never"`
	Problem *string `json:"problem" doc:"Why there is nothing newer, or nothing at all; null: there is"`
}

// InventoryDevice is who the BMC is.
type InventoryDevice struct {
	InventoryReading
	Manufacturer string `json:"manufacturer"`
	Firmware     string `json:"firmware"`
}

// InventoryBoard is what the machine is, by its field replaceable unit.
type InventoryBoard struct {
	InventoryReading
	Manufacturer string `json:"manufacturer"`
	Product      string `json:"product"`
	Serial       string `json:"serial"`
	AssetTag     string `json:"asset_tag"`
}

// InventorySensors are the sensors.
type InventorySensors struct {
	InventoryReading
	Sensors []InventorySensor `json:"sensors"`
}

// InventorySensor is a sensor.
type InventorySensor struct {
	Name   string   `json:"name"`
	Status string   `json:"status" enum:"ok,warning,critical,non-recoverable,unavailable"`
	Value  *float64 `json:"value" doc:"null: it has none, but states"`
	Unit   string   `json:"unit"`
	Text   string   `json:"text" doc:"What it says, for people"`
}

// InventoryEventLog is the event log.
type InventoryEventLog struct {
	InventoryReading
	Entries []InventoryEvent `json:"entries" doc:"The newest 100, newest first"`
}

// InventoryEvent is an entry of the event log.
type InventoryEvent struct {
	ID     int     `json:"id"`
	At     *string `json:"at"`
	Sensor string  `json:"sensor"`
	Status string  `json:"status" enum:"ok,warning,critical,non-recoverable,unavailable"`
	Text   string  `json:"text"`
	Began  bool    `json:"began" doc:"Else it has ended"`
}

func toReading[T any](r lab.Reading[T]) InventoryReading {
	return InventoryReading{At: moment(r.At), Problem: optionalText(r.Problem)}
}

func toInventory(i lab.Inventory) Inventory {
	fru := i.FRU.Value
	answer := Inventory{
		Device: InventoryDevice{toReading(i.Device), "", i.Device.Value.Firmware},
		Board: InventoryBoard{
			toReading(i.FRU), fru.Product.Manufacturer, fru.Product.Name, fru.Product.Serial, fru.Product.AssetTag,
		},
		Sensors: InventorySensors{toReading(i.Sensors), make([]InventorySensor, len(i.Sensors.Value))},
		Events:  InventoryEventLog{toReading(i.Events), make([]InventoryEvent, len(i.Events.Value))},
	}
	if !i.Device.At.IsZero() {
		answer.Device.Manufacturer = i.Device.Value.Manufacturer.String()
	}
	for n, s := range i.Sensors.Value {
		answer.Sensors.Sensors[n] = InventorySensor{Name: s.Name, Status: s.Status.String(), Unit: s.Unit, Text: s.Reading()}
		if s.HasValue {
			answer.Sensors.Sensors[n].Value = &s.Value
		}
	}
	for n, e := range i.Events.Value {
		answer.Events.Entries[n] = InventoryEvent{
			ID: int(e.ID), At: moment(e.Time), Sensor: e.Sensor, Status: e.Status.String(), Text: e.Event, Began: e.Asserted,
		}
	}
	return answer
}

type inventoryAnswer struct{ Body Inventory }

func (a *api) getInventory(ctx context.Context, actor lab.Actor, in *MachinePath) (*inventoryAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, inventoryTime)
	defer cancel()
	i, err := a.lab.Inventory(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &inventoryAnswer{toInventory(i)}, nil
}

// inventoryTime is less than the server gives an answer.
const inventoryTime = 50 * time.Second
