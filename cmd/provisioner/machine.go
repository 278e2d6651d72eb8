package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

type machineCommand struct {
	List       machineListCommand       `cmd:"" default:"withargs" help:"All machines, and who holds them."`
	Add        machineAddCommand        `cmd:"" help:"Add a machine, or change the BMC of one."`
	Set        machineSetCommand        `cmd:"" help:"Change what a machine is called and made of, how it is reached, and when its console is connected."`
	Rm         machineRmCommand         `cmd:"" help:"Forget a machine that nobody holds."`
	Import     machineImportCommand     `cmd:"" help:"Add and change machines as a file says: all of it, or nothing."`
	Export     machineExportCommand     `cmd:"" help:"Write all machines as a file that import takes. Without secrets."`
	Interface  machineInterfaceCommand  `cmd:"" help:"Say which address an interface of a machine has. Without flags: show what there is."`
	Disks      machineDisksCommand      `cmd:"" help:"Say which disks a machine has, for preseeds to name. Without any: show what there is."`
	Discovered machineDiscoveredCommand `cmd:"" help:"Addresses that asked for a boot, and belong to no machine."`
}

type machineAddCommand struct {
	data
	Name     string   `arg:""`
	Arch     string   `default:"amd64" help:"amd64, arm64, armhf or riscv64."`
	Firmware string   `default:"uefi" help:"uefi or bios."`
	MAC      []string `name:"mac" help:"Address of a network interface; may be given several times."`
	bmcFlags
}

func (c *machineAddCommand) Run(ctx context.Context) error {
	m := lab.NewMachine{Name: c.Name, Arch: c.Arch, Subarch: c.Firmware, MACs: c.MAC}
	var err error
	if m.BMC, err = c.bmc(); err != nil {
		return err
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.AddMachine(ctx, lab.Local, m) })
}

type machineSetCommand struct {
	data
	Name     string   `arg:"" help:"Name of the machine."`
	Rename   *string  `placeholder:"NAME" help:"What it is called from now on. Its history goes along."`
	Arch     *string  `help:"Architecture. What it booted is forgotten with the old one."`
	Firmware *string  `help:"Flavour of the architecture, such as uefi or bios."`
	MAC      []string `name:"mac" placeholder:"MAC" help:"All addresses that it has from now on; those that stay keep their networks."`
	Console  string   `default:"" enum:",always,on-demand,default" help:"always: connected and logged all the time. on-demand: while somebody watches, or a run goes on. default: as the site has it."`
	BMCID    int64    `name:"bmc-id" xor:"bmc" placeholder:"ID" help:"It is reached by that BMC from now on (bmc list)."`
	NoBMC    bool     `name:"no-bmc" xor:"bmc" help:"It has no BMC any more."`
	bmcFlags
}

func (c *machineSetCommand) Run(ctx context.Context) error {
	change := lab.MachineChange{Name: c.Rename, Arch: c.Arch, Subarch: c.Firmware}
	if len(c.MAC) > 0 {
		change.MACs = &c.MAC
	}
	if c.Console != "" {
		mode := store.ConsoleMode(c.Console)
		if c.Console == "default" {
			mode = store.ConsoleDefault
		}
		change.Console = &mode
	}
	bmc, err := c.bmc()
	switch {
	case err != nil:
		return err
	case bmc != nil && (c.NoBMC || c.BMCID != 0):
		return errors.New("machine set: give --bmc, --bmc-id or --no-bmc")
	case c.NoBMC:
		bmc = &store.BMC{}
	case c.BMCID != 0:
		bmc = &store.BMC{ID: c.BMCID, Slot: c.BMCSlot}
	}
	change.BMC = bmc
	if change == (lab.MachineChange{}) {
		return errors.New("machine set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.ChangeMachine(ctx, lab.Local, c.Name, change) })
}

type machineRmCommand struct {
	data
	Name string `arg:"" help:"Name of the machine."`
}

func (c *machineRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveMachine(ctx, lab.Local, c.Name) })
}

type machineListCommand struct{ data }

func (c *machineListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		machines, err := l.Machines(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tARCH\tFIRMWARE\tSTATE\tHOLDERS")
		for _, m := range machines {
			holders := make([]string, len(m.Holders))
			for i, h := range m.Holders {
				holders[i] = h.User
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", m.Name, m.Arch, m.Subarch, m.State, listed(holders))
		}
		return table.Flush()
	})
}

type machineInterfaceCommand struct {
	data
	Name       string  `arg:"" help:"Name of the machine."`
	MAC        string  `arg:"" optional:"" name:"mac" help:"Of the interface; may be left out where there is one."`
	Network    *string `placeholder:"NAME" help:"Which network it is in. Empty: none."`
	Type       *string `enum:"static,dynamic-reserved,dynamic" placeholder:"TYPE" help:"static: its operating system is configured with the address. dynamic-reserved: DHCP lends it this one. dynamic: DHCP lends it any."`
	Address    *string `placeholder:"ADDRESS" help:"An address of the network, or auto: the first free one of the pool."`
	Identifier *string `placeholder:"NAME" help:"What the operating system calls it, such as eth0."`
}

func (c *machineInterfaceCommand) Run(ctx context.Context) error {
	change := lab.InterfaceChange{Identifier: c.Identifier, ConfigType: c.Type, IPv4: c.Address, Network: c.Network}
	return c.local(ctx, func(l *lab.Lab) error {
		if change != (lab.InterfaceChange{}) {
			i, err := l.SetInterface(ctx, lab.Local, c.Name, c.MAC, change)
			if err != nil {
				return err
			}
			return printInterfaces([]store.Interface{i})
		}
		m, err := l.Machine(ctx, lab.Local, c.Name)
		if err != nil {
			return err
		}
		return printInterfaces(m.Interfaces)
	})
}

func printInterfaces(interfaces []store.Interface) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "MAC\tNAME\tNETWORK\tTYPE\tADDRESS\tLEASE")
	for _, i := range interfaces {
		lease := i.LeaseIPv4
		if lease != "" && !i.LeaseExpiresAt.After(time.Now()) {
			lease += " (ended)"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", i.MAC, i.Identifier, i.Network, i.ConfigType, i.ConfiguredIPv4, lease)
	}
	return table.Flush()
}

type machineDiscoveredCommand struct{ data }

func (c *machineDiscoveredCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		found, err := l.Discovered(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "MAC\tVENDOR\tHOST NAME\tASKS AS\tTIMES\tFIRST\tLAST")
		for _, d := range found {
			client := boot.SeenRequest{Arch: d.ClientArch}.Client().String()
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.MAC, d.Vendor, d.Hostname, client, d.TimesSeen,
				d.FirstSeenAt.Local().Format(time.DateTime), d.LastSeenAt.Local().Format(time.DateTime))
		}
		return table.Flush()
	})
}
