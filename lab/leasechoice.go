package lab

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"sync"
	"time"

	"provisioner/boot"
)

// quickTries is how many addresses are tried one by one before all of what is
// lent is read: enough for a pool that is three quarters full.
const quickTries = 16

// choose finds the address to offer.
func (s *leaseState) choose(ctx context.Context, wanted netip.Addr) (netip.Addr, error) {
	switch {
	case s.fixed.IsValid():
		return s.fixed, nil
	case !s.mayUsePool():
		return netip.Addr{}, fmt.Errorf("%w: network %s lends to machines only", boot.ErrNoAddress, s.network.Name)
	case s.pool.empty():
		return netip.Addr{}, fmt.Errorf("%w: network %s has no DHCP pool", boot.ErrNoAddress, s.network.Name)
	}
	had, _ := netip.ParseAddr(s.lease.IPv4) // not an address: it had none
	for _, address := range []netip.Addr{had, s.holds.offered[s.mac], wanted} {
		if free, err := s.lendable(ctx, address); free || err != nil {
			return address, err
		}
	}
	if !s.known && s.now.Before(s.holds.fullUntil[s.network.ID]) {
		return netip.Addr{}, s.full()
	}
	// Where the search begins depends on the client, so that it finds the same
	// address again though its lease was forgotten.
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(s.mac)) // never fails
	start := int(hash.Sum32() % uint32(s.pool.size()))
	for i := range min(quickTries, s.pool.size()) {
		address := s.pool.at(start + i)
		free, err := s.lendable(ctx, address)
		if err != nil {
			return netip.Addr{}, err
		}
		if free && !s.usedBefore(ctx, address) {
			return address, nil
		}
	}
	return s.search(ctx, start)
}

func (s *leaseState) usedBefore(ctx context.Context, address netip.Addr) bool {
	_, err := s.tx.LeaseOf(ctx, address.String())
	return err == nil
}

// search looks through the whole pool. Where nothing is free, a machine gets
// what was offered to a stranger who has not taken it.
func (s *leaseState) search(ctx context.Context, start int) (netip.Addr, error) {
	taken, lentUntil, err := s.inUse(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	var longest, stranger netip.Addr // out of use for longest; offered to a stranger
	for i := range s.pool.size() {
		address := s.pool.at(start + i)
		until, lent := lentUntil[address]
		switch {
		case taken[address] || !s.forHosts(address) || lent && until.After(s.now):
		case !s.holds.by(address, s.mac, s.now):
			if hold := s.holds.byAddress[address]; hold.mac != "" && !hold.known {
				stranger = address
			}
		case !lent:
			return address, nil
		case !longest.IsValid() || until.Before(lentUntil[longest]):
			longest = address
		}
	}
	switch {
	case longest.IsValid():
		return longest, nil
	case s.known && stranger.IsValid():
		return stranger, nil
	}
	s.holds.fullUntil[s.network.ID] = s.now.Add(fullTerm)
	return netip.Addr{}, s.full()
}

func (s *leaseState) full() error {
	return fmt.Errorf("%w: the DHCP pool %s of network %s is used up", boot.ErrNoAddress, s.network.DHCPPool, s.network.Name)
}

// inUse reads all of the network's addresses that machines are configured
// with, and until when addresses are or were lent.
func (s *leaseState) inUse(ctx context.Context) (taken map[netip.Addr]bool, lentUntil map[netip.Addr]time.Time, err error) {
	configured, err := s.tx.NetworkAddresses(ctx, s.network.ID)
	if err != nil {
		return nil, nil, err
	}
	taken = make(map[netip.Addr]bool)
	for _, c := range configured {
		if address, err := netip.ParseAddr(c.IPv4); err == nil && c.MAC != s.mac {
			taken[address] = true
		}
	}
	leases, err := s.tx.Leases(ctx)
	if err != nil {
		return nil, nil, err
	}
	lentUntil = make(map[netip.Addr]time.Time)
	for _, lease := range leases {
		if address, err := netip.ParseAddr(lease.IPv4); err == nil && s.pool.contains(address) {
			lentUntil[address] = lease.ExpiresAt
		}
	}
	return taken, lentUntil, nil
}

// addressHolds are addresses that are not to be lent to others for a while,
// though no lease says so. There are at most as many as addresses can be lent;
// they need not survive a restart.
type addressHolds struct {
	mu        sync.Mutex
	byAddress map[netip.Addr]addressHold
	offered   map[string]netip.Addr // by the MAC of whom the address was offered to
	fullUntil map[int64]time.Time   // by network: when its pool is looked through again
}

type addressHold struct {
	mac   string // empty: for nobody
	known bool   // it is a machine
	until time.Time
}

func newAddressHolds() *addressHolds {
	return &addressHolds{byAddress: make(map[netip.Addr]addressHold), offered: make(map[string]netip.Addr), fullUntil: make(map[int64]time.Time)}
}

// by reports whether a client may have an address for all that is held.
func (h *addressHolds) by(address netip.Addr, mac string, now time.Time) bool {
	hold, held := h.byAddress[address]
	return !held || hold.mac == mac || !hold.until.After(now)
}

// offer keeps an address for a client, and no other one any more.
func (h *addressHolds) offer(address netip.Addr, mac string, known bool, until time.Time) {
	if before, ok := h.offered[mac]; ok {
		h.drop(before)
	}
	h.drop(address)
	h.byAddress[address] = addressHold{mac, known, until}
	h.offered[mac] = address
}

// setAside keeps an address from everybody.
func (h *addressHolds) setAside(address netip.Addr, until time.Time) {
	h.drop(address)
	h.byAddress[address] = addressHold{until: until}
}

func (h *addressHolds) drop(address netip.Addr) {
	if hold, held := h.byAddress[address]; held {
		delete(h.offered, hold.mac)
		delete(h.byAddress, address)
	}
}
