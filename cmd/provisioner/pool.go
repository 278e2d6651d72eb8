package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"provisioner/lab"
	"provisioner/store"
)

type poolCommand struct {
	List poolListCommand `cmd:"" default:"withargs" help:"Pools, their machines, and who may use them."`
	Add  poolAddCommand  `cmd:"" help:"Add a pool."`
	Set  poolSetCommand  `cmd:"" help:"Change which machines are in a pool, and which groups may use it."`
	Rm   poolRmCommand   `cmd:"" help:"Remove a pool. Its machines are for all then, unless they are in another one."`
}

type poolListCommand struct{ data }

func (c *poolListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		pools, err := l.Pools(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tGROUPS\tMACHINES\tDESCRIPTION")
		for _, p := range pools {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.Name, listed(p.Groups), listed(p.Machines), p.Description)
		}
		return table.Flush()
	})
}

// listed joins names for a column of a table.
func listed(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}

type poolAddCommand struct {
	data
	Name string `arg:"" help:"Name of the pool."`
}

func (c *poolAddCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.AddPool(ctx, lab.Local, c.Name) })
}

type poolSetCommand struct {
	data
	Name          string   `arg:"" help:"Name of the pool."`
	Rename        string   `help:"What it is called from now on."`
	Description   *string  `help:"What it is for: one line."`
	AddMachine    []string `placeholder:"NAME" help:"Machines that are in it from now on."`
	RemoveMachine []string `placeholder:"NAME" help:"Machines that are not, any more."`
	AddGroup      []string `placeholder:"NAME" help:"Groups of users that may use it from now on."`
	RemoveGroup   []string `placeholder:"NAME" help:"Groups that may not, any more."`
}

func (c *poolSetCommand) Run(ctx context.Context) error {
	if c.Rename == "" && c.Description == nil && len(c.AddMachine)+len(c.RemoveMachine)+len(c.AddGroup)+len(c.RemoveGroup) == 0 {
		return errors.New("pool set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.ChangePool(ctx, lab.Local, c.Name, func(p *store.Pool) {
			if c.Rename != "" {
				p.Name = c.Rename
			}
			if c.Description != nil {
				p.Description = *c.Description
			}
			p.Machines = changed(p.Machines, c.AddMachine, c.RemoveMachine)
			p.Groups = changed(p.Groups, c.AddGroup, c.RemoveGroup)
		})
	})
}

// changed returns names with some more and without others, whatever their case.
func changed(names, more, less []string) []string {
	return slices.DeleteFunc(append(names, more...), func(name string) bool {
		return slices.ContainsFunc(less, func(other string) bool { return strings.EqualFold(name, other) })
	})
}

type poolRmCommand struct {
	data
	Name string `arg:"" help:"Name of the pool."`
}

func (c *poolRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemovePool(ctx, lab.Local, c.Name) })
}

type groupCommand struct {
	List groupListCommand `cmd:"" default:"withargs" help:"Groups of users, and who is in them."`
	Add  groupAddCommand  `cmd:"" help:"Add a group."`
	Set  groupSetCommand  `cmd:"" help:"Change who is in a group."`
	Rm   groupRmCommand   `cmd:"" help:"Remove a group."`
}

type groupListCommand struct{ data }

func (c *groupListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		groups, err := l.Groups(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tUSERS")
		for _, g := range groups {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", g.Name, listed(g.Members))
		}
		return table.Flush()
	})
}

type groupAddCommand struct {
	data
	Name string `arg:"" help:"Name of the group."`
}

func (c *groupAddCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.AddGroup(ctx, lab.Local, c.Name) })
}

type groupSetCommand struct {
	data
	Name       string   `arg:"" help:"Name of the group."`
	Rename     string   `help:"What it is called from now on."`
	AddUser    []string `placeholder:"NAME" help:"Users who are in it from now on."`
	RemoveUser []string `placeholder:"NAME" help:"Users who are not, any more."`
}

func (c *groupSetCommand) Run(ctx context.Context) error {
	if c.Rename == "" && len(c.AddUser)+len(c.RemoveUser) == 0 {
		return errors.New("group set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.ChangeGroup(ctx, lab.Local, c.Name, func(g *store.Group) {
			if c.Rename != "" {
				g.Name = c.Rename
			}
			g.Members = changed(g.Members, c.AddUser, c.RemoveUser)
		})
	})
}

type groupRmCommand struct {
	data
	Name string `arg:"" help:"Name of the group."`
}

func (c *groupRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveGroup(ctx, lab.Local, c.Name) })
}
