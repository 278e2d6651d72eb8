package lab_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

var ownAddress = netip.MustParseAddr("10.0.0.3")

// stranger is the address of no machine.
func stranger(n int) net.HardwareAddr {
	return net.HardwareAddr{0x52, 0x54, 0, 0xff, byte(n >> 8), byte(n)}
}

func wants(mac net.HardwareAddr, address string) boot.AddressRequest {
	wanted, _ := netip.ParseAddr(address)
	return boot.AddressRequest{MAC: mac, Server: ownAddress, Link: ownAddress, Wanted: wanted}
}

// offer asks for an address; empty where there is none.
func (f *fixture) offer(mac net.HardwareAddr, wanted string) string {
	f.t.Helper()
	lease, err := f.DHCPLeases().Offer(f.t.Context(), wants(mac, wanted))
	if errors.Is(err, boot.ErrNoAddress) {
		return ""
	}
	f.must(err)
	return lease.Address.String()
}

// lend takes an offer of an address.
func (f *fixture) lend(mac net.HardwareAddr, address string) error {
	f.t.Helper()
	request := wants(mac, address)
	request.Offered = true
	lease, err := f.DHCPLeases().Lend(f.t.Context(), request)
	if err == nil && lease.Address.String() != address {
		f.t.Errorf("lent %s, not %s", lease.Address, address)
	}
	return err
}

// again asks for an address that the client had before.
func (f *fixture) again(mac net.HardwareAddr, address string) error {
	f.t.Helper()
	_, err := f.DHCPLeases().Lend(f.t.Context(), wants(mac, address))
	return err
}

// withPool adds a network with a pool, and leaves machines out of it.
func (f *fixture) withPool(pool string) {
	f.t.Helper()
	n := testNetwork()
	n.StaticPool, n.ReservedPool, n.DHCPPool = "", "", pool
	f.must(f.AddNetwork(f.t.Context(), f.admin, n))
}

func TestALeaseStaysWithItsClient(t *testing.T) {
	f := newFixture(t)
	f.withPool("10.0.0.128-10.0.0.199")
	lease, err := f.DHCPLeases().Offer(t.Context(), wants(webMAC, ""))
	f.must(err)
	if n := lease.Network; n.Subnet.String() != "10.0.0.0/24" || n.Gateway.String() != "10.0.0.1" || len(n.Nameservers) != 2 || n.Domain != "lab.example.org" || lease.Duration != time.Hour {
		t.Errorf("lease: %+v", lease)
	}
	first := lease.Address.String()
	if again := f.offer(webMAC, "10.0.0.150"); again != first {
		t.Errorf("offered %s, then %s", first, again)
	}
	f.must(f.lend(webMAC, first))
	f.must(f.again(webMAC, first))
	if m := f.machine("web-01").Interfaces[0]; m.LeaseIPv4 != first || !m.LeaseExpiresAt.Equal(f.clock().Add(time.Hour)) {
		t.Errorf("kept: %+v", m)
	}
	if err := f.again(webMAC, "10.0.0.199"); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("another address than it has: %v", err)
	}
	if err := f.lend(stranger(1), first); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("a stranger takes it: %v", err)
	}
	f.advance(2 * time.Hour)
	if again := f.offer(webMAC, ""); again != first {
		t.Errorf("after its lease: offered %s, not %s", again, first)
	}
	f.must(f.again(webMAC, first))

	f.must(f.DHCPLeases().Release(t.Context(), wants(webMAC, first)))
	if err := f.DHCPLeases().Release(t.Context(), wants(stranger(1), first)); !errors.Is(err, boot.ErrUnknownLease) {
		t.Errorf("a stranger gives it back: %v", err)
	}
	f.must(f.lend(stranger(2), first))
	if err := f.again(webMAC, first); !errors.Is(err, boot.ErrUnknownLease) {
		t.Errorf("after another client got it: %v", err)
	}
}

func TestLeasesSurviveARestart(t *testing.T) {
	f := newFixture(t)
	f.withPool("10.0.0.128-10.0.0.199")
	offered := f.offer(stranger(1), "")
	f.must(f.lend(stranger(2), f.offer(stranger(2), "")))

	second, err := lab.New(lab.Config{Store: f.db, DataDir: t.TempDir(), Now: f.clock})
	f.must(err)
	defer func() { f.must(second.Close()) }()
	f.Lab, second = second, f.Lab
	defer func() { f.Lab, second = second, f.Lab }()
	f.must(f.lend(stranger(1), offered)) // it was offered by the server that is gone
	had, err := f.DHCPLeases().Offer(t.Context(), wants(stranger(2), ""))
	f.must(err)
	f.must(f.again(stranger(2), had.Address.String()))
	if taken := f.lend(stranger(3), offered); !errors.Is(taken, boot.ErrWrongAddress) {
		t.Errorf("another client takes it: %v", taken)
	}
}

// TestWhoKnowsAnAddressFromBefore has the lines of RFC 2131 §4.3.2 that ask for
// more than a lease that goes on.
func TestWhoKnowsAnAddressFromBefore(t *testing.T) {
	f := newFixture(t)
	f.withPool("10.0.0.128-10.0.0.199")
	f.must(f.AddNetwork(t.Context(), f.admin, store.Network{Name: "far", Subnet: "10.5.0.0/24", DHCPPool: "10.5.0.100-10.5.0.199"}))
	if err := f.again(stranger(1), "10.0.0.130"); !errors.Is(err, boot.ErrUnknownLease) {
		t.Errorf("nothing is known: %v", err)
	}
	if err := f.again(stranger(1), "192.0.2.9"); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("of another network: %v", err)
	}
	f.must(f.lend(stranger(1), "10.0.0.130"))
	far := wants(stranger(1), "10.0.0.130")
	far.Link = netip.MustParseAddr("10.5.0.1") // a relay's
	if _, err := f.DHCPLeases().Lend(t.Context(), far); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("plugged in elsewhere: %v", err)
	}
	far.Wanted = netip.Addr{}
	lease, err := f.DHCPLeases().Offer(t.Context(), far)
	if err != nil || lease.Network.Subnet.String() != "10.5.0.0/24" || !lease.Network.Subnet.Contains(lease.Address) {
		t.Errorf("by a relay: %+v, %v", lease, err)
	}
	nowhere := wants(stranger(1), "")
	nowhere.Link = netip.MustParseAddr("192.0.2.1")
	if _, err := f.DHCPLeases().Offer(t.Context(), nowhere); !errors.Is(err, boot.ErrNoAddress) || !strings.Contains(err.Error(), "no network contains 192.0.2.1") {
		t.Errorf("in no network: %v", err)
	}
	network, err := f.DHCPLeases().Network(t.Context(), wants(stranger(1), ""))
	if err != nil || network.Domain != "lab.example.org" {
		t.Errorf("network: %+v, %v", network, err)
	}
	// A pool that was made smaller lends what is left of it.
	f.must(f.ChangeNetwork(t.Context(), f.admin, "lab", func(n *store.Network) { n.DHCPPool = "10.0.0.140-10.0.0.150" }))
	if err := f.again(stranger(1), "10.0.0.130"); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("out of the pool: %v", err)
	}
}

func TestAReservedAddressIsItsMachinesAlone(t *testing.T) {
	f := newFixture(t)
	f.inNetwork()
	dynamic := f.offer(webMAC, "10.0.0.130")
	if dynamic != "10.0.0.130" {
		t.Errorf("offered %s instead of what it asks for", dynamic)
	}
	f.must(f.lend(webMAC, dynamic))
	i, err := f.setInterface(f.admin, "web-01", lab.ConfigReserved, lab.AutoIPv4)
	f.must(err)
	if err := f.again(webMAC, dynamic); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("it keeps its old address: %v", err)
	}
	if got := f.offer(webMAC, dynamic); got != i.ConfiguredIPv4 {
		t.Errorf("offered %s, not %s", got, i.ConfiguredIPv4)
	}
	f.must(f.lend(webMAC, i.ConfiguredIPv4))
	f.must(f.again(webMAC, i.ConfiguredIPv4))

	// Of the pool, too, what a machine is configured with is nobody else's.
	for n, machine := range []string{"web-02", "arm-01"} {
		_, err := f.setInterface(f.admin, machine, []string{lab.ConfigReserved, lab.ConfigStatic}[n], fmt.Sprintf("10.0.0.14%d", n))
		f.must(err)
	}
	f.must(f.ChangeNetwork(t.Context(), f.admin, "lab", func(n *store.Network) { n.DHCPPool = "10.0.0.140-10.0.0.142" }))
	for n := range 3 {
		got, want := f.offer(stranger(n), fmt.Sprintf("10.0.0.14%d", n)), ""
		if n == 0 {
			want = "10.0.0.142"
		}
		if got != want {
			t.Errorf("stranger %d is offered %q, want %q", n, got, want)
		}
	}
	if err := f.lend(stranger(1), "10.0.0.140"); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("a stranger takes a reserved address: %v", err)
	}
	// A machine whose operating system has a static address needs one to be installed with.
	f.must(f.ChangeNetwork(t.Context(), f.admin, "lab", func(n *store.Network) { n.DHCPPool = "10.0.0.140-10.0.0.150" }))
	arm := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 3}
	if got := f.offer(arm, ""); got == "" {
		t.Error("a machine with a static address is offered none")
	}
}

// TestAPoolBoundsItsLeases has many more clients than addresses.
func TestAPoolBoundsItsLeases(t *testing.T) {
	f := newFixture(t)
	const size = 40
	f.withPool("10.0.0.1-10.0.0.43") // without gateway, nameserver and ourselves
	given := make(map[string]int)
	for n := range 300 {
		address := f.offer(stranger(n), "10.0.0.1")
		if address == "" {
			continue
		}
		if other, twice := given[address]; twice {
			t.Fatalf("%s is offered to %d and %d", address, other, n)
		}
		given[address] = n
		if n%2 == 0 { // the others are offered an address, and do not take it
			f.must(f.lend(stranger(n), address))
		}
	}
	if len(given) != size {
		t.Errorf("%d addresses of %d were offered", len(given), size)
	}
	// A machine gets what a stranger was offered and has not taken.
	address := f.offer(webMAC, "")
	if n, known := given[address]; !known || n%2 == 0 {
		t.Fatalf("the machine is offered %q of stranger %d", address, n)
	}
	f.must(f.lend(webMAC, address))
	if err := f.lend(stranger(given[address]), address); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("the stranger takes it all the same: %v", err)
	}
	// When leases have ended, their addresses are given to others.
	f.advance(time.Hour + time.Second)
	f.must(f.again(webMAC, address))
	for n := range size - 1 {
		fresh := stranger(1000 + n)
		f.must(f.lend(fresh, f.offer(fresh, "")))
	}
	f.advance(time.Second)
	if got := f.offer(stranger(2000), ""); got != "" {
		t.Errorf("%s is offered, and all are lent", got)
	}
	var leases []store.Lease
	f.must(f.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		leases, err = tx.Leases(t.Context())
		return err
	}))
	if len(leases) != size {
		t.Errorf("%d leases are kept for %d addresses", len(leases), size)
	}
}

func TestAnOfferEnds(t *testing.T) {
	f := newFixture(t)
	f.withPool("10.0.0.130")
	if got := f.offer(stranger(1), ""); got != "10.0.0.130" {
		t.Fatalf("offered %q", got)
	}
	if got := f.offer(stranger(2), ""); got != "" {
		t.Errorf("%s is offered twice", got)
	}
	f.advance(time.Minute + time.Second)
	if got := f.offer(stranger(2), ""); got != "10.0.0.130" {
		t.Errorf("offered %q after the first did not take it", got)
	}
}

func TestANetworkForMachinesOnly(t *testing.T) {
	f := newFixture(t)
	f.withPool("10.0.0.128-10.0.0.199")
	f.must(f.lend(stranger(1), f.offer(stranger(1), "10.0.0.128")))
	f.must(f.ChangeNetwork(t.Context(), f.admin, "lab", func(n *store.Network) { n.KnownOnly = true }))
	if _, err := f.DHCPLeases().Offer(t.Context(), wants(stranger(2), "")); !errors.Is(err, boot.ErrNoAddress) || !strings.Contains(err.Error(), "network lab lends to machines only") {
		t.Errorf("a stranger: %v", err)
	}
	if err := f.again(stranger(1), "10.0.0.128"); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("a stranger renews: %v", err)
	}
	if got := f.offer(webMAC, ""); got == "" {
		t.Error("a machine is offered none")
	}
}

func TestADeclinedAddressIsSetAside(t *testing.T) {
	f := newFixture(t)
	f.inNetwork()
	i, err := f.setInterface(f.admin, "web-01", lab.ConfigReserved, lab.AutoIPv4)
	f.must(err)
	f.must(f.lend(webMAC, i.ConfiguredIPv4))
	if err := f.DHCPLeases().Decline(t.Context(), wants(stranger(1), i.ConfiguredIPv4)); !errors.Is(err, boot.ErrUnknownLease) {
		t.Errorf("a stranger declines it: %v", err)
	}
	f.must(f.DHCPLeases().Decline(t.Context(), wants(webMAC, i.ConfiguredIPv4)))
	f.happened("web-01", lab.EventDHCP, webMAC.String()+" found another host at its address "+i.ConfiguredIPv4)
	other := f.offer(webMAC, i.ConfiguredIPv4)
	if other == "" || other == i.ConfiguredIPv4 {
		t.Fatalf("offered %q", other)
	}
	f.must(f.lend(webMAC, other))
	f.must(f.DHCPLeases().Decline(t.Context(), wants(webMAC, other)))
	if err := f.lend(stranger(1), other); !errors.Is(err, boot.ErrWrongAddress) {
		t.Errorf("a stranger is lent it: %v", err)
	}
	f.advance(10*time.Minute + time.Second)
	if got := f.offer(webMAC, ""); got != i.ConfiguredIPv4 {
		t.Errorf("offered %s after a while, not %s", got, i.ConfiguredIPv4)
	}
	f.must(f.lend(stranger(1), other))
}
