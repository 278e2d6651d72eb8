package store

import "context"

// Disks returns the disks that people have named for a machine, as device
// paths. The first is where its system goes.
func (tx *Tx) Disks(ctx context.Context, machineID int64) ([]string, error) {
	return all(ctx, tx, scanText, `SELECT device FROM machine_disks WHERE machine_id = ? ORDER BY position`, machineID)
}

// SetDisks keeps the disks of a machine in the place of those it had.
func (tx *Tx) SetDisks(ctx context.Context, machineID int64, devices []string) error {
	if _, err := tx.tx.ExecContext(ctx, `DELETE FROM machine_disks WHERE machine_id = ?`, machineID); err != nil {
		return plain(err)
	}
	for i, device := range devices {
		if _, err := tx.insert(ctx, `INSERT INTO machine_disks (machine_id, position, device) VALUES (?, ?, ?)`, machineID, i, device); err != nil {
			return err
		}
	}
	return nil
}
