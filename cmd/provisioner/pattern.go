package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"provisioner/lab"
	"provisioner/lab/console/pattern"
)

type patternCommand struct {
	Add    patternAddCommand    `cmd:"" help:"Look for a regular expression in what machines print."`
	List   patternListCommand   `cmd:"" help:"What is looked for."`
	Remove patternRemoveCommand `cmd:"" help:"Look for it no more."`
	Test   patternTestCommand   `cmd:"" help:"Print what the patterns find in a console's log."`
}

type patternAddCommand struct {
	data
	Name       string `arg:"" help:"What the event is called, such as \"disk failure\"."`
	Expression string `arg:"" help:"RE2, up to 1 KiB, matched against single lines without control sequences. (?i) ignores case."`
}

func (c *patternAddCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.AddConsolePattern(ctx, lab.Local, c.Name, c.Expression) })
}

type patternListCommand struct {
	data
}

func (c *patternListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		patterns, err := l.ConsolePatterns(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tEXPRESSION")
		for _, p := range patterns {
			expression := p.Expression
			if p.BuiltIn() {
				expression = "(built in) " + p.Finds
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\n", p.Name, expression)
		}
		return table.Flush()
	})
}

type patternRemoveCommand struct {
	data
	Name string `arg:""`
}

func (c *patternRemoveCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveConsolePattern(ctx, lab.Local, c.Name) })
}

type patternTestCommand struct {
	data
	File string `arg:"" help:"The log, as it came. A dash: standard input." type:"path"`
}

// Run prints each line that matches, and where it begins. Nothing found is no error.
func (c *patternTestCommand) Run(ctx context.Context) (err error) {
	file := os.Stdin
	if c.File != "-" {
		if file, err = os.Open(c.File); err != nil {
			return fmt.Errorf("try patterns: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.TryPatterns(ctx, lab.Local, file, func(m pattern.Match) error {
			_, err := fmt.Printf("%d\t%s\t%s\n", m.Position, m.Pattern, m.Line)
			return err
		})
	})
}
