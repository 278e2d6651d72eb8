package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"provisioner/lab"
)

type archCommand struct {
	List archListCommand `cmd:"" default:"withargs" help:"Architectures and their flavours."`
	Add  archAddCommand  `cmd:"" help:"Add an architecture."`
	Rm   archRmCommand   `cmd:"" help:"Forget an architecture of which no machine and no image is."`
}

type archListCommand struct{ data }

func (c *archListCommand) Run(ctx context.Context) error { return printArchitectures(ctx, c.data) }

// printArchitectures writes all architectures, one line for each flavour.
func printArchitectures(ctx context.Context, d data) error {
	return d.local(ctx, func(l *lab.Lab) error {
		archs, err := l.Architectures(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ARCH\tSUBARCH\tBOOTS BY\tBOOTLOADER\tMACHINES")
		for _, a := range archs {
			for _, s := range a.Subarchs {
				way, loader := "bios", s.Bootloader
				if s.EFIBoot {
					way = "efi"
				}
				if loader == "" {
					loader = "-"
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", a.Name, s.Name, way, loader, s.Machines)
			}
			if len(a.Subarchs) == 0 {
				_, _ = fmt.Fprintf(table, "%s\t-\t-\t-\t0\n", a.Name)
			}
		}
		return table.Flush()
	})
}

type archAddCommand struct {
	data
	Name string `arg:"" help:"Name of the architecture."`
}

func (c *archAddCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.AddArchitecture(ctx, lab.Local, c.Name) })
}

type archRmCommand struct {
	data
	Name string `arg:"" help:"Name of the architecture."`
}

func (c *archRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveArchitecture(ctx, lab.Local, c.Name) })
}

type subarchCommand struct {
	List subarchListCommand `cmd:"" default:"withargs" help:"Architectures and their flavours."`
	Add  subarchAddCommand  `cmd:"" help:"Add a flavour of an architecture."`
	Set  subarchSetCommand  `cmd:"" help:"Change a flavour, for all its machines."`
	Rm   subarchRmCommand   `cmd:"" help:"Forget a flavour of which no machine is."`
}

type subarchListCommand struct{ data }

func (c *subarchListCommand) Run(ctx context.Context) error { return printArchitectures(ctx, c.data) }

// subarch names a flavour of an architecture.
type subarch struct {
	Arch string `arg:"" help:"Name of the architecture."`
	Name string `arg:"" help:"Name of the flavour."`
}

type subarchAddCommand struct {
	data
	subarch
	EFI        bool   `name:"efi" help:"BMCs are asked for a UEFI boot."`
	Bootloader string `help:"Name of an image, for machines that the server cannot tell a better one for."`
}

func (c *subarchAddCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		return l.AddSubarch(ctx, lab.Local, lab.NewSubarch{Arch: c.Arch, Name: c.Name, EFIBoot: c.EFI, Bootloader: c.Bootloader})
	})
}

type subarchSetCommand struct {
	data
	subarch
	Rename     *string `placeholder:"NAME" help:"What it is called from now on."`
	EFI        *bool   `name:"efi" negatable:"" help:"Whether BMCs are asked for a UEFI boot."`
	Bootloader *string `help:"Name of an image. Empty: none."`
}

func (c *subarchSetCommand) Run(ctx context.Context) error {
	change := lab.SubarchChange{Name: c.Rename, EFIBoot: c.EFI, Bootloader: c.Bootloader}
	if change == (lab.SubarchChange{}) {
		return errors.New("subarch set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.ChangeSubarch(ctx, lab.Local, c.Arch, c.Name, change) })
}

type subarchRmCommand struct {
	data
	subarch
}

func (c *subarchRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveSubarch(ctx, lab.Local, c.Arch, c.Name) })
}
