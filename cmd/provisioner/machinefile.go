package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"provisioner/lab"
)

type machineImportCommand struct {
	data
	File   string `arg:"" help:"CSV, whose first line names the fields, or JSON, an array of objects. A dash: standard input. machine export shows the fields." type:"path"`
	Format string `default:"" enum:",csv,json" help:"csv or json. Left out: by the name of the file."`
	DryRun bool   `help:"Tell what would be done, and do nothing."`
}

func (c *machineImportCommand) Run(ctx context.Context) error {
	format := c.Format
	if format == "" {
		format = strings.ToLower(strings.TrimPrefix(filepath.Ext(c.File), "."))
	}
	if format != lab.FormatCSV && format != lab.FormatJSON {
		return errors.New("machine import: say what it is: --format csv or --format json")
	}
	content, err := readFile(c.File, lab.MaxMachineFile)
	if err != nil {
		return fmt.Errorf("import machines: %w", err)
	}
	return c.local(ctx, func(l *lab.Lab) error {
		done, err := l.ImportMachines(ctx, lab.Local, format, content, c.DryRun)
		if err != nil {
			if len(done.Problems) < 2 {
				return err
			}
			for _, p := range done.Problems {
				fmt.Fprintf(os.Stderr, "%s\n", p)
			}
			return fmt.Errorf("import machines: nothing was changed: %d problems", len(done.Problems))
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "LINE\tNAME\tACTION\tCHANGES")
		for _, m := range done.Machines {
			_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", m.Line, m.Name, m.Action, strings.Join(m.Changes, ", "))
		}
		return table.Flush()
	})
}

type machineExportCommand struct {
	data
	Format string `default:"csv" enum:"csv,json" help:"csv or json."`
}

func (c *machineExportCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.ExportMachines(ctx, lab.Local, c.Format, os.Stdout) })
}
