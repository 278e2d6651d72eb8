package server

import (
	"errors"
	"fmt"

	"provisioner/lab"
)

type powerCommand struct {
	Name   string `arg:"" complete:"machines" help:"Name of the machine."`
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
	Name       string `arg:"" complete:"machines" help:"Name of the machine."`
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
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
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
