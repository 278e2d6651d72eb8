package lab

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"provisioner/boot"
	"provisioner/store"
)

// How an interface comes by its address.
const (
	ConfigStatic   = "static"           // its operating system is configured with it
	ConfigReserved = "dynamic-reserved" // a DHCP server lends it this one
	ConfigDynamic  = "dynamic"          // a DHCP server lends it any
)

// AutoIPv4 asks for the first free address of the pool that there is for the
// interface's type.
const AutoIPv4 = "auto"

const maxIdentifier = 64 // bytes, as clients of mr-provisioner know it

// InterfaceChange is what is to be different of an interface. What is nil stays.
type InterfaceChange struct {
	Identifier *string // what the operating system calls it; at most 64 bytes
	ConfigType *string // static, dynamic-reserved or dynamic; the last has no address
	IPv4       *string // an address of the network, or [AutoIPv4]
	Network    *string // its name; empty: none. Only an admin may change it
}

// SetInterface changes the interface of a machine that has this MAC address in
// any spelling; where it has a single one, the MAC may be left out. Its holders
// and admins may.
//
// [Conflict] where no address of the pool is free, or the one that was named
// belongs to somebody; [Invalid] where it could never be the interface's.
func (l *Lab) SetInterface(ctx context.Context, actor Actor, machine, mac string, change InterfaceChange) (i store.Interface, err error) {
	if mac != "" {
		parsed, err := boot.ParseMAC(mac)
		if err != nil {
			return i, fail(Invalid, "change an interface of %s: %w", machine, err)
		}
		mac = parsed.String()
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, machine)
		if err != nil {
			return notFound(err, "machine", machine)
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		if i, err = theInterface(ctx, tx, m, mac); err != nil {
			return err
		}
		before := i
		if err := l.changeInterface(ctx, tx, actor, &i, change); err != nil {
			return err
		}
		if i.Network == before.Network && i.Identifier == before.Identifier && i.ConfigType == before.ConfigType && i.ConfiguredIPv4 == before.ConfiguredIPv4 {
			return nil
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventMachineChanged, Machine: m.Name, Detail: describeInterface(i)})
	})
	return i, wrap(err, "change an interface of %s", machine)
}

func theInterface(ctx context.Context, tx *store.Tx, m store.Machine, mac string) (store.Interface, error) {
	have, err := tx.Interfaces(ctx, m.ID)
	if err != nil {
		return store.Interface{}, err
	}
	if mac == "" && len(have) == 1 {
		return have[0], nil
	}
	macs := make([]string, len(have))
	for n, i := range have {
		if i.MAC == mac {
			return i, nil
		}
		macs[n] = i.MAC
	}
	switch {
	case len(have) == 0:
		return store.Interface{}, fail(NotFound, "it has none: add one with its MAC address")
	case mac == "":
		return store.Interface{}, fail(Invalid, "say which one: it has %s", strings.Join(macs, ", "))
	}
	return store.Interface{}, fail(NotFound, "it has no interface %s, but %s", mac, strings.Join(macs, ", "))
}

func (l *Lab) changeInterface(ctx context.Context, tx *store.Tx, actor Actor, i *store.Interface, change InterfaceChange) error {
	if change.Network != nil && !strings.EqualFold(*change.Network, i.Network) {
		if !actor.IsAdmin() {
			return fail(Denied, "only an admin may put it into another network")
		}
		if err := moveInterface(ctx, tx, i, *change.Network); err != nil {
			return err
		}
	}
	if change.Identifier != nil {
		if err := validIdentifier(*change.Identifier); err != nil {
			return err
		}
		i.Identifier = *change.Identifier
	}
	if change.ConfigType != nil {
		i.ConfigType = *change.ConfigType
	}
	if !slices.Contains([]string{ConfigStatic, ConfigReserved, ConfigDynamic}, i.ConfigType) {
		return fail(Invalid, "an interface is %s, %s or %s, and not %q", ConfigStatic, ConfigReserved, ConfigDynamic, i.ConfigType)
	}
	if err := l.changeAddress(ctx, tx, i, change); err != nil {
		return err
	}
	err := tx.UpdateInterface(ctx, *i)
	if errors.Is(err, store.ErrExists) {
		return fail(Conflict, "another interface has the address %s", i.ConfiguredIPv4)
	}
	return err
}

// moveInterface puts an interface into another network, or into none.
func moveInterface(ctx context.Context, tx *store.Tx, i *store.Interface, name string) error {
	var n store.Network
	if name != "" {
		var err error
		if n, err = tx.Network(ctx, name); err != nil {
			return notFound(err, "network", name)
		}
	}
	i.NetworkID, i.Network, i.Subnet, i.StaticPool, i.ReservedPool = n.ID, n.Name, n.Subnet, n.StaticPool, n.ReservedPool
	i.Gateway, i.Nameservers, i.Domain = n.Gateway, n.Nameservers, n.Domain
	return nil
}

func validIdentifier(s string) error {
	if len(s) > maxIdentifier || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fail(Invalid, "an identifier is what the operating system calls the interface, such as eth0: at most %d printable bytes", maxIdentifier)
	}
	return nil
}

// changeAddress finds the address that an interface has from now on.
func (l *Lab) changeAddress(ctx context.Context, tx *store.Tx, i *store.Interface, change InterfaceChange) error {
	wanted := i.ConfiguredIPv4
	if change.IPv4 != nil {
		wanted = *change.IPv4
	}
	if i.ConfigType == ConfigDynamic {
		if change.IPv4 != nil && wanted != "" {
			return fail(Invalid, "a %s interface has whatever address a DHCP server gives it: make it %s or %s", ConfigDynamic, ConfigStatic, ConfigReserved)
		}
		i.ConfiguredIPv4 = ""
		return nil
	}
	if wanted == "" {
		return fail(Invalid, "a %s interface needs an address: give one, or %s for a free one", i.ConfigType, AutoIPv4)
	}
	if i.NetworkID == 0 {
		return fail(Invalid, "it is in no network, and has no address therefore: an admin puts it into one")
	}
	if wanted == AutoIPv4 {
		taken, err := l.takenAddresses(ctx, tx, *i)
		if err != nil {
			return err
		}
		i.ConfiguredIPv4, err = l.firstFree(*i, taken)
		return err
	}
	address, err := parseIPv4(wanted)
	if err != nil {
		return fail(Invalid, "%w", err)
	}
	if subnet, err := netip.ParsePrefix(i.Subnet); err != nil || !usable(subnet, address) {
		return fail(Invalid, "%s is no address of a host in network %s (%s)", address, i.Network, i.Subnet)
	}
	i.ConfiguredIPv4 = address.String()
	if change.IPv4 == nil && change.Network == nil {
		return nil // it has it already
	}
	return l.checkFree(ctx, tx, *i, address)
}

// infrastructure says whose an address is of those who make the network work;
// empty: nobody's.
func (l *Lab) infrastructure(i store.Interface, address netip.Addr) string {
	own := l.nextServer.Load()
	switch {
	case i.Gateway == address.String():
		return "the gateway"
	case slices.Contains(i.Nameservers, address.String()):
		return "a nameserver"
	case own != nil && *own == address:
		return "this server"
	}
	return ""
}

// checkFree says whose an address is that an interface cannot have; nil where
// it is nobody's.
func (l *Lab) checkFree(ctx context.Context, tx *store.Tx, i store.Interface, address netip.Addr) error {
	if whose := l.infrastructure(i, address); whose != "" {
		return fail(Conflict, "%s is the address of %s", address, whose)
	}
	mac, err := tx.InterfaceAt(ctx, i.NetworkID, address.String())
	if err == nil && mac != i.MAC {
		m, err := tx.MachineByMAC(ctx, mac)
		if err != nil {
			return err
		}
		return fail(Conflict, "%s is the address of %s", address, m.Name)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	lease, err := tx.LeaseOf(ctx, address.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil && lease.MAC != i.MAC && lease.ExpiresAt.After(l.now()) {
		return fail(Conflict, "%s is lent to %s until %s", address, lease.MAC, lease.ExpiresAt.Format(time.RFC3339))
	}
	return err
}

// takenAddresses are those that other interfaces of the network are configured
// with, or have been lent.
func (l *Lab) takenAddresses(ctx context.Context, tx *store.Tx, i store.Interface) (map[netip.Addr]bool, error) {
	taken := make(map[netip.Addr]bool)
	leases, err := tx.Leases(ctx)
	if err != nil {
		return nil, err
	}
	for _, lease := range leases {
		if a, err := netip.ParseAddr(lease.IPv4); err == nil && lease.MAC != i.MAC && lease.ExpiresAt.After(l.now()) {
			taken[a] = true
		}
	}
	configured, err := tx.NetworkAddresses(ctx, i.NetworkID)
	for _, c := range configured {
		if a, err := netip.ParseAddr(c.IPv4); err == nil && c.MAC != i.MAC {
			taken[a] = true
		}
	}
	return taken, err
}

// firstFree finds an address in the pool of the interface's type. The one that
// it has from there already stays.
func (l *Lab) firstFree(i store.Interface, taken map[netip.Addr]bool) (string, error) {
	text := i.StaticPool
	if i.ConfigType == ConfigReserved {
		text = i.ReservedPool
	}
	pool, err := parsePool(text)
	if err != nil {
		return "", fail(Invalid, "network %s: %w", i.Network, err)
	}
	if pool.empty() {
		return "", fail(Invalid, "network %s has no pool for %s addresses: name an address", i.Network, i.ConfigType)
	}
	subnet, err := parseSubnet(i.Subnet)
	if err != nil {
		return "", fail(Invalid, "network %s: %w", i.Network, err)
	}
	free := func(a netip.Addr) bool {
		return pool.contains(a) && usable(subnet, a) && !taken[a] && l.infrastructure(i, a) == ""
	}
	if has, err := netip.ParseAddr(i.ConfiguredIPv4); err == nil && free(has) {
		return i.ConfiguredIPv4, nil
	}
	for n := range pool.size() {
		if a := pool.at(n); free(a) {
			return a.String(), nil
		}
	}
	return "", fail(Conflict, "no address is free in the pool %s of network %s", text, i.Network)
}

// describeInterface says for the history what an interface has become.
func describeInterface(i store.Interface) string {
	words := []string{i.MAC, i.ConfigType}
	if i.ConfiguredIPv4 != "" {
		words = append(words, i.ConfiguredIPv4)
	}
	if i.Network != "" {
		words = append(words, "in "+i.Network)
	}
	if i.Identifier != "" {
		words = append(words, "called "+i.Identifier)
	}
	return strings.Join(words, " ")
}
