package lab_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

// testNetwork is what the tests change one thing of.
func testNetwork() store.Network {
	return store.Network{
		Name: "lab", Subnet: "10.0.0.0/24", StaticPool: "10.0.0.10-10.0.0.19", ReservedPool: "10.0.0.64/30", DHCPPool: "10.0.0.128-10.0.0.199",
		Gateway: "10.0.0.1", Nameservers: []string{"10.0.0.2", "192.0.2.53"}, Domain: "lab.example.org",
	}
}

func TestANetworkIsChecked(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddNetwork(t.Context(), f.admin, store.Network{Name: "other", Subnet: "10.9.0.0/16"}))
	for name, test := range map[string]struct {
		change func(*store.Network)
		code   lab.Code
		says   string
	}{
		"no name":              {func(n *store.Network) { n.Name = "" }, lab.Invalid, "a network name"},
		"a name with a space":  {func(n *store.Network) { n.Name = "a b" }, lab.Invalid, "a network name"},
		"a name that is taken": {func(n *store.Network) { n.Name = "Other" }, lab.Conflict, "of that name already"},
		"no subnet":            {func(n *store.Network) { n.Subnet = "" }, lab.Invalid, `"" is not an IPv4 subnet`},
		"a subnet of IPv6":     {func(n *store.Network) { n.Subnet = "fd00::/64" }, lab.Invalid, "is not an IPv4 subnet"},
		"a host's address":     {func(n *store.Network) { n.Subnet = "10.0.0.1/24" }, lab.Invalid, "10.0.0.0/24 is"},
		"an overlap":           {func(n *store.Network) { *n = store.Network{Name: "lab", Subnet: "10.0.0.0/8"} }, lab.Conflict, "overlaps 10.9.0.0/16 of network other"},
		"a gateway outside":    {func(n *store.Network) { n.Gateway = "10.0.1.1" }, lab.Invalid, "gateway 10.0.1.1 is no address of a host in 10.0.0.0/24"},
		"a gateway for all":    {func(n *store.Network) { n.Gateway = "10.0.0.255" }, lab.Invalid, "gateway 10.0.0.255"},
		"a gateway by name":    {func(n *store.Network) { n.Gateway = "router" }, lab.Invalid, `"router" is not an IPv4 address`},
		"a nameserver by name": {func(n *store.Network) { n.Nameservers = []string{"dns"} }, lab.Invalid, `nameserver: "dns"`},
		"many nameservers":     {func(n *store.Network) { n.Nameservers = strings.Fields(strings.Repeat("10.0.0.2 ", 9)) }, lab.Invalid, "at most 8"},
		"a domain with spaces": {func(n *store.Network) { n.Domain = "a b" }, lab.Invalid, "no domain name"},
		"a pool outside":       {func(n *store.Network) { n.DHCPPool = "10.0.0.200-10.0.1.9" }, lab.Invalid, "the DHCP pool 10.0.0.200-10.0.1.9 is not inside 10.0.0.0/24"},
		"a pool backwards":     {func(n *store.Network) { n.DHCPPool = "10.0.0.9-10.0.0.8" }, lab.Invalid, "ends before it begins"},
		"a pool of words":      {func(n *store.Network) { n.StaticPool = "all" }, lab.Invalid, `static pool: "all" is no range`},
		"a pool of IPv6":       {func(n *store.Network) { n.StaticPool = "::1-::2" }, lab.Invalid, "is no range of IPv4 addresses"},
		"pools that overlap":   {func(n *store.Network) { n.DHCPPool = "10.0.0.67-10.0.0.80" }, lab.Invalid, "the DHCP pool 10.0.0.67-10.0.0.80 overlaps the reserved pool 10.0.0.64/30"},
		"a huge pool": {func(n *store.Network) {
			*n = store.Network{Name: "lab", Subnet: "10.0.0.0/8", DHCPPool: "10.1.0.0-10.2.0.0"}
		}, lab.Invalid, "at most 65536"},
		"a short lease": {func(n *store.Network) { n.LeaseTime = 1 }, lab.Invalid, "a lease time of 1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			n := testNetwork()
			test.change(&n)
			err := f.AddNetwork(t.Context(), f.admin, n)
			if lab.CodeOf(err) != test.code || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("%s: %v", lab.CodeOf(err), err)
			}
		})
	}
	if networks, err := f.Networks(t.Context(), f.ada); err != nil || len(networks) != 1 {
		t.Errorf("networks: %v, %v", networks, err)
	}
}

func TestOnlyAdminsChangeNetworks(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddNetwork(t.Context(), f.admin, testNetwork()))
	for what, err := range map[string]error{
		"add":    f.AddNetwork(t.Context(), f.ada, store.Network{Name: "x", Subnet: "10.1.0.0/24"}),
		"change": f.ChangeNetwork(t.Context(), f.ada, "lab", func(n *store.Network) { n.Domain = "" }),
		"delete": f.DeleteNetwork(t.Context(), f.ada, "lab"),
	} {
		if lab.CodeOf(err) != lab.Denied {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.must(f.ChangeNetwork(t.Context(), f.admin, "LAB", func(n *store.Network) { n.Name, n.Nameservers = "Lab", nil }))
	networks, err := f.Networks(t.Context(), f.ada)
	f.must(err)
	want := testNetwork()
	want.Name, want.Nameservers = "Lab", nil
	if got := networks[0]; got.Name != "Lab" || len(got.Nameservers) != 0 || got.Subnet != want.Subnet || got.LeaseTime.Hours() != 1 || got.DHCPPool != want.DHCPPool {
		t.Errorf("network: %+v", got)
	}
	f.must(f.DeleteNetwork(t.Context(), f.admin, "Lab"))
	if err := f.DeleteNetwork(t.Context(), f.admin, "Lab"); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("second delete: %v", err)
	}
}

// set changes the only interface of a machine.
func (f *fixture) setInterface(actor lab.Actor, machine string, kind, ipv4 string) (store.Interface, error) {
	return f.SetInterface(f.t.Context(), actor, machine, "", lab.InterfaceChange{ConfigType: &kind, IPv4: &ipv4})
}

// inNetwork adds the test's network and puts all machines into it.
func (f *fixture) inNetwork() {
	f.t.Helper()
	f.must(f.AddNetwork(f.t.Context(), f.admin, testNetwork()))
	name := "lab"
	for _, machine := range []string{"web-01", "web-02", "arm-01"} {
		_, err := f.SetInterface(f.t.Context(), f.admin, machine, "", lab.InterfaceChange{Network: &name})
		f.must(err)
	}
}

func TestAnInterfaceIsChanged(t *testing.T) {
	f := newFixture(t)
	same := "lab"
	static, auto := lab.ConfigStatic, lab.AutoIPv4
	if _, err := f.SetInterface(t.Context(), f.admin, "web-01", "", lab.InterfaceChange{ConfigType: &static, IPv4: &auto}); lab.CodeOf(err) != lab.Invalid {
		t.Errorf("an address in no network: %v", err)
	}
	f.inNetwork()
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	name := "enp1s0"
	i, err := f.SetInterface(t.Context(), f.ada, "web-01", "5254.0000.0001", lab.InterfaceChange{ConfigType: &static, IPv4: &auto, Identifier: &name})
	f.must(err)
	if i.ConfiguredIPv4 != "10.0.0.10" || i.Identifier != name || i.Network != "lab" || i.Gateway != "10.0.0.1" || i.Domain != "lab.example.org" || len(i.Nameservers) != 2 {
		t.Errorf("interface: %+v", i)
	}
	if kept := f.machine("web-01").Interfaces[0]; kept.ConfiguredIPv4 != i.ConfiguredIPv4 || kept.ConfigType != static || kept.Identifier != name || kept.Subnet != "10.0.0.0/24" {
		t.Errorf("kept: %+v", kept)
	}
	if again, err := f.setInterface(f.ada, "web-01", static, auto); err != nil || again.ConfiguredIPv4 != i.ConfiguredIPv4 {
		t.Errorf("auto again: %s, %v", again.ConfiguredIPv4, err)
	}

	long, escape := strings.Repeat("x", 65), "eth0\x1b[2J"
	nowhere, elsewhere := "nowhere", ""
	for name, test := range map[string]struct {
		actor   lab.Actor
		machine string
		mac     string
		change  lab.InterfaceChange
		code    lab.Code
	}{
		"somebody else's machine":  {f.grace, "web-01", "", lab.InterfaceChange{Identifier: &same}, lab.Denied},
		"no machine":               {f.admin, "web-99", "", lab.InterfaceChange{Identifier: &same}, lab.NotFound},
		"another machine's MAC":    {f.ada, "web-01", "52:54:00:00:00:02", lab.InterfaceChange{Identifier: &same}, lab.NotFound},
		"no MAC":                   {f.ada, "web-01", "eth0", lab.InterfaceChange{Identifier: &same}, lab.Invalid},
		"a network by a holder":    {f.ada, "web-01", "", lab.InterfaceChange{Network: &elsewhere}, lab.Denied},
		"no such network":          {f.admin, "web-01", "", lab.InterfaceChange{Network: &nowhere}, lab.NotFound},
		"a long identifier":        {f.ada, "web-01", "", lab.InterfaceChange{Identifier: &long}, lab.Invalid},
		"an escape sequence":       {f.ada, "web-01", "", lab.InterfaceChange{Identifier: &escape}, lab.Invalid},
		"no such type":             {f.ada, "web-01", "", lab.InterfaceChange{ConfigType: &nowhere}, lab.Invalid},
		"out of the network":       {f.admin, "web-01", "", lab.InterfaceChange{Network: &elsewhere}, lab.Invalid},
		"no address for a static":  {f.ada, "web-01", "", lab.InterfaceChange{IPv4: &elsewhere}, lab.Invalid},
		"an address for a dynamic": {f.ada, "web-01", "", lab.InterfaceChange{ConfigType: ptr(lab.ConfigDynamic), IPv4: ptr("10.0.0.9")}, lab.Invalid},
		"an address elsewhere":     {f.ada, "web-01", "", lab.InterfaceChange{IPv4: ptr("10.0.1.9")}, lab.Invalid},
		"the broadcast address":    {f.ada, "web-01", "", lab.InterfaceChange{IPv4: ptr("10.0.0.255")}, lab.Invalid},
		"the subnet's address":     {f.ada, "web-01", "", lab.InterfaceChange{IPv4: ptr("10.0.0.0")}, lab.Invalid},
		"the gateway's address":    {f.ada, "web-01", "", lab.InterfaceChange{IPv4: ptr("10.0.0.1")}, lab.Conflict},
		"a nameserver's address":   {f.ada, "web-01", "", lab.InterfaceChange{IPv4: ptr("10.0.0.2")}, lab.Conflict},
		"an address of IPv6":       {f.ada, "web-01", "", lab.InterfaceChange{IPv4: ptr("fd00::1")}, lab.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := f.SetInterface(t.Context(), test.actor, test.machine, test.mac, test.change); lab.CodeOf(err) != test.code || err == nil {
				t.Errorf("%v", err)
			}
		})
	}
	if kept := f.machine("web-01").Interfaces[0]; kept.ConfiguredIPv4 != i.ConfiguredIPv4 || kept.Network != "lab" {
		t.Errorf("a refusal changed it: %+v", kept)
	}
	f.must(f.lend(stranger(1), "10.0.0.130"))
	if _, err := f.setInterface(f.ada, "web-01", static, "10.0.0.130"); lab.CodeOf(err) != lab.Conflict || !strings.Contains(err.Error(), "is lent to 52:54:00:ff:00:01 until 2026-") {
		t.Errorf("an address that is lent: %v", err)
	}
	dynamic, err := f.SetInterface(t.Context(), f.ada, "web-01", "", lab.InterfaceChange{ConfigType: ptr(lab.ConfigDynamic)})
	if err != nil || dynamic.ConfiguredIPv4 != "" {
		t.Errorf("dynamic: %+v, %v", dynamic, err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestAddressesOfAPoolRunOut(t *testing.T) {
	f := newFixture(t)
	f.inNetwork()
	f.must(f.ChangeNetwork(t.Context(), f.admin, "lab", func(n *store.Network) { n.ReservedPool = "10.0.0.64-10.0.0.65" }))
	var wait sync.WaitGroup
	errs := make([]error, 3)
	for n, machine := range []string{"web-01", "web-02", "arm-01"} {
		wait.Go(func() { _, errs[n] = f.setInterface(f.admin, machine, lab.ConfigReserved, lab.AutoIPv4) })
	}
	wait.Wait()
	if err := errors.Join(errs...); lab.CodeOf(err) != lab.Conflict || strings.Count(err.Error(), "no address is free in the pool 10.0.0.64-10.0.0.65 of network lab") != 1 {
		t.Errorf("three machines and two addresses: %v", err)
	}
	err := f.ChangeNetwork(t.Context(), f.admin, "lab", func(n *store.Network) { n.Subnet, n.DHCPPool, n.ReservedPool = "10.0.0.0/26", "", "" })
	if lab.CodeOf(err) != lab.Conflict || !strings.Contains(err.Error(), "has the address 10.0.0.6") {
		t.Errorf("a subnet without its machines: %v", err)
	}
	if err := f.DeleteNetwork(t.Context(), f.admin, "lab"); lab.CodeOf(err) != lab.Conflict || !strings.Contains(err.Error(), "arm-01, web-01, web-02") {
		t.Errorf("delete: %v", err)
	}
}

// TestTheHookFollowsReservedAddresses asks as Kea and mr-provisioner's plugin do.
func TestTheHookFollowsReservedAddresses(t *testing.T) {
	f := newFixture(t)
	mac, err := boot.ParseMAC("52:54:00:00:00:01")
	f.must(err)
	request := boot.SubnetRequest{MAC: mac, Subnets: []boot.DHCPSubnet{
		{ID: 1, Prefix: netip.MustParsePrefix("10.9.0.0/16"), First: []netip.Addr{netip.MustParseAddr("10.9.0.9")}},
		{ID: 2, Prefix: netip.MustParsePrefix("10.0.0.0/24"), First: []netip.Addr{netip.MustParseAddr("10.0.0.128")}},
		{ID: 3, Prefix: netip.MustParsePrefix("10.0.0.0/25"), First: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.65")}},
	}}
	if _, err := f.DHCP().Subnet(t.Context(), request); !errors.Is(err, boot.ErrUnknownMAC) {
		t.Errorf("a machine in no network: %v", err)
	}
	f.inNetwork()
	if got, err := f.DHCP().Subnet(t.Context(), request); err != nil || !got.Any {
		t.Errorf("no reserved address: %+v, %v", got, err)
	}
	_, err = f.setInterface(f.admin, "web-01", lab.ConfigReserved, lab.AutoIPv4)
	f.must(err)
	if got, err := f.DHCP().Subnet(t.Context(), request); err != nil || got != (boot.SubnetAnswer{ID: 3, Found: true}) {
		t.Errorf("reserved: %+v, %v", got, err)
	}
	request.Subnets = request.Subnets[:2]
	if got, err := f.DHCP().Subnet(t.Context(), request); err != nil || got != (boot.SubnetAnswer{}) {
		t.Errorf("no subnet of the DHCP server's: %+v, %v", got, err)
	}
	answer, err := f.DHCP().Answer(t.Context(), mac)
	if err != nil || answer.IPv4 != netip.MustParseAddr("10.0.0.64") || answer.Hostname != "web-01" {
		t.Errorf("answer: %+v, %v", answer, err)
	}
	_, err = f.setInterface(f.admin, "web-01", lab.ConfigStatic, lab.AutoIPv4)
	f.must(err)
	if answer, err = f.DHCP().Answer(t.Context(), mac); err != nil || answer.IPv4.IsValid() {
		t.Errorf("static: %+v, %v", answer, err)
	}
}
