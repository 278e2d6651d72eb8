package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"provisioner/store"
)

const (
	minLeaseTime     = time.Minute
	maxLeaseTime     = 365 * 24 * time.Hour
	defaultLeaseTime = time.Hour

	// maxNameservers is what fits into what DHCP and resolvers take; three are
	// usual.
	maxNameservers = 8

	// maxNamed is how many machines an error names that are in the way.
	maxNamed = 5
)

var (
	networkName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	domainName  = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// Networks returns all networks by name. Whoever may log in may see them.
func (l *Lab) Networks(ctx context.Context, _ Actor) ([]store.Network, error) {
	var networks []store.Network
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		networks, err = tx.Networks(ctx)
		return err
	})
	return networks, wrap(err, "list networks")
}

// AddNetwork adds a network. Without a lease time it is an hour. Only an admin
// may. [Invalid] where something does not lie in the subnet, [Conflict] where
// another network has the name or a part of the subnet.
func (l *Lab) AddNetwork(ctx context.Context, actor Actor, n store.Network) error {
	if !actor.IsAdmin() {
		return fail(Denied, "add network %s: only an admin may", n.Name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := checkNetwork(ctx, tx, &n); err != nil {
			return err
		}
		if _, err := tx.AddNetwork(ctx, n); errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is a network of that name already")
		} else if err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventNetworkAdded, Detail: n.Name + " " + n.Subnet})
	})
	return wrap(err, "add network %s", n.Name)
}

// ChangeNetwork has change alter the network of that name, its name included.
// Only an admin may. Besides what [Lab.AddNetwork] checks, the addresses that
// machines have in it must still be in it.
func (l *Lab) ChangeNetwork(ctx context.Context, actor Actor, name string, change func(*store.Network)) error {
	if !actor.IsAdmin() {
		return fail(Denied, "change network %s: only an admin may", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		n, err := tx.Network(ctx, name)
		if err != nil {
			return notFound(err, "network", name)
		}
		id := n.ID
		change(&n)
		n.ID = id
		if err := checkNetwork(ctx, tx, &n); err != nil {
			return err
		}
		if err := checkStillIn(ctx, tx, n); err != nil {
			return err
		}
		if err := tx.UpdateNetwork(ctx, n); errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is a network %s already", n.Name)
		} else if err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventNetworkChanged, Detail: n.Name + " " + n.Subnet})
	})
	return wrap(err, "change network %s", name)
}

// DeleteNetwork removes a network that no machine is in; else it fails with
// [Conflict] and names them. Only an admin may.
func (l *Lab) DeleteNetwork(ctx context.Context, actor Actor, name string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "delete network %s: only an admin may", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		n, err := tx.Network(ctx, name)
		if err != nil {
			return notFound(err, "network", name)
		}
		users, err := tx.NetworkAddresses(ctx, n.ID)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fail(Conflict, "it is in use by %s: take their interfaces out of it first", machineNames(users))
		}
		if err := tx.DeleteNetwork(ctx, n.ID); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventNetworkRemoved, Detail: n.Name + " " + n.Subnet})
	})
	return wrap(err, "delete network %s", name)
}

// machineNames names some machines, each once, and counts the others.
func machineNames(addresses []store.ConfiguredAddress) string {
	var names []string
	for _, a := range addresses {
		names = append(names, a.Machine)
	}
	names = slices.Compact(names) // they come sorted
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// checkNetwork fills in what was left out, and says what is wrong with a
// network that is to be kept.
func checkNetwork(ctx context.Context, tx *store.Tx, n *store.Network) error {
	if n.LeaseTime == 0 {
		n.LeaseTime = defaultLeaseTime
	}
	if err := validNetwork(*n); err != nil {
		return err
	}
	others, err := tx.Networks(ctx)
	if err != nil {
		return err
	}
	subnet := netip.MustParsePrefix(n.Subnet)
	for _, other := range others {
		if there, err := netip.ParsePrefix(other.Subnet); err == nil && other.ID != n.ID && there.Overlaps(subnet) {
			return fail(Conflict, "its subnet %s overlaps %s of network %s", n.Subnet, other.Subnet, other.Name)
		}
	}
	return nil
}

func validNetwork(n store.Network) error {
	if !networkName.MatchString(n.Name) {
		return fail(Invalid, "a network name has up to 63 letters, digits, `-`, `_` and `.`")
	}
	subnet, err := parseSubnet(n.Subnet)
	if err != nil {
		return fail(Invalid, "subnet: %w", err)
	}
	if n.Gateway != "" {
		gateway, err := parseIPv4(n.Gateway)
		if err != nil {
			return fail(Invalid, "gateway: %w", err)
		}
		if !usable(subnet, gateway) {
			return fail(Invalid, "gateway %s is no address of a host in %s", n.Gateway, n.Subnet)
		}
	}
	if len(n.Nameservers) > maxNameservers {
		return fail(Invalid, "%d nameservers; at most %d are possible", len(n.Nameservers), maxNameservers)
	}
	for _, server := range n.Nameservers {
		if _, err := parseIPv4(server); err != nil {
			return fail(Invalid, "nameserver: %w", err)
		}
	}
	if n.Domain != "" && (len(n.Domain) > 253 || !domainName.MatchString(n.Domain)) {
		return fail(Invalid, "%q is no domain name, such as lab.example.org", n.Domain)
	}
	if n.LeaseTime < minLeaseTime || n.LeaseTime > maxLeaseTime {
		return fail(Invalid, "a lease time of %s: it is at least %s and at most 8760h", n.LeaseTime, minLeaseTime)
	}
	return validPools(n, subnet)
}

// validPools checks that the pools of a network lie in it, and apart: what one
// program hands out must not be another's.
func validPools(n store.Network, subnet netip.Prefix) error {
	kinds := []struct{ name, text string }{
		{"static", n.StaticPool}, {"reserved", n.ReservedPool}, {"DHCP", n.DHCPPool},
	}
	pools := make([]addressPool, len(kinds))
	for i, kind := range kinds {
		var err error
		if pools[i], err = parsePool(kind.text); err != nil {
			return fail(Invalid, "%s pool: %w", kind.name, err)
		}
		inside := subnet.Contains(pools[i].first) && subnet.Contains(pools[i].last)
		if !pools[i].empty() && !inside {
			return fail(Invalid, "the %s pool %s is not inside %s", kind.name, kind.text, n.Subnet)
		}
		for j := range i {
			if pools[i].overlaps(pools[j]) {
				return fail(Invalid, "the %s pool %s overlaps the %s pool %s", kind.name, kind.text, kinds[j].name, kinds[j].text)
			}
		}
	}
	return nil
}

// checkStillIn checks that a changed network leaves the addresses of machines
// where they are.
func checkStillIn(ctx context.Context, tx *store.Tx, n store.Network) error {
	addresses, err := tx.NetworkAddresses(ctx, n.ID)
	if err != nil {
		return err
	}
	subnet := netip.MustParsePrefix(n.Subnet)
	for _, a := range addresses {
		address, err := netip.ParseAddr(a.IPv4)
		switch {
		case err != nil: // it has none
		case !usable(subnet, address):
			return fail(Conflict, "%s has the address %s, which is no address of a host in %s", a.Machine, a.IPv4, n.Subnet)
		case a.IPv4 == n.Gateway:
			return fail(Conflict, "%s has the address %s of the gateway", a.Machine, a.IPv4)
		}
	}
	return nil
}
