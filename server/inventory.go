package server

import (
	"fmt"
	"strings"
	"time"

	"provisioner/lab"
)

type sensorsCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"As JSON."`
}

// jsonSensor is a sensor as scripts see it. Its keys stay as they are.
type jsonSensor struct {
	Number     int             `json:"number"`
	Name       string          `json:"name"`
	Type       string          `json:"type"`   // temperature, fan, power supply, ...
	Status     string          `json:"status"` // ok, warning, critical, non-recoverable, unavailable
	Value      *float64        `json:"value"`  // null: it has none
	Unit       string          `json:"unit"`   // °C, RPM, V, ...; empty: none
	States     []string        `json:"states"` // of a sensor without a value
	Thresholds *jsonThresholds `json:"thresholds"`
}

// jsonThresholds are null where the sensor has none of that kind.
type jsonThresholds struct {
	LowerNonRecoverable *float64 `json:"lower_non_recoverable"`
	LowerCritical       *float64 `json:"lower_critical"`
	LowerNonCritical    *float64 `json:"lower_non_critical"`
	UpperNonCritical    *float64 `json:"upper_non_critical"`
	UpperCritical       *float64 `json:"upper_critical"`
	UpperNonRecoverable *float64 `json:"upper_non_recoverable"`
}

func (c sensorsCommand) Run(in *invocation) error {
	inventory, err := in.lab.Inventory(in.ctx, in.actor, c.Name, lab.InventorySensors)
	if err == nil {
		err = unreadable("sensors", c.Name, inventory.Sensors.Problem)
	}
	if err != nil {
		return err
	}
	sensors := inventory.Sensors.Value
	if c.JSON {
		rows := make([]jsonSensor, len(sensors))
		for i, s := range sensors {
			t := jsonThresholds(s.Thresholds)
			rows[i] = jsonSensor{
				Number: int(s.Number), Name: printable(s.Name), Type: s.Type.String(), Status: s.Status.String(),
				Unit: s.Unit, States: append([]string{}, s.States...), Thresholds: &t,
			}
			if s.HasValue {
				rows[i].Value = &s.Value
			}
		}
		return in.print(true, map[string]any{"name": c.Name, "at": inventory.Sensors.At.UTC(), "sensors": rows}, "")
	}
	table := in.table("SENSOR\tREADING\tSTATUS\tNORMAL")
	for _, s := range sensors {
		table.row(s.Name, s.Reading(), s.Status.String(), s.Thresholds.String())
	}
	return table.Flush()
}

type selCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	Last int    `default:"20" placeholder:"N" help:"How many entries, 1 to 4096 (20)."`
	JSON bool   `help:"As JSON."`
}

// jsonEvent is an entry of an event log as scripts see it.
type jsonEvent struct {
	ID       int    `json:"id"`
	Time     string `json:"time"`     // RFC 3339; empty: the BMC did not know
	Uptime   int    `json:"uptime"`   // seconds since the BMC started, where it did not know; 0: not known either
	Sensor   string `json:"sensor"`   // empty: none
	Event    string `json:"event"`    // what happened
	Asserted bool   `json:"asserted"` // it began; false: it ended
	Status   string `json:"status"`   // ok, warning, critical, non-recoverable
	Raw      string `json:"raw"`      // 16 bytes in hexadecimal
}

func (c selCommand) Run(in *invocation) error {
	events, err := in.lab.EventLog(in.ctx, in.actor, c.Name, c.Last)
	if err == nil {
		err = unreadable("event log", c.Name, events.Problem)
	}
	if err != nil {
		return err
	}
	rows := make([]jsonEvent, len(events.Value))
	table := in.table("TIME\tSENSOR\tEVENT\tSTATUS")
	for i, e := range events.Value {
		at := len(rows) - 1 - i // the newest last, as in any log
		rows[at] = jsonEvent{
			ID: int(e.ID), Uptime: int(e.SinceStart / time.Second), Sensor: printable(e.Sensor), Event: printable(e.Event),
			Asserted: e.Asserted, Status: e.Status.String(), Raw: fmt.Sprintf("%x", e.Raw),
		}
		if !e.Time.IsZero() {
			rows[at].Time = e.Time.Format(time.RFC3339)
		}
	}
	if c.JSON {
		return in.print(true, map[string]any{"name": c.Name, "events": rows}, "")
	}
	for _, e := range rows {
		when, event, status := "", e.Event, e.Status
		switch {
		case e.Time != "":
			when = strings.TrimSuffix(strings.Replace(e.Time, "T", " ", 1), "Z")
		case e.Uptime != 0:
			when = (time.Duration(e.Uptime) * time.Second).String() + " after start"
		}
		if !e.Asserted {
			event = "ended: " + event
		}
		table.row(when, e.Sensor, event, status)
	}
	return table.Flush()
}

type fruCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"As JSON."`
}

// jsonFRU is what a machine is, as scripts see it. What nobody wrote down is empty.
type jsonFRU struct {
	Name    string      `json:"name"`
	Product jsonProduct `json:"product"`
	Board   jsonBoard   `json:"board"`
	Chassis jsonChassis `json:"chassis"`
	BMC     *jsonBMC    `json:"bmc"` // null: it did not say
}

type jsonProduct struct {
	Manufacturer string `json:"manufacturer"`
	Name         string `json:"name"`
	PartNumber   string `json:"part_number"`
	Version      string `json:"version"`
	Serial       string `json:"serial"`
	AssetTag     string `json:"asset_tag"`
}

type jsonBoard struct {
	Manufacturer string `json:"manufacturer"`
	Name         string `json:"name"`
	Serial       string `json:"serial"`
	PartNumber   string `json:"part_number"`
	Made         string `json:"made"` // a day; empty: not known
}

type jsonChassis struct {
	PartNumber string `json:"part_number"`
	Serial     string `json:"serial"`
}

type jsonBMC struct {
	Manufacturer   string `json:"manufacturer"`
	ManufacturerID int    `json:"manufacturer_id"` // IANA enterprise number
	ProductID      int    `json:"product_id"`
	Firmware       string `json:"firmware"`
	IPMI           string `json:"ipmi"`
}

func (c fruCommand) Run(in *invocation) error {
	inventory, err := in.lab.Inventory(in.ctx, in.actor, c.Name, lab.InventoryFRU, lab.InventoryDevice)
	if err == nil {
		err = unreadable("inventory", c.Name, inventory.FRU.Problem)
	}
	if err != nil {
		return err
	}
	fru := inventory.FRU.Value
	for _, problem := range fru.Problems {
		in.note(c.Name + ": " + printable(problem))
	}
	j := jsonFRU{
		Name: c.Name,
		Product: jsonProduct{
			printable(fru.Product.Manufacturer), printable(fru.Product.Name), printable(fru.Product.PartNumber),
			printable(fru.Product.Version), printable(fru.Product.Serial), printable(fru.Product.AssetTag),
		},
		Board: jsonBoard{
			Manufacturer: printable(fru.Board.Manufacturer), Name: printable(fru.Board.Name),
			Serial: printable(fru.Board.Serial), PartNumber: printable(fru.Board.PartNumber),
		},
		Chassis: jsonChassis{printable(fru.Chassis.PartNumber), printable(fru.Chassis.Serial)},
	}
	if !fru.Board.Made.IsZero() {
		j.Board.Made = fru.Board.Made.Format(time.DateOnly)
	}
	if d := inventory.Device; d.Problem == "" {
		j.BMC = toJSONBMC(d.Value)
	}
	if c.JSON {
		return in.print(true, j, "")
	}
	return j.write(in)
}

// write lists what is known, a line each.
func (j jsonFRU) write(in *invocation) error {
	table := in.table("")
	for _, line := range [][2]string{
		{"Manufacturer", j.Product.Manufacturer}, {"Product", j.Product.Name}, {"Part number", j.Product.PartNumber},
		{"Version", j.Product.Version}, {"Serial", j.Product.Serial}, {"Asset tag", j.Product.AssetTag},
		{"Board", strings.TrimSpace(j.Board.Manufacturer + " " + j.Board.Name)}, {"Board part number", j.Board.PartNumber},
		{"Board serial", j.Board.Serial}, {"Board made", j.Board.Made},
		{"Chassis part number", j.Chassis.PartNumber}, {"Chassis serial", j.Chassis.Serial},
	} {
		if line[1] != "" {
			table.row(line[0], line[1])
		}
	}
	if b := j.BMC; b != nil {
		table.row("BMC", b.String())
	}
	return table.Flush()
}

// unreadable is the error of a part of the inventory that the BMC does not give.
func unreadable(what, machine, problem string) error {
	if problem == "" {
		return nil
	}
	return &lab.Error{Code: lab.Unavailable, Message: fmt.Sprintf("%s of %s: %s", what, machine, problem)}
}
