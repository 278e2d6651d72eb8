package lab

import (
	"context"

	"provisioner/store"
)

// Lease is an address that a DHCP server has lent.
type Lease struct {
	store.Lease
	Machine string // whose interface has the MAC address; empty: no machine's
}

// Leases returns the newest lease of each MAC address in order of these, those
// that have ended, too. Whoever may log in may see those of machines; the
// others are for admins.
func (l *Lab) Leases(ctx context.Context, actor Actor) (leases []Lease, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Leases(ctx)
		if err != nil {
			return err
		}
		interfaces, err := tx.DHCPMachines(ctx)
		if err != nil {
			return err
		}
		names := make(map[string]string, len(interfaces))
		for _, i := range interfaces {
			if actor.sees(store.Machine{ID: i.MachineID, Name: i.Name, Arch: i.Arch, Subarch: i.Subarch}) {
				names[i.MAC] = i.Name
			}
		}
		for _, row := range rows {
			name := names[row.MAC]
			if name != "" || actor.IsAdmin() {
				leases = append(leases, Lease{Lease: row, Machine: name})
			}
		}
		return nil
	})
	return leases, wrap(err, "list leases")
}
