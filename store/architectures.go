package store

import (
	"context"
	"database/sql"
	"errors"
)

// HasArch reports whether there is an architecture of that name, without
// regard to case.
func (tx *Tx) HasArch(ctx context.Context, name string) (bool, error) {
	_, err := tx.archID(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (tx *Tx) archID(ctx context.Context, name string) (int64, error) {
	return one(ctx, tx, func(r row) (id int64, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT id FROM architectures WHERE name = ?`, name)
}

// Architectures returns the names of all architectures, in order.
func (tx *Tx) Architectures(ctx context.Context) ([]string, error) {
	return all(ctx, tx, scanText, `SELECT name FROM architectures ORDER BY name`)
}

// AddArchitecture keeps a new architecture. [ErrExists] where the name is taken.
func (tx *Tx) AddArchitecture(ctx context.Context, name string) error {
	_, err := tx.insert(ctx, `INSERT INTO architectures (name) VALUES (?)`, name)
	return err
}

// DeleteArchitecture forgets an architecture and its subarchitectures.
// [ErrInUse] where a machine or an image is of it.
func (tx *Tx) DeleteArchitecture(ctx context.Context, name string) error {
	id, err := tx.archID(ctx, name)
	if err != nil {
		return err
	}
	if _, err := tx.tx.ExecContext(ctx, `DELETE FROM subarchitectures WHERE arch_id = ?`, id); err != nil {
		return plain(err)
	}
	return tx.change(ctx, `DELETE FROM architectures WHERE id = ?`, id)
}

// ArchitectureUse is what is of an architecture, each by name and in order.
type ArchitectureUse struct {
	Machines []string
	Images   []string
}

// ArchitectureUse returns what is of an architecture.
func (tx *Tx) ArchitectureUse(ctx context.Context, name string) (use ArchitectureUse, err error) {
	use.Machines, err = all(ctx, tx, scanText, `SELECT machines.name FROM machines
		JOIN subarchitectures ON subarchitectures.id = machines.subarch_id
		JOIN architectures ON architectures.id = subarchitectures.arch_id
		WHERE architectures.name = ? ORDER BY machines.name`, name)
	if err != nil {
		return use, err
	}
	use.Images, err = all(ctx, tx, scanText, `SELECT images.name FROM images
		JOIN architectures ON architectures.id = images.arch_id WHERE architectures.name = ? ORDER BY images.name`, name)
	return use, err
}

// Subarch is a firmware flavour of an architecture.
type Subarch struct {
	ID           int64
	Arch         string
	Name         string
	EFIBoot      bool   // BMCs are asked for a UEFI boot
	BootloaderID int64  // 0: none
	Bootloader   string // the name of that image
	Machines     int    // how many are of it; only [Tx.Subarchs] counts them
}

// selectSubarch selects flavours; machines is how many are of one, which is a
// look at all machines.
func selectSubarch(machines string) string {
	return `SELECT subarchitectures.id, architectures.name, subarchitectures.name, efi_boot, bootloader_id,
	coalesce(images.name, ''), ` + machines + `
	FROM subarchitectures JOIN architectures ON architectures.id = subarchitectures.arch_id
	LEFT JOIN images ON images.id = bootloader_id `
}

func scanSubarch(r row) (s Subarch, err error) {
	var bootloader sql.NullInt64
	err = r.Scan(&s.ID, &s.Arch, &s.Name, &s.EFIBoot, &bootloader, &s.Bootloader, &s.Machines)
	s.BootloaderID = bootloader.Int64
	return s, err
}

// Subarchs returns the flavours of all architectures, in order.
func (tx *Tx) Subarchs(ctx context.Context) ([]Subarch, error) {
	return all(ctx, tx, scanSubarch, selectSubarch(`(SELECT count(*) FROM machines WHERE subarch_id = subarchitectures.id)`)+`
		ORDER BY architectures.name, subarchitectures.name`)
}

// Subarch returns the flavour of that name. An unknown architecture and an
// unknown flavour are both [ErrNotFound].
func (tx *Tx) Subarch(ctx context.Context, arch, name string) (Subarch, error) {
	return one(ctx, tx, scanSubarch, selectSubarch(`0`)+`WHERE architectures.name = ? AND subarchitectures.name = ?`, arch, name)
}

// AddSubarch keeps a new flavour. [ErrNotFound] where there is no such
// architecture, [ErrExists] where it has one of that name.
func (tx *Tx) AddSubarch(ctx context.Context, s Subarch) error {
	arch, err := tx.archID(ctx, s.Arch)
	if err != nil {
		return err
	}
	_, err = tx.insert(ctx, `INSERT INTO subarchitectures (arch_id, name, efi_boot, bootloader_id) VALUES (?, ?, ?, ?)`,
		arch, s.Name, s.EFIBoot, optionalID(s.BootloaderID))
	return err
}

// UpdateSubarch keeps the name of a flavour, whether it boots by UEFI, and its
// bootloader. [ErrExists] where its architecture has another one of that name.
func (tx *Tx) UpdateSubarch(ctx context.Context, s Subarch) error {
	return tx.change(ctx, `UPDATE subarchitectures SET name = ?, efi_boot = ?, bootloader_id = ? WHERE id = ?`,
		s.Name, s.EFIBoot, optionalID(s.BootloaderID), s.ID)
}

// SetBootloader hangs a bootloader on a subarchitecture.
func (tx *Tx) SetBootloader(ctx context.Context, subarchID, imageID int64) error {
	return tx.change(ctx, `UPDATE subarchitectures SET bootloader_id = ? WHERE id = ?`, imageID, subarchID)
}

// SubarchMachines returns the names of the machines of a flavour, in order.
func (tx *Tx) SubarchMachines(ctx context.Context, id int64) ([]string, error) {
	return all(ctx, tx, scanText, `SELECT name FROM machines WHERE subarch_id = ? ORDER BY name`, id)
}

// DeleteSubarch forgets a flavour. [ErrInUse] where a machine is of it.
func (tx *Tx) DeleteSubarch(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM subarchitectures WHERE id = ?`, id)
}
