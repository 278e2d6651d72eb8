package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type networkCommand struct {
	List networkListCommand `cmd:"" help:"All networks."`
	Add  networkAddCommand  `cmd:"" help:"Add a network."`
	Set  networkSetCommand  `cmd:"" help:"Change a network. An empty value takes something away."`
	Rm   networkRmCommand   `cmd:"" help:"Delete a network that no machine is in."`
}

// networkFlags say what a network is like. Those that are left out are nil.
type networkFlags struct {
	StaticPool   *string        `placeholder:"RANGE" help:"Addresses that operating systems are configured with: 10.0.0.10-10.0.0.99, or a subnet."`
	ReservedPool *string        `placeholder:"RANGE" help:"Addresses that DHCP servers keep for one machine each."`
	DHCPPool     *string        `name:"dhcp-pool" placeholder:"RANGE" help:"Addresses that our own DHCP server lends to whoever asks."`
	Gateway      *string        `placeholder:"ADDRESS" help:"Of the router."`
	Nameservers  *[]string      `placeholder:"ADDRESS,..." help:"Of DNS servers."`
	Domain       *string        `placeholder:"NAME" help:"Which host names are completed with."`
	LeaseTime    *time.Duration `placeholder:"1h" help:"For how long our own DHCP server lends an address; 1m to 8760h."`
	KnownOnly    *bool          `negatable:"" help:"Lend to machines only, not to addresses that belong to no machine."`
}

func (f networkFlags) apply(n *store.Network) {
	set(&n.StaticPool, f.StaticPool)
	set(&n.ReservedPool, f.ReservedPool)
	set(&n.DHCPPool, f.DHCPPool)
	set(&n.Gateway, f.Gateway)
	set(&n.Domain, f.Domain)
	set(&n.LeaseTime, f.LeaseTime)
	set(&n.KnownOnly, f.KnownOnly)
	if f.Nameservers != nil {
		n.Nameservers = nil
		for _, server := range *f.Nameservers {
			n.Nameservers = append(n.Nameservers, strings.Fields(server)...)
		}
	}
}

// set changes a value to the one that a flag gives, where it is given.
func set[T any](value *T, flag *T) {
	if flag != nil {
		*value = *flag
	}
}

type networkListCommand struct{ data }

func (c *networkListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		networks, err := l.Networks(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tSUBNET\tSTATIC POOL\tRESERVED POOL\tDHCP POOL\tLEASE\tGATEWAY\tNAMESERVERS\tDOMAIN")
		for _, n := range networks {
			pool := n.DHCPPool
			if pool != "" && n.KnownOnly {
				pool += " (machines only)"
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Subnet, n.StaticPool, n.ReservedPool, pool,
				n.LeaseTime, n.Gateway, strings.Join(n.Nameservers, ","), n.Domain)
		}
		return table.Flush()
	})
}

type networkAddCommand struct {
	data
	networkFlags
	Name   string `arg:"" help:"Name of the network."`
	Subnet string `arg:"" help:"As 10.0.0.0/24."`
}

func (c *networkAddCommand) Run(ctx context.Context) error {
	n := store.Network{Name: c.Name, Subnet: c.Subnet}
	c.apply(&n)
	return c.local(ctx, func(l *lab.Lab) error { return l.AddNetwork(ctx, lab.Local, n) })
}

type networkSetCommand struct {
	data
	networkFlags
	Name   string  `arg:"" help:"Name of the network."`
	Rename *string `placeholder:"NAME" help:"Its new name."`
	Subnet *string `placeholder:"SUBNET" help:"As 10.0.0.0/24."`
}

func (c *networkSetCommand) Run(ctx context.Context) error {
	if c.networkFlags == (networkFlags{}) && c.Rename == nil && c.Subnet == nil {
		return errors.New("network set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.ChangeNetwork(ctx, lab.Local, c.Name, func(n *store.Network) {
			set(&n.Name, c.Rename)
			set(&n.Subnet, c.Subnet)
			c.apply(n)
		})
	})
}

type networkRmCommand struct {
	data
	Name string `arg:"" help:"Name of the network."`
}

func (c *networkRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.DeleteNetwork(ctx, lab.Local, c.Name) })
}
