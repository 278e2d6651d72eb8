package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

const (
	// offerTerm is how long an address is kept free that was offered.
	offerTerm = time.Minute

	// declineTerm is how long an address is not lent at which a client has
	// found somebody else.
	declineTerm = 10 * time.Minute

	// fullTerm is how long a pool is believed to be used up: whoever floods us
	// is not to have it looked through for each packet.
	fullTerm = time.Second
)

// DHCPLeases decides what our own DHCP server lends.
//
// An interface of type dynamic-reserved has its address, whether that is in a
// pool or not. Everybody else gets one of the network's DHCP pool: the one that
// it had, else the one that it asks for, else one that nobody had before, else
// the one that is out of use for longest. What an interface is configured with
// is lent to nobody else, nor are the addresses of gateway and nameservers.
func (l *Lab) DHCPLeases() boot.LeaseAnswers { return leaseAnswers{dhcpAnswers{l}} }

type leaseAnswers struct{ dhcpAnswers }

// leaseState is what there is to know of a client's request, within one transaction.
type leaseState struct {
	tx      *store.Tx
	now     time.Time
	mac     string
	network store.Network
	subnet  netip.Prefix
	pool    addressPool
	server  netip.Addr
	known   bool              // the client is a machine
	machine store.DHCPMachine // where it is known
	lease   store.Lease       // the newest; without an address: none
	fixed   netip.Addr        // that is for this client and no other; not valid: any of the pool
	holds   *addressHolds     // locked
}

// Offer finds an address for a client.
func (a leaseAnswers) Offer(ctx context.Context, request boot.AddressRequest) (lease boot.AddressLease, err error) {
	holds := a.lab.holds
	holds.mu.Lock()
	defer holds.mu.Unlock()
	err = a.lab.store.Read(ctx, func(tx *store.Tx) error {
		s, err := a.state(ctx, tx, request)
		if err != nil {
			return err
		}
		address, err := s.choose(ctx, request.Wanted)
		if err != nil {
			return err
		}
		holds.offer(address, s.mac, s.known, s.now.Add(offerTerm))
		lease = s.lend(address)
		return nil
	})
	return lease, leaseError(err, "offer an address to %s", request.MAC)
}

// Lend lends the address that the client asks for.
func (a leaseAnswers) Lend(ctx context.Context, request boot.AddressRequest) (lease boot.AddressLease, err error) {
	holds := a.lab.holds
	holds.mu.Lock()
	defer holds.mu.Unlock()
	err = a.lab.store.Write(ctx, func(tx *store.Tx) error {
		s, err := a.state(ctx, tx, request)
		if err != nil {
			return err
		}
		if err := s.mayHave(ctx, request.Wanted, request.Offered); err != nil {
			return err
		}
		lease = s.lend(request.Wanted)
		kept := store.Lease{MAC: s.mac, IPv4: request.Wanted.String(), StartedAt: s.now, ExpiresAt: s.now.Add(lease.Duration)}
		if s.lease.IPv4 == kept.IPv4 && s.lease.ExpiresAt.After(s.now) {
			kept.StartedAt = s.lease.StartedAt
		}
		return tx.KeepLease(ctx, kept)
	})
	if err == nil {
		holds.drop(request.Wanted)
	}
	return lease, leaseError(err, "lend %s to %s", request.Wanted, request.MAC)
}

// Network is for a client that has an address and asks for the rest.
func (a leaseAnswers) Network(ctx context.Context, request boot.AddressRequest) (network boot.AddressNetwork, err error) {
	err = a.lab.store.Read(ctx, func(tx *store.Tx) error {
		n, err := networkOf(ctx, tx, request.Link)
		if err == nil {
			network = tellNetwork(n)
		}
		return err
	})
	return network, leaseError(err, "tell %s of its network", request.MAC)
}

// Release ends a lease. The client gets the address again if it comes back
// before it was lent to somebody else.
func (a leaseAnswers) Release(ctx context.Context, request boot.AddressRequest) error {
	return leaseError(a.end(ctx, request), "take %s back from %s", request.Wanted, request.MAC)
}

// Decline sets an address aside at which a client has found somebody else.
func (a leaseAnswers) Decline(ctx context.Context, request boot.AddressRequest) error {
	l := a.lab
	err := a.end(ctx, request)
	if err != nil {
		return leaseError(err, "set %s aside for %s", request.Wanted, request.MAC)
	}
	l.holds.mu.Lock()
	l.holds.setAside(request.Wanted, l.now().Add(declineTerm))
	l.holds.mu.Unlock()
	l.log.Warn("a DHCP client has found another host at its address; the address is not lent for a while",
		"address", request.Wanted, "mac", request.MAC.String(), "for", declineTerm)
	m, err := a.machine(ctx, request.MAC)
	if errors.Is(err, boot.ErrUnknownMAC) {
		return nil
	}
	if err != nil {
		return wrap(err, "set %s aside for %s", request.Wanted, request.MAC)
	}
	return l.write(ctx, func(tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{At: l.now(), Kind: EventDHCP, Machine: m.Name,
			Detail: request.MAC.String() + " found another host at its address " + request.Wanted.String()})
	})
}

// end ends the lease of an address. It fails with [boot.ErrUnknownLease] where
// it is not the client's, or has ended: who says so again and again is to leave
// no trace of it.
func (a leaseAnswers) end(ctx context.Context, request boot.AddressRequest) error {
	return a.lab.store.Write(ctx, func(tx *store.Tx) error {
		lease, err := tx.Lease(ctx, request.MAC.String())
		if errors.Is(err, store.ErrNotFound) {
			return boot.ErrUnknownLease
		}
		if err != nil {
			return err
		}
		now := a.lab.now()
		if lease.IPv4 != request.Wanted.String() || !lease.ExpiresAt.After(now) {
			return boot.ErrUnknownLease
		}
		lease.ExpiresAt = now
		return tx.KeepLease(ctx, lease)
	})
}

// leaseError passes on what a client's answer depends on, and says of the rest
// what was being done.
func leaseError(err error, format string, args ...any) error {
	for _, plain := range []error{boot.ErrWrongAddress, boot.ErrUnknownLease} {
		if errors.Is(err, plain) {
			return plain
		}
	}
	return wrap(err, format, args...)
}

// networkOf returns the network that an address is in.
func networkOf(ctx context.Context, tx *store.Tx, link netip.Addr) (store.Network, error) {
	networks, err := tx.Networks(ctx)
	if err != nil {
		return store.Network{}, err
	}
	for _, n := range networks {
		if subnet, err := netip.ParsePrefix(n.Subnet); err == nil && subnet.Contains(link) {
			return n, nil
		}
	}
	return store.Network{}, fmt.Errorf("%w: no network contains %s; `provisioner network add` adds one", boot.ErrNoAddress, link)
}

func tellNetwork(n store.Network) boot.AddressNetwork {
	told := boot.AddressNetwork{Domain: n.Domain}
	told.Subnet, _ = netip.ParsePrefix(n.Subnet) // it was checked when it was kept, as the rest
	told.Gateway, _ = netip.ParseAddr(n.Gateway)
	for _, server := range n.Nameservers {
		if a, err := netip.ParseAddr(server); err == nil {
			told.Nameservers = append(told.Nameservers, a)
		}
	}
	return told
}

// state collects what a decision needs. The holds are locked by the caller.
func (a leaseAnswers) state(ctx context.Context, tx *store.Tx, request boot.AddressRequest) (*leaseState, error) {
	s := &leaseState{tx: tx, now: a.lab.now(), mac: request.MAC.String(), server: request.Server, holds: a.lab.holds}
	var err error
	if s.network, err = networkOf(ctx, tx, request.Link); err != nil {
		return nil, err
	}
	if s.subnet, err = netip.ParsePrefix(s.network.Subnet); err != nil {
		return nil, err
	}
	if s.pool, err = parsePool(s.network.DHCPPool); err != nil {
		return nil, err
	}
	if s.lease, err = tx.Lease(ctx, s.mac); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	s.machine, err = tx.DHCPMachine(ctx, s.mac)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.known = true
	if reserved := reservedFor(s.machine); s.machine.NetworkID == s.network.ID && reserved.IsValid() {
		free, err := s.unlent(ctx, reserved)
		if err != nil {
			return nil, err
		}
		if free && s.holds.by(reserved, s.mac, s.now) {
			s.fixed = reserved
		}
	}
	return s, nil
}

// lend is what the client is told of an address.
func (s *leaseState) lend(address netip.Addr) boot.AddressLease {
	return boot.AddressLease{Address: address, Duration: s.network.LeaseTime, Network: tellNetwork(s.network)}
}

// mayHave says why a client must not have an address; nil where it may.
func (s *leaseState) mayHave(ctx context.Context, wanted netip.Addr, offered bool) error {
	switch {
	case !s.subnet.Contains(wanted):
		return boot.ErrWrongAddress // it was plugged in elsewhere
	case s.fixed.IsValid() && wanted != s.fixed:
		return boot.ErrWrongAddress
	case s.fixed.IsValid():
		return nil
	case !offered && s.lease.IPv4 == "":
		return boot.ErrUnknownLease
	case !offered && s.lease.IPv4 != wanted.String():
		return boot.ErrWrongAddress
	}
	free, err := s.lendable(ctx, wanted)
	if err == nil && !free {
		return boot.ErrWrongAddress
	}
	return err
}

// lendable reports whether an address of the pool can be this client's.
func (s *leaseState) lendable(ctx context.Context, address netip.Addr) (bool, error) {
	if !s.mayUsePool() || !s.pool.contains(address) || !s.forHosts(address) || !s.holds.by(address, s.mac, s.now) {
		return false, nil
	}
	whose, err := s.tx.InterfaceAt(ctx, s.network.ID, address.String())
	switch {
	case err == nil && whose != s.mac:
		return false, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	return s.unlent(ctx, address)
}

func (s *leaseState) mayUsePool() bool { return s.known || !s.network.KnownOnly }

// forHosts reports whether an address is nobody's of those who make the
// network work.
func (s *leaseState) forHosts(address netip.Addr) bool {
	text := address.String()
	return usable(s.subnet, address) && address != s.server && text != s.network.Gateway && !slices.Contains(s.network.Nameservers, text)
}

// unlent reports whether an address is lent to no other client now.
func (s *leaseState) unlent(ctx context.Context, address netip.Addr) (bool, error) {
	lease, err := s.tx.LeaseOf(ctx, address.String())
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return lease.MAC == s.mac || !lease.ExpiresAt.After(s.now), err
}
