package store

import (
	"context"
	"database/sql"
	"time"
)

// DiscoveredMAC is an address that asked for a boot and belongs to no machine.
type DiscoveredMAC struct {
	MAC         string
	Vendor      string // empty: not known
	Hostname    string
	ClientArch  int // DHCP option 93; -1: not said
	FirstSeenAt time.Time
	LastSeenAt  time.Time
	TimesSeen   int
}

// Discovered keeps an address that was seen TimesSeen times more, at last at
// LastSeenAt. One that belongs to a machine meanwhile is left out.
func (tx *Tx) Discovered(ctx context.Context, d DiscoveredMAC) error {
	arch := sql.NullInt64{Int64: int64(d.ClientArch), Valid: d.ClientArch >= 0}
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO discovered_macs (mac, vendor, hostname, client_arch, first_seen_at, last_seen_at, times_seen)
		SELECT ?1, ?2, ?3, ?4, ?5, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM interfaces WHERE mac = ?1)
		ON CONFLICT (mac) DO UPDATE SET vendor = ?2, hostname = ?3, client_arch = ?4, last_seen_at = ?5, times_seen = times_seen + ?6`,
		d.MAC, d.Vendor, d.Hostname, arch, millis(d.LastSeenAt), d.TimesSeen)
	return plain(err)
}

// DiscoveredMACs returns the discovered addresses, the one seen last first.
func (tx *Tx) DiscoveredMACs(ctx context.Context) ([]DiscoveredMAC, error) {
	return all(ctx, tx, func(r row) (d DiscoveredMAC, err error) {
		var arch sql.NullInt64
		err = r.Scan(&d.MAC, &d.Vendor, &d.Hostname, &arch, moment{&d.FirstSeenAt}, moment{&d.LastSeenAt}, &d.TimesSeen)
		d.ClientArch = -1
		if arch.Valid {
			d.ClientArch = int(arch.Int64)
		}
		return d, err
	}, `SELECT mac, vendor, hostname, client_arch, first_seen_at, last_seen_at, times_seen
		FROM discovered_macs ORDER BY last_seen_at DESC, mac`)
}

// KeepDiscovered forgets the oldest discovered addresses until at most n are left.
func (tx *Tx) KeepDiscovered(ctx context.Context, n int) error {
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM discovered_macs WHERE mac IN (
		SELECT mac FROM discovered_macs ORDER BY last_seen_at DESC LIMIT -1 OFFSET ?)`, n)
	return plain(err)
}

// ForgetDiscovered removes an address that belongs to a machine now. It is no
// error where it was never discovered.
func (tx *Tx) ForgetDiscovered(ctx context.Context, mac string) error {
	_, err := tx.tx.ExecContext(ctx, `DELETE FROM discovered_macs WHERE mac = ?`, mac)
	return plain(err)
}
