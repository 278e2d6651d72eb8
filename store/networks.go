package store

import (
	"context"
	"strings"
	"time"
)

// Network is a subnet that machines are in. Its pools are ranges of the
// subnet, as 10.0.0.100-10.0.0.199 or 10.0.0.128/25; empty: none.
type Network struct {
	ID           int64
	Name         string
	Subnet       string // 10.0.0.0/16
	StaticPool   string // of addresses that operating systems are configured with
	ReservedPool string // of addresses that DHCP servers lend to one machine each
	DHCPPool     string // of addresses that our own DHCP server lends to whoever asks
	Gateway      string // empty: none
	Nameservers  []string
	Domain       string        // empty: none
	LeaseTime    time.Duration // of our own DHCP server; whole seconds
	KnownOnly    bool          // our own DHCP server lends to machines only
}

const selectNetwork = `SELECT id, name, subnet_v4, static_pool, reserved_pool, dhcp_pool, gateway, nameservers, domain, lease_time, known_only
	FROM networks `

func scanNetwork(r row) (n Network, err error) {
	var nameservers string
	var leaseTime int64
	err = r.Scan(&n.ID, &n.Name, &n.Subnet, &n.StaticPool, &n.ReservedPool, &n.DHCPPool, &n.Gateway, &nameservers, &n.Domain, &leaseTime, &n.KnownOnly)
	n.Nameservers, n.LeaseTime = strings.Fields(nameservers), time.Duration(leaseTime)*time.Second
	return n, err
}

// Networks returns all networks by name.
func (tx *Tx) Networks(ctx context.Context) ([]Network, error) {
	return all(ctx, tx, scanNetwork, selectNetwork+`ORDER BY name`)
}

// Network returns the one of that name.
func (tx *Tx) Network(ctx context.Context, name string) (Network, error) {
	return one(ctx, tx, scanNetwork, selectNetwork+`WHERE name = ?`, name)
}

// AddNetwork returns the id of the new network. [ErrExists] where there is one
// of that name.
func (tx *Tx) AddNetwork(ctx context.Context, n Network) (int64, error) {
	return tx.insert(ctx, `INSERT INTO networks (name, subnet_v4, static_pool, reserved_pool, dhcp_pool, gateway, nameservers, domain, lease_time, known_only)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, n.Name, n.Subnet, n.StaticPool, n.ReservedPool, n.DHCPPool, n.Gateway,
		strings.Join(n.Nameservers, " "), n.Domain, int64(n.LeaseTime/time.Second), n.KnownOnly)
}

// UpdateNetwork changes all of a network but its id.
func (tx *Tx) UpdateNetwork(ctx context.Context, n Network) error {
	return tx.change(ctx, `UPDATE networks SET name = ?, subnet_v4 = ?, static_pool = ?, reserved_pool = ?, dhcp_pool = ?, gateway = ?,
		nameservers = ?, domain = ?, lease_time = ?, known_only = ? WHERE id = ?`, n.Name, n.Subnet, n.StaticPool, n.ReservedPool, n.DHCPPool,
		n.Gateway, strings.Join(n.Nameservers, " "), n.Domain, int64(n.LeaseTime/time.Second), n.KnownOnly, n.ID)
}

// DeleteNetwork fails with [ErrInUse] where an interface is in it.
func (tx *Tx) DeleteNetwork(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM networks WHERE id = ?`, id)
}

// ConfiguredAddress is an address that an interface has in a network.
type ConfiguredAddress struct {
	Machine string
	MAC     string
	IPv4    string // empty: the interface is in the network, without an address
}

// NetworkAddresses returns one for each interface that is in a network, in the
// order of their machines' names.
func (tx *Tx) NetworkAddresses(ctx context.Context, id int64) ([]ConfiguredAddress, error) {
	return all(ctx, tx, func(r row) (a ConfiguredAddress, err error) {
		return a, r.Scan(&a.Machine, &a.MAC, &a.IPv4)
	}, `SELECT machines.name, mac, COALESCE(configured_ipv4, '') FROM interfaces
		JOIN machines ON machines.id = interfaces.machine_id WHERE network_id = ? ORDER BY machines.name, mac`, id)
}

// InterfaceAt returns the MAC address of the interface that has an address in
// a network.
func (tx *Tx) InterfaceAt(ctx context.Context, networkID int64, ipv4 string) (string, error) {
	return one(ctx, tx, func(r row) (mac string, err error) { return mac, r.Scan(&mac) },
		`SELECT mac FROM interfaces WHERE network_id = ? AND configured_ipv4 = ?`, networkID, ipv4)
}
