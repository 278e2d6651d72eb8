package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"provisioner/lab"
)

// commands is what `ssh HOST <command>` understands.
type commands struct {
	Console    consoleCommand    `cmd:"" help:"The serial console of a machine on this terminal (ssh -t). ~. at the start of a line leaves it, ~h lists more: BREAK, power, who is here."`
	Who        whoCommand        `cmd:"" help:"Who is at the console of a machine, and who types."`
	Log        logCommand        `cmd:"" help:"What a machine has printed on its console while it was yours: to search, to cut, to keep."`
	Replay     replayCommand     `cmd:"" help:"What a machine has printed, on this terminal, in the time that it took."`
	List       listCommand       `cmd:"" help:"All machines."`
	Reserve    reserveCommand    `cmd:"" help:"Take a machine that nobody holds: one by name, or the first that matches a query. --wait waits for it."`
	Extend     extendCommand     `cmd:"" help:"Have a machine for longer."`
	Release    releaseCommand    `cmd:"" help:"Give a machine back."`
	Lend       lendCommand       `cmd:"" help:"Let somebody else have your machine for a time; it comes back to you."`
	Queue      queueCommand      `cmd:"" help:"Who waits for machines."`
	History    historyCommand    `cmd:"" help:"Who held what, and why."`
	Power      powerCommand      `cmd:"" help:"Turn a machine on or off, reset it, or ask its BMC for its power state."`
	Boot       bootCommand       `cmd:"" help:"Say what a machine starts from next. power on, reset or cycle then starts it."`
	BootConfig bootConfigCommand `cmd:"" help:"What a machine would boot if it asked now: the configuration that its bootloader would get."`
	Identify   identifyCommand   `cmd:"" help:"Turn on the light of a machine for 15 s, to find it in its rack."`
	Sensors    sensorsCommand    `cmd:"" help:"What the sensors of a machine say: temperatures, fans, power supplies."`
	SEL        selCommand        `cmd:"" name:"sel" help:"The system event log of a machine, newest entry last."`
	FRU        fruCommand        `cmd:"" name:"fru" help:"What a machine is: manufacturer, model, serial numbers, and its BMC."`
	BMC        bmcCommand        `cmd:"" name:"bmc" help:"Who the BMC of a machine is, and how it is set up for consoles."`
	Patterns   patternsCommand   `cmd:"" help:"What is looked for in the output of all consoles, such as kernel panics and login prompts."`
	Image      imageCommand      `cmd:"" help:"Kernels, initrds and bootloaders. scp FILE HOST:images/kernel/amd64/ uploads one."`
	Preseed    preseedCommand    `cmd:"" help:"Templates of the answers that installers are given."`
	Disks      disksCommand      `cmd:"" help:"The disks of a machine, for preseeds to name. The first is where its system goes."`
	Whoami     whoamiCommand     `cmd:"" help:"Who you are to this server."`
	Help       helpCommand       `cmd:"" help:"This list."`
}

type helpCommand struct{}

func (helpCommand) Run(ctx *kong.Context) error {
	ctx.Path = ctx.Path[:1] // of the whole, not of this command
	return ctx.PrintUsage(false)
}

type whoamiCommand struct{}

func (whoamiCommand) Run(in *invocation) error {
	_, err := fmt.Fprintf(in.out, "%s (%s), by %s\n", in.actor.User.Name, in.actor.User.Role, in.actor.Via)
	return err
}

// jsonMachine is a machine as scripts see it. Its keys stay as they are.
type jsonMachine struct {
	Name    string   `json:"name"`
	Arch    string   `json:"arch"`
	Subarch string   `json:"subarch"`
	Power   string   `json:"power"` // on, off, unknown
	State   string   `json:"state"` // unknown, provisioning, ready, error
	Stage   string   `json:"stage"` // how far its run has come; empty: none goes on
	Holders []string `json:"holders"`
	Netboot bool     `json:"netboot"`

	Reservations []jsonReservation `json:"reservations"` // that have not ended
}

func toJSON(m lab.Machine) jsonMachine {
	j := jsonMachine{
		Name: m.Name, Arch: m.Arch, Subarch: m.Subarch, Power: string(m.Power.State), State: string(m.State), Stage: m.Stage,
		Holders: []string{}, Netboot: m.NetbootEnabled, Reservations: []jsonReservation{},
	}
	for _, h := range m.Holders {
		j.Holders = append(j.Holders, h.User)
		j.Reservations = append(j.Reservations, jsonReservation{
			ID: h.ReservationID, Machine: m.Name, User: h.User, Reason: h.Reason, Since: h.Since, Until: optional(h.Until), LentBy: h.LentBy,
		})
	}
	return j
}

// print writes v for scripts if they asked for it, else the sentence for people.
func (in *invocation) print(asJSON bool, v any, sentence string) error {
	if !asJSON {
		_, err := fmt.Fprintln(in.out, sentence)
		return err
	}
	encoder := json.NewEncoder(in.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printMachine writes a machine as it is now.
func (in *invocation) printMachine(asJSON bool, name, sentence string) error {
	if !asJSON {
		return in.print(false, nil, sentence)
	}
	m, err := in.lab.Machine(in.ctx, in.actor, name)
	if err != nil {
		return err
	}
	return in.print(true, toJSON(m.Machine), "")
}

type listCommand struct {
	JSON bool `help:"As a JSON array."`
}

func (c listCommand) Run(in *invocation) error {
	machines, err := in.lab.Machines(in.ctx, in.actor)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonMachine, len(machines))
		for i, m := range machines {
			rows[i] = toJSON(m)
		}
		return in.print(true, rows, "")
	}
	table := tabwriter.NewWriter(in.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tARCH\tPOWER\tSTATE\tHOLDERS")
	for _, m := range machines {
		j := toJSON(m)
		holders := "-"
		if len(j.Holders) > 0 {
			holders = strings.Join(j.Holders, ", ")
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", j.Name, j.Arch, j.Power, j.State, holders)
	}
	return table.Flush()
}

type powerCommand struct {
	Name   string `arg:"" help:"Name of the machine."`
	Action string `arg:"" enum:"on,off,reset,cycle,soft,diag,status" help:"on, off, reset, cycle (off, then on), soft (the system is asked to shut down), diag (a diagnostic interrupt, for a crash dump) or status."`
	JSON   bool   `help:"As JSON."`
}

func (c powerCommand) Run(in *invocation) error {
	if c.Action != "status" {
		if err := in.lab.SetPower(in.ctx, in.actor, c.Name, lab.PowerAction(c.Action)); err != nil {
			return err
		}
		return in.print(c.JSON, map[string]string{"name": c.Name, "action": c.Action}, powerDone(c.Name, lab.PowerAction(c.Action)))
	}
	power, err := in.lab.PowerOf(in.ctx, in.actor, c.Name)
	if power.State == "" {
		return err // there is no such machine
	}
	answer := map[string]string{"name": c.Name, "power": string(power.State)}
	return errors.Join(err, in.print(c.JSON, answer, string(power.State)))
}

// powerDone says that a BMC has taken an order.
func powerDone(name string, action lab.PowerAction) string {
	if action == lab.Shutdown {
		return name + ": told to shut down; `power " + name + " status` says when it has"
	}
	return name + ": power " + string(action) + " done"
}

type bootCommand struct {
	Name       string `arg:"" help:"Name of the machine."`
	Device     string `arg:"" enum:"pxe,disk,bios,cdrom,none" help:"pxe, disk, bios (the firmware's setup), cdrom or none (as the firmware is set up)."`
	Persistent bool   `help:"For every boot, not the next one only."`
	EFI        bool   `name:"efi" xor:"firmware" help:"By UEFI, whatever the machine's subarch says."`
	Legacy     bool   `xor:"firmware" help:"By legacy BIOS (CSM), likewise."`
	JSON       bool   `help:"As JSON."`
}

func (c bootCommand) Run(in *invocation) error {
	options := lab.BootOptions{Persistent: c.Persistent}
	way := ""
	switch {
	case c.EFI:
		options.Firmware, way = lab.FirmwareEFI, " by UEFI"
	case c.Legacy:
		options.Firmware, way = lab.FirmwareLegacy, " by legacy BIOS"
	}
	if err := in.lab.SetBootDevice(in.ctx, in.actor, c.Name, lab.BootDevice(c.Device), options); err != nil {
		return err
	}
	sentence := fmt.Sprintf("%s: next boot from %s%s", c.Name, c.Device, way)
	switch {
	case c.Device == string(lab.BootNone):
		sentence = c.Name + ": boots as its firmware is set up"
	case c.Persistent:
		sentence = fmt.Sprintf("%s: every boot from %s%s", c.Name, c.Device, way)
	}
	return in.print(c.JSON, map[string]any{
		"name": c.Name, "device": c.Device, "persistent": c.Persistent, "firmware": string(options.Firmware),
	}, sentence)
}

type identifyCommand struct {
	Name string `arg:"" help:"Name of the machine."`
	On   bool   `xor:"light" help:"Leave it on, where the BMC can do that."`
	Off  bool   `xor:"light" help:"Turn it off."`
	JSON bool   `help:"As JSON."`
}

func (c identifyCommand) Run(in *invocation) error {
	light, sentence := lab.LightBrief, "light on for 15 s"
	switch {
	case c.On:
		light, sentence = lab.LightOn, "light on"
	case c.Off:
		light, sentence = lab.LightOff, "light off"
	}
	if err := in.lab.Identify(in.ctx, in.actor, c.Name, light); err != nil {
		return err
	}
	return in.print(c.JSON, map[string]string{"name": c.Name, "light": string(light)}, c.Name+": "+sentence)
}
