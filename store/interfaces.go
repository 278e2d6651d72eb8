package store

import (
	"context"
	"strings"
	"time"
)

// Interface is a network interface of a machine, with what is known of the
// network that it is in.
type Interface struct {
	ID             int64
	MachineID      int64
	MAC            string // aa:bb:cc:dd:ee:ff
	Identifier     string // what the operating system calls it
	ConfigType     string // static, dynamic-reserved or dynamic
	ConfiguredIPv4 string // empty: none
	LastSeenAt     time.Time

	NetworkID    int64  // 0: it is in none; then the fields below are empty
	Network      string // its name
	Subnet       string // 10.0.0.0/16
	StaticPool   string
	ReservedPool string
	Gateway      string // empty: none
	Nameservers  []string
	Domain       string

	LeaseIPv4      string // the newest address that a DHCP server lent it; empty: none
	LeaseExpiresAt time.Time
}

const selectInterface = `SELECT interfaces.id, machine_id, interfaces.mac, identifier, config_type_v4, COALESCE(configured_ipv4, ''), last_seen_at,
	COALESCE(network_id, 0), COALESCE(networks.name, ''), COALESCE(subnet_v4, ''), COALESCE(static_pool, ''), COALESCE(reserved_pool, ''),
	COALESCE(gateway, ''), COALESCE(nameservers, ''), COALESCE(domain, ''), COALESCE(leases.ipv4, ''), leases.expires_at
	FROM interfaces LEFT JOIN networks ON networks.id = interfaces.network_id LEFT JOIN leases ON leases.mac = interfaces.mac `

func scanInterface(r row) (i Interface, err error) {
	var nameservers string
	err = r.Scan(&i.ID, &i.MachineID, &i.MAC, &i.Identifier, &i.ConfigType, &i.ConfiguredIPv4, optionalTime{&i.LastSeenAt},
		&i.NetworkID, &i.Network, &i.Subnet, &i.StaticPool, &i.ReservedPool, &i.Gateway, &nameservers, &i.Domain,
		&i.LeaseIPv4, optionalTime{&i.LeaseExpiresAt})
	i.Nameservers = strings.Fields(nameservers)
	return i, err
}

// Interfaces returns those of a machine, the oldest first.
func (tx *Tx) Interfaces(ctx context.Context, machineID int64) ([]Interface, error) {
	return all(ctx, tx, scanInterface, selectInterface+`WHERE machine_id = ? ORDER BY interfaces.id`, machineID)
}

// UpdateInterface changes the network, identifier, type and address of an
// interface. [ErrExists] where another one has the address in that network.
func (tx *Tx) UpdateInterface(ctx context.Context, i Interface) error {
	return tx.change(ctx, `UPDATE interfaces SET network_id = ?, identifier = ?, config_type_v4 = ?, configured_ipv4 = NULLIF(?, '') WHERE id = ?`,
		optionalID(i.NetworkID), i.Identifier, i.ConfigType, i.ConfiguredIPv4, i.ID)
}

// AddInterface gives a machine an interface. [ErrExists] where a machine has
// one of that address.
func (tx *Tx) AddInterface(ctx context.Context, machineID int64, mac string) error {
	_, err := tx.insert(ctx, `INSERT INTO interfaces (machine_id, mac) VALUES (?, ?)`, machineID, mac)
	return err
}

// InterfaceSeen notes that an interface asked for an address.
func (tx *Tx) InterfaceSeen(ctx context.Context, mac string, at time.Time) error {
	return tx.change(ctx, `UPDATE interfaces SET last_seen_at = ? WHERE mac = ?`, millis(at), mac)
}
