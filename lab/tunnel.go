package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"provisioner/store"
)

// maxTunnels is how many tunnels a user may have open.
const maxTunnels = 64

// Tunnel is a way through this server to the operating system of a machine:
// what `ssh -J` opens. It must be closed.
type Tunnel struct {
	Machine string         // its name, when the tunnel was opened
	To      netip.AddrPort // an address of one of its interfaces

	lab       *Lab
	actor     Actor
	machineID int64
	end       context.CancelCauseFunc
}

// OpenTunnel lets an actor reach a TCP port of a machine that they hold, where
// the site allows it ([Site.ProxyJump]). host is the machine's name, or an
// address that an interface of it is configured with or has been lent, in the
// interface's network; never that of a gateway, a nameserver, a BMC or this
// server. It is kept in the history.
//
// The context that it returns ends with ctx, when the tunnel is closed, and as
// soon as the actor holds the machine no more, or the site allows it no more; its
// cause is then an [Error] that says why.
func (l *Lab) OpenTunnel(ctx context.Context, actor Actor, host string, port uint16) (context.Context, *Tunnel, error) {
	t := &Tunnel{lab: l, actor: actor}
	err := l.write(ctx, func(tx *store.Tx) error {
		m, address, err := l.tunnelEnd(ctx, tx, actor, host)
		if err != nil {
			return err
		}
		t.Machine, t.machineID, t.To = m.Name, m.ID, netip.AddrPortFrom(address, port)
		return l.record(ctx, tx, actor, store.Event{Kind: EventTunnel, Machine: m.Name, Detail: t.To.String()})
	})
	if err != nil {
		return nil, nil, wrap(err, "reach %s", host)
	}
	ctx, t.end = context.WithCancelCause(ctx)
	if !l.keepTunnel(t) {
		t.end(nil)
		return nil, nil, fail(Unavailable, "reach %s: %s has %d connections open already, and no more are possible", host, actor.User.Name, maxTunnels)
	}
	// What happened before it was there to be found.
	if err := l.checkTunnel(ctx, t); err != nil {
		t.Close()
		return nil, nil, wrap(err, "reach %s", host)
	}
	return ctx, t, nil
}

// Close ends the tunnel.
func (t *Tunnel) Close() {
	t.lab.mu.Lock()
	delete(t.lab.tunnels, t)
	t.lab.mu.Unlock()
	t.end(nil)
}

func (l *Lab) keepTunnel(t *Tunnel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for other := range l.tunnels {
		if other.actor.User.ID == t.actor.User.ID {
			n++
		}
	}
	if n >= maxTunnels {
		return false
	}
	l.tunnels[t] = struct{}{}
	return true
}

// tunnelEnd finds the machine that an actor means, and its address.
func (l *Lab) tunnelEnd(ctx context.Context, tx *store.Tx, actor Actor, host string) (m store.Machine, address netip.Addr, err error) {
	if err := jumpsAllowed(ctx, tx); err != nil {
		return m, address, err
	}
	notYours := fail(Denied, "it is no machine that you hold, nor an address of one")
	if address, err = netip.ParseAddr(host); err == nil {
		address = address.Unmap()
		ids, err := tx.MachinesByAddress(ctx, address.String(), l.now())
		switch {
		case err != nil:
			return m, address, err
		case len(ids) != 1:
			return m, address, notYours
		}
		if m, err = tx.MachineByID(ctx, ids[0]); err != nil {
			return m, address, err
		}
		if !m.HeldBy(actor.User.ID) {
			return m, address, notYours
		}
		return m, address, l.mayTunnel(ctx, tx, actor, m, address)
	}
	m, err = tx.Machine(ctx, host)
	if errors.Is(err, store.ErrNotFound) {
		return m, address, notYours
	}
	if err != nil {
		return m, address, err
	}
	if err := mayJump(actor, m); err != nil {
		return m, address, err
	}
	addresses, err := l.tunnelAddresses(ctx, tx, m)
	if err == nil && len(addresses) == 0 {
		err = fail(Conflict, "it has no address that is known here: `provisioner machine interface` configures one")
	}
	if err != nil {
		return m, address, err
	}
	return m, addresses[0], l.mayTunnel(ctx, tx, actor, m, addresses[0])
}

func jumpsAllowed(ctx context.Context, tx *store.Tx) error {
	site, err := readSite(ctx, tx)
	if err == nil && !site.ProxyJump {
		err = fail(Denied, "this site does not allow connections to machines through this server; an admin can: provisioner site set --proxy-jump")
	}
	return err
}

// mayJump says why an actor may not reach a machine: only its holders may, and
// admins like everybody else.
func mayJump(actor Actor, m store.Machine) error {
	if err := actor.mayTouch(m); err != nil {
		return err
	}
	if !m.HeldBy(actor.User.ID) {
		return fail(Denied, "you do not hold it: reserve it first")
	}
	return nil
}

// mayTunnel says why an actor may not open a tunnel to an address of a machine.
func (l *Lab) mayTunnel(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, address netip.Addr) error {
	if err := mayJump(actor, m); err != nil {
		return err
	}
	addresses, err := l.tunnelAddresses(ctx, tx, m)
	if err != nil {
		return err
	}
	if !slices.Contains(addresses, address) {
		return fail(Denied, "%s is no address of %s in its network, or one that makes the network work", address, m.Name)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == address {
			return fail(Denied, "%s is the address of this server", address)
		}
	}
	if bmc, err := tx.HasBMC(ctx, address.String()); err != nil {
		return err
	} else if bmc {
		return fail(Denied, "%s is the address of a BMC", address)
	}
	// DHCP servers tell us of leases, and whoever holds a machine chooses its
	// address: neither makes somebody else's machine theirs.
	ids, err := tx.MachinesByAddress(ctx, address.String(), l.now())
	if err == nil && len(ids) != 1 {
		err = fail(Conflict, "%s is the address of another machine, too", address)
	}
	return err
}

// tunnelAddresses are the addresses of a machine's interfaces, those that are
// configured first.
func (l *Lab) tunnelAddresses(ctx context.Context, tx *store.Tx, m store.Machine) (addresses []netip.Addr, err error) {
	interfaces, err := tx.Interfaces(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	add := func(i store.Interface, text string) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return // it has none
		}
		subnet, err := netip.ParsePrefix(i.Subnet)
		if err == nil && usable(subnet, address) && l.infrastructure(i, address) == "" {
			addresses = append(addresses, address)
		}
	}
	for _, i := range interfaces {
		add(i, i.ConfiguredIPv4)
	}
	for _, i := range interfaces {
		if i.LeaseExpiresAt.After(l.now()) {
			add(i, i.LeaseIPv4)
		}
	}
	return addresses, nil
}

// endsTunnels are the events after which a tunnel may be none any more.
var endsTunnels = map[string]bool{
	EventReleased: true, EventLent: true, EventReturned: true, EventSiteChanged: true, EventMachineRemoved: true,
}

// endTunnels ends the tunnels of those who have no right to them any more, after
// events.
func (l *Lab) endTunnels(ctx context.Context, events []store.Event) error {
	if !slices.ContainsFunc(events, func(e store.Event) bool { return endsTunnels[e.Kind] }) {
		return nil
	}
	l.mu.Lock()
	tunnels := make([]*Tunnel, 0, len(l.tunnels))
	for t := range l.tunnels {
		tunnels = append(tunnels, t)
	}
	l.mu.Unlock()
	var failed error
	for _, t := range tunnels {
		err := l.checkTunnel(ctx, t)
		switch CodeOf(err) {
		case Denied, NotFound:
			t.end(wrap(err, "the connection to %s", t.Machine))
		default:
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// checkTunnel returns why a tunnel has to end. Whose its address is from now on
// is no matter: a connection leads to whom it was made with.
func (l *Lab) checkTunnel(ctx context.Context, t *Tunnel) error {
	return l.store.Read(ctx, func(tx *store.Tx) error {
		if err := jumpsAllowed(ctx, tx); err != nil {
			return err
		}
		m, err := tx.MachineByID(ctx, t.machineID)
		if err != nil {
			return notFound(err, "machine", t.Machine)
		}
		return mayJump(t.actor, m)
	})
}
