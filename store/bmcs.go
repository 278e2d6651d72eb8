package store

import (
	"context"
	"time"
)

// BMCType is what stands at the address of a BMC.
type BMCType string

const (
	BMCPlain    BMCType = "plain"    // the machine's own BMC
	BMCMoonshot BMCType = "moonshot" // the chassis manager of an HPE Moonshot
)

// BMC says how a machine's management controller is reached.
type BMC struct {
	ID        int64
	Type      BMCType
	Address   string // host or host:port
	Username  string
	Password  string
	Slot      int // the machine's cartridge of a Moonshot, else 0
	CreatedAt time.Time

	// What an admin may have said; empty: the defaults of the ipmi package.
	CipherSuites string // numbers, the preferred first, separated by commas
	KG           string // the BMC's own key: text, or 0x and hexadecimal digits
	Privilege    string // user, operator or administrator
}

const bmcColumns = `bmcs.id, bmcs.type, bmcs.address, bmcs.username, bmcs.password, bmcs.created_at, bmcs.cipher_suites, bmcs.kg, bmcs.privilege`

func scanBMC(r row) (b BMC, err error) {
	err = r.Scan(&b.ID, &b.Type, &b.Address, &b.Username, &b.Password, moment{&b.CreatedAt}, &b.CipherSuites, &b.KG, &b.Privilege, &b.Slot)
	return b, err
}

// MachineBMC returns how the management controller of a machine is reached,
// and [ErrNotFound] where it has none.
func (tx *Tx) MachineBMC(ctx context.Context, machineID int64) (BMC, error) {
	return one(ctx, tx, scanBMC, `SELECT `+bmcColumns+`, bmc_slot
		FROM bmcs JOIN machines ON machines.bmc_id = bmcs.id WHERE machines.id = ?`, machineID)
}

// BMC returns a management controller, without a slot.
func (tx *Tx) BMC(ctx context.Context, id int64) (BMC, error) {
	return one(ctx, tx, scanBMC, `SELECT `+bmcColumns+`, 0 FROM bmcs WHERE id = ?`, id)
}

// BMCAt returns the oldest management controller of that type at an address, and
// [ErrNotFound] where there is none.
func (tx *Tx) BMCAt(ctx context.Context, kind BMCType, address string) (BMC, error) {
	return one(ctx, tx, scanBMC, `SELECT `+bmcColumns+`, 0 FROM bmcs WHERE type = ? AND address = ? ORDER BY id LIMIT 1`, kind, address)
}

// HasBMC reports whether a management controller is at an IPv4 address, on
// whatever port. One that is known by a host name is not found.
func (tx *Tx) HasBMC(ctx context.Context, ipv4 string) (bool, error) {
	return one(ctx, tx, func(r row) (found bool, err error) { return found, r.Scan(&found) },
		`SELECT EXISTS (SELECT 1 FROM bmcs WHERE address = ?1 OR address LIKE ?1 || ':%')`, ipv4)
}

// BMCs returns all management controllers by address, without slots.
func (tx *Tx) BMCs(ctx context.Context) ([]BMC, error) {
	return all(ctx, tx, scanBMC, `SELECT `+bmcColumns+`, 0 FROM bmcs ORDER BY address, id`)
}

// BMCMachine is a machine that a management controller is of.
type BMCMachine struct {
	BMCID int64
	Name  string
	Slot  int // its cartridge of a Moonshot, else 0
}

// BMCMachines returns the machines of a management controller, or those of all
// where id is 0, by slot and name.
func (tx *Tx) BMCMachines(ctx context.Context, id int64) ([]BMCMachine, error) {
	return all(ctx, tx, func(r row) (m BMCMachine, err error) {
		return m, r.Scan(&m.BMCID, &m.Name, &m.Slot)
	}, `SELECT bmc_id, name, bmc_slot FROM machines WHERE bmc_id IS NOT NULL AND (?1 = 0 OR bmc_id = ?1)
		ORDER BY bmc_id, bmc_slot, name`, id)
}

// AddBMC keeps a new management controller and returns its id.
func (tx *Tx) AddBMC(ctx context.Context, b BMC) (int64, error) {
	return tx.insert(ctx, `INSERT INTO bmcs (type, address, username, password, created_at,
		cipher_suites, kg, privilege) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		b.Type, b.Address, b.Username, b.Password, millis(b.CreatedAt), b.CipherSuites, b.KG, b.Privilege)
}

// UpdateBMC keeps how a management controller is reached, for all its machines.
func (tx *Tx) UpdateBMC(ctx context.Context, b BMC) error {
	return tx.change(ctx, `UPDATE bmcs SET type = ?, address = ?, username = ?, password = ?,
		cipher_suites = ?, kg = ?, privilege = ? WHERE id = ?`,
		b.Type, b.Address, b.Username, b.Password, b.CipherSuites, b.KG, b.Privilege, b.ID)
}

// DeleteBMC forgets a management controller. [ErrInUse] where a machine has it.
func (tx *Tx) DeleteBMC(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM bmcs WHERE id = ?`, id)
}

// UseBMC has a machine be reached by a management controller; 0: by none.
func (tx *Tx) UseBMC(ctx context.Context, machineID, bmcID int64, slot int) error {
	return tx.change(ctx, `UPDATE machines SET bmc_id = ?, bmc_slot = ? WHERE id = ?`, optionalID(bmcID), slot, machineID)
}

// SetMachineBMC gives a machine its management controller: a new one where
// b.ID is 0, else the one of that id is changed.
func (tx *Tx) SetMachineBMC(ctx context.Context, machineID int64, b BMC) (err error) {
	if b.ID != 0 {
		err = tx.UpdateBMC(ctx, b)
	} else {
		b.ID, err = tx.AddBMC(ctx, b)
	}
	if err != nil {
		return err
	}
	return tx.UseBMC(ctx, machineID, b.ID, b.Slot)
}
