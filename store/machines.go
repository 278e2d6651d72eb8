package store

import (
	"context"
	"database/sql"
	"time"
)

// MachineState is how far a machine is in its life with an operating system.
type MachineState string

const (
	StateUnknown      MachineState = "unknown" // never provisioned by us
	StateProvisioning MachineState = "provisioning"
	StateReady        MachineState = "ready"
	StateError        MachineState = "error"
)

// ConsoleMode is when a machine's console is connected.
type ConsoleMode string

const (
	ConsoleDefault  ConsoleMode = "" // as the site has it
	ConsoleAlways   ConsoleMode = "always"
	ConsoleOnDemand ConsoleMode = "on-demand" // while somebody watches, or a run goes on
)

// Machine is a machine as it is configured, and who holds it.
type Machine struct {
	ID             int64
	Name           string
	Arch           string
	Subarch        string
	SubarchID      int64
	EFIBoot        bool  // the BMC is asked for a UEFI boot
	BootloaderID   int64 // of the subarchitecture; 0: none
	BMCID          int64 // 0: none
	State          MachineState
	NetbootEnabled bool
	KernelID       int64 // 0: none, as for the others
	InitrdID       int64
	KernelOptions  string
	PreseedID      int64
	Console        ConsoleMode
	CreatedAt      time.Time
	Stage          string   // how far its run has come; empty: none goes on
	Holders        []Holder // the longest first
}

// Holder is a user who holds a machine.
type Holder struct {
	ReservationID int64
	UserID        int64
	User          string
	Reason        string
	Since         time.Time
	Until         time.Time // when the term ends; zero: it has none
	LentBy        string    // who lent it to them; empty: nobody
}

// HeldBy reports whether the user is among the holders.
func (m Machine) HeldBy(userID int64) bool {
	for _, h := range m.Holders {
		if h.UserID == userID {
			return true
		}
	}
	return false
}

const selectMachine = `SELECT machines.id, machines.name, architectures.name, subarchitectures.name,
	machines.subarch_id, subarchitectures.efi_boot, subarchitectures.bootloader_id, machines.bmc_id,
	machines.state, machines.netboot_enabled, machines.kernel_id, machines.initrd_id,
	machines.kernel_options, machines.preseed_id, machines.console, machines.created_at, coalesce(runs.stage, '')
	FROM machines
	LEFT JOIN runs ON runs.machine_id = machines.id AND runs.state = 'running'
	JOIN subarchitectures ON subarchitectures.id = machines.subarch_id
	JOIN architectures ON architectures.id = subarchitectures.arch_id `

func scanMachine(r row) (m Machine, err error) {
	var bootloader, bmc, kernel, initrd, preseed sql.NullInt64
	err = r.Scan(&m.ID, &m.Name, &m.Arch, &m.Subarch, &m.SubarchID, &m.EFIBoot, &bootloader, &bmc,
		&m.State, &m.NetbootEnabled, &kernel, &initrd, &m.KernelOptions, &preseed, &m.Console, moment{&m.CreatedAt}, &m.Stage)
	m.BootloaderID, m.BMCID = bootloader.Int64, bmc.Int64
	m.KernelID, m.InitrdID, m.PreseedID = kernel.Int64, initrd.Int64, preseed.Int64
	return m, err
}

// Machines returns all machines by name.
func (tx *Tx) Machines(ctx context.Context) ([]Machine, error) {
	machines, err := all(ctx, tx, scanMachine, selectMachine+`ORDER BY machines.name`)
	if err != nil {
		return nil, err
	}
	holders, err := tx.holders(ctx, `WHERE reservations.ended_at IS NULL`)
	if err != nil {
		return nil, err
	}
	for i := range machines {
		machines[i].Holders = holders[machines[i].ID]
	}
	return machines, nil
}

// Machine returns the machine of that name, without regard to case.
func (tx *Tx) Machine(ctx context.Context, name string) (Machine, error) {
	return tx.machine(ctx, `WHERE machines.name = ?`, name)
}

// MachineByID returns a machine.
func (tx *Tx) MachineByID(ctx context.Context, id int64) (Machine, error) {
	return tx.machine(ctx, `WHERE machines.id = ?`, id)
}

// MachineByMAC returns the machine that has an interface with this address
// (aa:bb:cc:dd:ee:ff).
func (tx *Tx) MachineByMAC(ctx context.Context, mac string) (Machine, error) {
	return tx.machine(ctx, `WHERE machines.id = (SELECT machine_id FROM interfaces WHERE mac = ?)`, mac)
}

func (tx *Tx) machine(ctx context.Context, where string, arg any) (Machine, error) {
	m, err := one(ctx, tx, scanMachine, selectMachine+where, arg)
	if err != nil {
		return Machine{}, err
	}
	holders, err := tx.holders(ctx, `WHERE reservations.ended_at IS NULL AND reservations.machine_id = ?`, m.ID)
	m.Holders = holders[m.ID]
	return m, err
}

// AddMachine keeps a new machine and returns its id. [ErrExists] where the name is taken.
func (tx *Tx) AddMachine(ctx context.Context, m Machine) (int64, error) {
	return tx.insert(ctx, `INSERT INTO machines (id, name, subarch_id, state, created_at) VALUES (`+nextID("machines")+`, ?, ?, ?, ?)`,
		m.Name, m.SubarchID, m.State, millis(m.CreatedAt))
}

// SetMachineIdentity keeps the name and the subarchitecture of a machine. What
// happened to it is found under its new name. [ErrExists] where that is taken.
func (tx *Tx) SetMachineIdentity(ctx context.Context, id int64, name string, subarchID int64) error {
	_, err := tx.tx.ExecContext(ctx, `UPDATE events SET machine = ?1
		WHERE machine = (SELECT name FROM machines WHERE id = ?2 AND name <> ?1 COLLATE BINARY)`, name, id)
	if err != nil {
		return plain(err)
	}
	return tx.change(ctx, `UPDATE machines SET name = ?, subarch_id = ? WHERE id = ?`, name, subarchID, id)
}

// DeleteMachine forgets a machine with its interfaces and runs. What happened
// to it stays, under its name. Its id is never given again.
func (tx *Tx) DeleteMachine(ctx context.Context, id int64) error {
	if err := tx.spendID(ctx, "machines", id); err != nil {
		return err
	}
	return tx.change(ctx, `DELETE FROM machines WHERE id = ?`, id)
}

// RemoveInterface takes an interface from a machine.
func (tx *Tx) RemoveInterface(ctx context.Context, machineID int64, mac string) error {
	return tx.change(ctx, `DELETE FROM interfaces WHERE machine_id = ? AND mac = ?`, machineID, mac)
}

// UpdateMachine keeps the state, boot settings and console mode of a machine.
func (tx *Tx) UpdateMachine(ctx context.Context, m Machine) error {
	return tx.change(ctx, `UPDATE machines SET state = ?, netboot_enabled = ?, kernel_id = ?, initrd_id = ?,
		kernel_options = ?, preseed_id = ?, console = ? WHERE id = ?`,
		m.State, m.NetbootEnabled, optionalID(m.KernelID), optionalID(m.InitrdID), m.KernelOptions,
		optionalID(m.PreseedID), m.Console, m.ID)
}
