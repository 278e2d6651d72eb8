package tui

import (
	"cmp"
	"context"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// actions is all that can be done with the machine as it is: by a key on its
// page, or in the menu, which says why some of it cannot.
func (p *machinePage) actions() []menuItem {
	k, m := machineKeys, p.detail.Machine.Machine
	operate := reason(p.actor.MayOperate(m))
	noBMC := ""
	if m.BMCID == 0 {
		noBMC = "it has no BMC; an admin can give it one"
	}
	bmc := cmp.Or(operate, noBMC)
	serial := bmc
	if serial == "" && !p.pane.live() {
		serial = "its console is not open"
	}
	run := operate
	if run == "" && (p.detail.Run == nil || p.detail.Run.State != store.RunRunning) {
		run = "no run is going on"
	}
	return append(about(p.name, []menuItem{
		{key: k.On, why: bmc, do: func() tea.Cmd {
			return p.power(lab.TurnOn, "Turning "+p.name+" on ...", p.name+" is told to turn on")
		}},
		{key: k.Shutdown, why: bmc, do: p.asking("Ask the system of "+p.name+" to shut down?", func() tea.Cmd {
			return p.power(lab.Shutdown, "Asking "+p.name+" to shut down ...", "the system of "+p.name+" is asked to shut down")
		})},
		{key: k.Off, why: bmc, do: p.asking("Turn "+p.name+" off at once, without a shutdown of its system?", func() tea.Cmd {
			return p.power(lab.TurnOff, "Turning "+p.name+" off ...", p.name+" is told to turn off")
		})},
		{key: k.Reset, why: bmc, do: p.asking("Reset "+p.name+" at once, without a shutdown of its system?", func() tea.Cmd {
			return p.power(lab.Reset, "Resetting "+p.name+" ...", p.name+" is told to reset")
		})},
		{key: k.Cycle, why: bmc, do: p.asking("Turn "+p.name+" off at once, without a shutdown of its system, and on again?", func() tea.Cmd {
			return p.power(lab.Cycle, "Turning "+p.name+" off and on ...", p.name+" is told to turn off and on")
		})},
		{key: k.Interrupt, why: bmc, do: p.asking("Send "+p.name+" a diagnostic interrupt (NMI)? Its system stops, and writes a crash dump if it is set up to.", func() tea.Cmd {
			return p.power(lab.Interrupt, "Interrupting "+p.name+" ...", p.name+" is sent a diagnostic interrupt")
		})},
		{key: k.Break, why: serial, do: p.asking("Send BREAK to "+p.name+"? Linux takes the next key for a SysRq command: b reboots it at once.", p.sendBreak)},
		{key: k.Boot, why: bmc, do: p.chooseBoot},
		{key: k.Light, why: bmc, do: p.chooseLight},
		{key: k.Inventory, why: noBMC, do: func() tea.Cmd { return p.push(newInventoryPage(p.app, p.name)) }},
		{key: k.NextBoot, why: operate, do: func() tea.Cmd { return p.push(newNextBootPage(p.app, p.name)) }},
		{key: k.Provision, why: operate, do: func() tea.Cmd { return p.push(newProvisionForm(p.app, p.detail)) }},
		{key: k.EndRun, why: run, do: func() tea.Cmd {
			return p.act("Ending the run ...", "the run is ended: "+p.name+" boots from disk", func(ctx context.Context) error {
				return p.lab.EndRun(ctx, p.actor, p.name)
			})
		}},
	}), p.holding(p, p.detail.Machine, "")...)
}

// asking does something once the person has said yes.
func (p *machinePage) asking(question string, do func() tea.Cmd) func() tea.Cmd {
	return func() tea.Cmd {
		p.ask(question, do)
		return nil
	}
}

func (p *machinePage) power(action lab.PowerAction, doing, done string) tea.Cmd {
	return p.act(doing, done, func(ctx context.Context) error {
		return p.lab.SetPower(ctx, p.actor, p.name, action)
	})
}

// chooseBoot asks what the machine is to start from.
func (p *machinePage) chooseBoot() tea.Cmd {
	k := bootKeys
	own := "the machine's own, legacy BIOS"
	if p.detail.EFIBoot {
		own = "the machine's own, UEFI"
	}
	m := &menu{
		title: "Start " + p.name + " from",
		switches: []menuSwitch{
			{key: k.Often, values: []string{"the next boot only", "every boot from now on"}},
			{key: k.Firmware, values: []string{own, "UEFI", "legacy BIOS"}},
		},
	}
	firmware := []lab.Firmware{lab.FirmwareOwn, lab.FirmwareEFI, lab.FirmwareLegacy}
	add := func(key key.Binding, device lab.BootDevice) {
		m.items = append(m.items, menuItem{key: key, do: func() tea.Cmd {
			options := lab.BootOptions{Persistent: m.switches[0].at == 1, Firmware: firmware[m.switches[1].at]}
			done := "the next boot of " + p.name + " is from " + key.Help().Desc
			switch {
			case device == lab.BootNone:
				done = p.name + " boots as its firmware is set up"
			case options.Persistent:
				done = p.name + " boots from " + key.Help().Desc + " from now on"
			}
			return p.act("Telling the BMC of "+p.name+" ...", done+"; nothing was started", func(ctx context.Context) error {
				return p.lab.SetBootDevice(ctx, p.actor, p.name, device, options)
			})
		}})
	}
	add(k.Network, lab.BootPXE)
	add(k.Disk, lab.BootDisk)
	add(k.Setup, lab.BootBIOS)
	add(k.CD, lab.BootCDROM)
	add(k.None, lab.BootNone)
	p.menu = m
	return nil
}

// chooseLight asks what the light is to do by which the machine is found.
func (p *machinePage) chooseLight() tea.Cmd {
	k := lightKeys
	m := &menu{title: "Light of " + p.name}
	add := func(key key.Binding, light lab.Light, done string) {
		m.items = append(m.items, menuItem{key: key, do: func() tea.Cmd {
			return p.act("Telling the BMC of "+p.name+" ...", "the light of "+p.name+" is "+done, func(ctx context.Context) error {
				return p.lab.Identify(ctx, p.actor, p.name, light)
			})
		}})
	}
	add(k.Brief, lab.LightBrief, "on for 15 s")
	add(k.On, lab.LightOn, "on until it is turned off")
	add(k.Off, lab.LightOff, "off")
	p.menu = m
	return nil
}
