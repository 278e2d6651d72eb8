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

// MachineBMC returns how the management controller of a machine is reached,
// and [ErrNotFound] where it has none.
func (tx *Tx) MachineBMC(ctx context.Context, machineID int64) (BMC, error) {
	return one(ctx, tx, func(r row) (b BMC, err error) {
		return b, r.Scan(&b.ID, &b.Type, &b.Address, &b.Username, &b.Password, &b.Slot, moment{&b.CreatedAt},
			&b.CipherSuites, &b.KG, &b.Privilege)
	}, `SELECT bmcs.id, type, address, username, password, bmc_slot, bmcs.created_at, cipher_suites, kg, privilege
		FROM bmcs JOIN machines ON machines.bmc_id = bmcs.id WHERE machines.id = ?`, machineID)
}

// SetMachineBMC gives a machine its management controller: a new one where
// b.ID is 0, else the one of that id is changed.
func (tx *Tx) SetMachineBMC(ctx context.Context, machineID int64, b BMC) (err error) {
	if b.ID != 0 {
		err = tx.change(ctx, `UPDATE bmcs SET type = ?, address = ?, username = ?, password = ?,
			cipher_suites = ?, kg = ?, privilege = ? WHERE id = ?`,
			b.Type, b.Address, b.Username, b.Password, b.CipherSuites, b.KG, b.Privilege, b.ID)
	} else {
		b.ID, err = tx.insert(ctx, `INSERT INTO bmcs (type, address, username, password, created_at,
			cipher_suites, kg, privilege) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			b.Type, b.Address, b.Username, b.Password, millis(b.CreatedAt), b.CipherSuites, b.KG, b.Privilege)
	}
	if err != nil {
		return err
	}
	return tx.change(ctx, `UPDATE machines SET bmc_id = ?, bmc_slot = ? WHERE id = ?`, b.ID, b.Slot, machineID)
}
