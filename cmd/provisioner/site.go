package main

import (
	"context"
	"errors"
	"fmt"

	"provisioner/lab"
	"provisioner/store"
)

type siteCommand struct {
	Show siteShowCommand `cmd:"" help:"What is decided for all machines."`
	Set  siteSetCommand  `cmd:"" help:"Decide something else."`
}

type siteShowCommand struct{ data }

func (c *siteShowCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		site, err := l.Site(ctx, lab.Local)
		if err != nil {
			return err
		}
		consoles := store.ConsoleAlways
		if site.ConsolesOnDemand {
			consoles = store.ConsoleOnDemand
		}
		_, err = fmt.Printf("consoles         %s\nconsoles-insist  %t\n", consoles, site.ConsolesInsist)
		return err
	})
}

type siteSetCommand struct {
	data
	Consoles       string `default:"" enum:",always,on-demand" help:"always: connected and logged all the time. on-demand: while somebody watches, or a run goes on."`
	ConsolesInsist *bool  `negatable:"" help:"Take a console from another program for the sake of its log, too; at most once a minute."`
}

func (c *siteSetCommand) Run(ctx context.Context) error {
	if c.Consoles == "" && c.ConsolesInsist == nil {
		return errors.New("site set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.ChangeSite(ctx, lab.Local, func(s *lab.Site) {
			if c.Consoles != "" {
				s.ConsolesOnDemand = c.Consoles == string(store.ConsoleOnDemand)
			}
			if c.ConsolesInsist != nil {
				s.ConsolesInsist = *c.ConsolesInsist
			}
		})
	})
}
