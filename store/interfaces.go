package store

import (
	"context"
	"database/sql"
	"time"
)

// Interface is a network interface of a machine.
type Interface struct {
	ID             int64
	MachineID      int64
	MAC            string // aa:bb:cc:dd:ee:ff
	Identifier     string // what the operating system calls it
	ConfigType     string // static, dynamic-reserved or dynamic
	ConfiguredIPv4 string // empty: none
	Subnet         string // of its network, as 10.0.0.0/16; empty: none
	LastSeenAt     time.Time
}

// Interfaces returns those of a machine, the oldest first.
func (tx *Tx) Interfaces(ctx context.Context, machineID int64) ([]Interface, error) {
	return all(ctx, tx, func(r row) (i Interface, err error) {
		var configured, subnet sql.NullString
		err = r.Scan(&i.ID, &i.MachineID, &i.MAC, &i.Identifier, &i.ConfigType, &configured, &subnet, optionalTime{&i.LastSeenAt})
		i.ConfiguredIPv4, i.Subnet = configured.String, subnet.String
		return i, err
	}, `SELECT interfaces.id, machine_id, mac, identifier, config_type_v4, configured_ipv4, subnet_v4, last_seen_at
		FROM interfaces LEFT JOIN networks ON networks.id = interfaces.network_id
		WHERE machine_id = ? ORDER BY interfaces.id`, machineID)
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

// Lease is an address that a DHCP server has lent.
type Lease struct {
	MAC       string
	IPv4      string
	StartedAt time.Time
	ExpiresAt time.Time
}

// KeepLease keeps the newest lease of a MAC address. An address that was lent
// to another one formerly is so no more.
func (tx *Tx) KeepLease(ctx context.Context, l Lease) error {
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM leases WHERE ipv4 = ? AND mac <> ?`, l.IPv4, l.MAC)
	if err != nil {
		return plain(err)
	}
	_, err = tx.tx.ExecContext(ctx, `INSERT INTO leases (mac, ipv4, started_at, expires_at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (mac) DO UPDATE SET ipv4 = ?2, started_at = ?3, expires_at = ?4`,
		l.MAC, l.IPv4, millis(l.StartedAt), millis(l.ExpiresAt))
	return plain(err)
}
