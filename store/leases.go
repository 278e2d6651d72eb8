package store

import (
	"context"
	"time"
)

// Lease is an address that a DHCP server has lent: a site's, which told us, or
// our own.
type Lease struct {
	MAC       string
	IPv4      string
	StartedAt time.Time
	ExpiresAt time.Time
}

const selectLease = `SELECT mac, ipv4, started_at, expires_at FROM leases `

func scanLease(r row) (l Lease, err error) {
	return l, r.Scan(&l.MAC, &l.IPv4, moment{&l.StartedAt}, moment{&l.ExpiresAt})
}

// Lease returns the newest lease of a MAC address (aa:bb:cc:dd:ee:ff), which
// may have ended.
func (tx *Tx) Lease(ctx context.Context, mac string) (Lease, error) {
	return one(ctx, tx, scanLease, selectLease+`WHERE mac = ?`, mac)
}

// LeaseOf returns the newest lease of an IPv4 address, which may have ended.
func (tx *Tx) LeaseOf(ctx context.Context, ipv4 string) (Lease, error) {
	return one(ctx, tx, scanLease, selectLease+`WHERE ipv4 = ? ORDER BY expires_at DESC LIMIT 1`, ipv4)
}

// Leases returns the newest of each MAC address, those that have ended, too.
func (tx *Tx) Leases(ctx context.Context) ([]Lease, error) {
	return all(ctx, tx, scanLease, selectLease+`ORDER BY mac`)
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
