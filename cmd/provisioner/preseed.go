package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"provisioner/lab"
)

type preseedCommand struct {
	List    preseedListCommand    `cmd:"" help:"All preseeds."`
	Add     preseedAddCommand     `cmd:"" help:"Add a template that everybody may install with."`
	Set     preseedSetCommand     `cmd:"" help:"Change a preseed."`
	Show    preseedShowCommand    `cmd:"" help:"Print a preseed as it is kept."`
	Preview preseedPreviewCommand `cmd:"" help:"Print what a machine would be given by a preseed now."`
	Rm      preseedRmCommand      `cmd:"" help:"Remove a preseed that nothing uses."`
}

type preseedListCommand struct{ data }

func (c *preseedListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		preseeds, err := l.Preseeds(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tTYPE\tOWNER\tPUBLIC\tKNOWN GOOD\tCHANGED")
		for _, p := range preseeds {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%t\t%t\t%s\n", p.Name, p.Type, p.Owner, p.Public, p.KnownGood, p.UpdatedAt.Format("2006-01-02 15:04:05 MST"))
		}
		return table.Flush()
	})
}

type preseedAddCommand struct {
	data
	Name        string `arg:""`
	File        string `arg:"" help:"The template (Jinja2; docs/preseeds.md lists the variables). A dash: standard input." type:"path"`
	Type        string `default:"preseed" enum:"preseed,kickstart,autoyast,cloud-init,ignition" help:"preseed, kickstart, autoyast, cloud-init (and Ubuntu's autoinstall) or ignition."`
	Description string `help:"What people should know of it."`
	Private     bool   `help:"Only admins may install with it."`
}

func (c *preseedAddCommand) Run(ctx context.Context) error {
	content, err := readFile(c.File, lab.MaxPreseed)
	if err != nil {
		return fmt.Errorf("add preseed: %w", err)
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.AddPreseed(ctx, lab.Local, lab.NewPreseed{
			Name: c.Name, Type: c.Type, Description: c.Description, Content: string(content), Public: !c.Private,
		})
	})
}

type preseedSetCommand struct {
	data
	Name        string  `arg:"" help:"Name of the preseed."`
	File        string  `arg:"" optional:"" help:"The template from now on. A dash: standard input." type:"path"`
	Rename      *string `help:"Another name."`
	Type        *string `enum:"preseed,kickstart,autoyast,cloud-init,ignition" help:"preseed, kickstart, autoyast, cloud-init or ignition, while no run installs with it."`
	Description *string `help:"What people should know of it."`
	KnownGood   *bool   `negatable:"" help:"It has installed well."`
	Public      *bool   `negatable:"" help:"Everybody may read it and install with it."`
}

func (c *preseedSetCommand) Run(ctx context.Context) error {
	change := lab.PreseedChange{Name: c.Rename, Type: c.Type, Description: c.Description, KnownGood: c.KnownGood, Public: c.Public}
	if c.File != "" {
		content, err := readFile(c.File, lab.MaxPreseed)
		if err != nil {
			return fmt.Errorf("change preseed: %w", err)
		}
		text := string(content)
		change.Content = &text
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.ChangePreseed(ctx, lab.Local, c.Name, change) })
}

type preseedShowCommand struct {
	data
	Name string `arg:"" help:"Name of the preseed."`
}

func (c *preseedShowCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		p, err := l.Preseed(ctx, lab.Local, c.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Print(p.Content)
		return err
	})
}

type preseedPreviewCommand struct {
	data
	Name      string   `arg:"" help:"Name of the preseed."`
	Machine   string   `arg:"" help:"Name of the machine."`
	PublicURL *url.URL `name:"public-url" help:"Base of the addresses that machines are given, as the server has it."`
}

func (c *preseedPreviewCommand) Run(ctx context.Context) error {
	return c.localAt(ctx, c.PublicURL, func(l *lab.Lab) error {
		preview, err := l.PreviewPreseed(ctx, lab.Local, c.Name, c.Machine)
		if len(preview.Undefined) > 0 {
			_, _ = fmt.Fprintf(os.Stderr, "undefined, and empty here: %s\n", lab.UndefinedNames(preview.Undefined))
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(os.Stderr, "kernel options: %s\n", preview.Options)
		_, err = os.Stdout.Write(preview.Text)
		return err
	})
}

type preseedRmCommand struct {
	data
	Name   string `arg:"" help:"Name of the preseed."`
	Forget bool   `help:"Have machines forget that they were last installed with it."`
}

func (c *preseedRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemovePreseed(ctx, lab.Local, c.Name, c.Forget) })
}

type machineDisksCommand struct {
	data
	Name    string   `arg:"" help:"Name of the machine."`
	Devices []string `arg:"" optional:"" help:"Paths such as /dev/sda, the one for the system first. Left out: those that are known are printed."`
	None    bool     `help:"Forget those that are known."`
}

func (c *machineDisksCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		if c.None || len(c.Devices) > 0 {
			return l.SetDisks(ctx, lab.Local, c.Name, c.Devices)
		}
		devices, err := l.Disks(ctx, lab.Local, c.Name)
		if err == nil && len(devices) > 0 {
			_, err = fmt.Println(strings.Join(devices, "\n"))
		}
		return err
	})
}
