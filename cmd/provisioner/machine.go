package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

type machineCommand struct {
	Add        machineAddCommand        `cmd:"" help:"Add a machine, or change the BMC of one."`
	Set        machineSetCommand        `cmd:"" help:"Say when a machine's console is connected."`
	Interface  machineInterfaceCommand  `cmd:"" help:"Say which address an interface of a machine has. Without flags: show what there is."`
	Disks      machineDisksCommand      `cmd:"" help:"Say which disks a machine has, for preseeds to name. Without any: show what there is."`
	Discovered machineDiscoveredCommand `cmd:"" help:"Addresses that asked for a boot, and belong to no machine."`
}

type machineAddCommand struct {
	data
	Name            string   `arg:""`
	Arch            string   `default:"amd64" help:"amd64, arm64, armhf or riscv64."`
	Firmware        string   `default:"uefi" help:"uefi or bios."`
	MAC             []string `name:"mac" help:"Address of a network interface; may be given several times."`
	BMC             string   `name:"bmc" help:"Address of the BMC, host or host:port."`
	BMCType         string   `name:"bmc-type" default:"plain" enum:"plain,moonshot" help:"plain, or moonshot: the machine is a cartridge of an HPE Moonshot, and the address its chassis manager's."`
	BMCSlot         int      `name:"bmc-slot" help:"Which cartridge, 1 to 45."`
	BMCUser         string   `name:"bmc-user" help:"Its user."`
	BMCPasswordFile string   `name:"bmc-password-file" help:"File that holds its password. A dash: standard input." type:"path"`
	BMCCipherSuites string   `name:"bmc-cipher-suites" placeholder:"N,..." help:"Cipher suites that it may be asked for, the preferred first. Left out: 17,3. Some others protect nothing."`
	BMCPrivilege    string   `name:"bmc-privilege" default:"" enum:",user,operator,administrator" help:"The level to log in with: user, operator or administrator. Left out: administrator, or operator where that is refused."`
	BMCKGFile       string   `name:"bmc-kg-file" help:"File that holds the BMC's own key K_g, as text or as 0x and hexadecimal digits." type:"path"`
}

func (c *machineAddCommand) Run(ctx context.Context) error {
	m := lab.NewMachine{Name: c.Name, Arch: c.Arch, Subarch: c.Firmware, MACs: c.MAC}
	if c.BMC != "" {
		if c.BMCPasswordFile == "" {
			return errors.New("a BMC needs --bmc-password-file: a password in an argument could be read by anybody on this host")
		}
		password, err := readFile(c.BMCPasswordFile, 1<<10)
		if err != nil {
			return fmt.Errorf("read the BMC's password: %w", err)
		}
		m.BMC = &store.BMC{
			Type: store.BMCType(c.BMCType), Address: c.BMC, Slot: c.BMCSlot,
			Username: c.BMCUser, Password: strings.TrimRight(string(password), "\r\n"),
			CipherSuites: c.BMCCipherSuites, Privilege: c.BMCPrivilege,
		}
		if c.BMCKGFile != "" {
			kg, err := readFile(c.BMCKGFile, 1<<10)
			if err != nil {
				return fmt.Errorf("read the BMC's key: %w", err)
			}
			m.BMC.KG = strings.TrimRight(string(kg), "\r\n")
		}
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.AddMachine(ctx, lab.Local, m) })
}

type machineSetCommand struct {
	data
	Name    string `arg:"" help:"Name of the machine."`
	Console string `required:"" enum:"always,on-demand,default" help:"always: connected and logged all the time. on-demand: while somebody watches, or a run goes on. default: as the site has it."`
}

func (c *machineSetCommand) Run(ctx context.Context) error {
	mode := store.ConsoleMode(c.Console)
	if c.Console == "default" {
		mode = store.ConsoleDefault
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.SetConsoleMode(ctx, lab.Local, c.Name, mode) })
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
