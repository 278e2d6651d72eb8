package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	"provisioner/boot"
	"provisioner/lab"
)

type templateCommand struct {
	List  templateListCommand  `cmd:"" help:"Which templates there are, and which of them are this site's own."`
	Show  templateShowCommand  `cmd:"" help:"Print a template, as it is used."`
	Set   templateSetCommand   `cmd:"" help:"Have configurations written by a template of this site's own. It is checked first."`
	Reset templateResetCommand `cmd:"" help:"Use the template that comes with the product again."`
}

type templateListCommand struct {
	data
}

func (c *templateListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		templates, err := l.Templates(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "KIND\tWHOSE\tSINCE")
		for _, t := range templates {
			whose, since := "the product's", ""
			if t.Own {
				whose, since = "this site's own", t.UpdatedAt.Format("2006-01-02 15:04:05 MST")
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", t.Kind, whose, since)
		}
		return table.Flush()
	})
}

type templateShowCommand struct {
	data
	Kind    string `arg:"" help:"Such as grub-netboot; list names them."`
	BuiltIn bool   `help:"The one that comes with the product, whatever is used."`
}

func (c *templateShowCommand) Run(ctx context.Context) error {
	if c.BuiltIn {
		if source, ok := boot.BuiltInTemplate(c.Kind); ok {
			_, err := fmt.Print(source)
			return err
		}
	}
	return c.local(ctx, func(l *lab.Lab) error {
		t, err := l.Template(ctx, lab.Local, c.Kind)
		if err != nil {
			return err
		}
		_, err = fmt.Print(t.Content)
		return err
	})
}

type templateSetCommand struct {
	data
	Kind string `arg:"" help:"Such as grub-netboot."`
	File string `arg:"" help:"The template (Go's text/template; docs/netboot.md lists the variables). A dash: standard input." type:"path"`
}

func (c *templateSetCommand) Run(ctx context.Context) error {
	content, err := readFile(c.File, boot.MaxTemplate)
	if err != nil {
		return fmt.Errorf("set template: %w", err)
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.SetTemplate(ctx, lab.Local, c.Kind, string(content)) })
}

type templateResetCommand struct {
	data
	Kind string `arg:"" help:"Such as grub-netboot."`
}

func (c *templateResetCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.ResetTemplate(ctx, lab.Local, c.Kind) })
}
