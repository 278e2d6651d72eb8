package store

import (
	"context"
	"database/sql"
	"time"
)

// Preseed is a template of the answers that an installer is given.
type Preseed struct {
	ID          int64
	Name        string
	Type        string // preseed, kickstart, autoyast, cloud-init or ignition
	Description string
	Content     string // Jinja2; empty where a list of preseeds was asked for
	UserID      int64  // its owner; 0: nobody who still is
	Owner       string // the name of that user
	KnownGood   bool
	Public      bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

func scanPreseed(r row) (p Preseed, err error) {
	var user sql.NullInt64
	err = r.Scan(&p.ID, &p.Name, &p.Type, &p.Description, &p.Content, &user, &p.Owner, &p.KnownGood, &p.Public,
		moment{&p.CreatedAt}, moment{&p.UpdatedAt})
	p.UserID = user.Int64
	return p, err
}

const (
	preseedColumns = `preseeds.user_id, coalesce(users.name, ''), preseeds.known_good, preseeds.public,
	preseeds.created_at, preseeds.updated_at FROM preseeds LEFT JOIN users ON users.id = preseeds.user_id `

	selectPreseed  = `SELECT preseeds.id, preseeds.name, preseeds.type, preseeds.description, preseeds.content, ` + preseedColumns
	selectPreseeds = `SELECT preseeds.id, preseeds.name, preseeds.type, preseeds.description, '', ` + preseedColumns
)

// Preseeds returns all preseeds by name, without their contents.
func (tx *Tx) Preseeds(ctx context.Context) ([]Preseed, error) {
	return all(ctx, tx, scanPreseed, selectPreseeds+`ORDER BY preseeds.name`)
}

// Preseed returns a preseed.
func (tx *Tx) Preseed(ctx context.Context, id int64) (Preseed, error) {
	return one(ctx, tx, scanPreseed, selectPreseed+`WHERE preseeds.id = ?`, id)
}

// PreseedByName returns the preseed of that name, without regard to case.
func (tx *Tx) PreseedByName(ctx context.Context, name string) (Preseed, error) {
	return one(ctx, tx, scanPreseed, selectPreseed+`WHERE preseeds.name = ?`, name)
}

// AddPreseed keeps a new preseed and returns its id. [ErrExists] where the name is taken.
func (tx *Tx) AddPreseed(ctx context.Context, p Preseed) (int64, error) {
	return tx.insert(ctx, `INSERT INTO preseeds (name, type, description, content, user_id, known_good, public,
		created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, p.Name, p.Type, p.Description, p.Content,
		optionalID(p.UserID), p.KnownGood, p.Public, millis(p.CreatedAt), millis(p.UpdatedAt))
}

// UpdatePreseed keeps all of a preseed but its owner and when it came.
// [ErrExists] where the name is taken.
func (tx *Tx) UpdatePreseed(ctx context.Context, p Preseed) error {
	return tx.change(ctx, `UPDATE preseeds SET name = ?, type = ?, description = ?, content = ?, known_good = ?, public = ?,
		updated_at = ? WHERE id = ?`,
		p.Name, p.Type, p.Description, p.Content, p.KnownGood, p.Public, millis(p.UpdatedAt), p.ID)
}

// DeletePreseed forgets a preseed. [ErrInUse] where a machine refers to it.
func (tx *Tx) DeletePreseed(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM preseeds WHERE id = ?`, id)
}

// PreseedUse is what refers to a preseed, each by name and in order.
type PreseedUse struct {
	Running  []string // machines that a run is installing with it now
	Machines []string // machines whose last choice it was, without those
}

// None reports whether nothing refers to the preseed.
func (u PreseedUse) None() bool { return len(u.Running)+len(u.Machines) == 0 }

// PreseedUse returns what refers to a preseed.
func (tx *Tx) PreseedUse(ctx context.Context, id int64) (use PreseedUse, err error) {
	use.Running, err = all(ctx, tx, scanText, `SELECT machines.name FROM runs JOIN machines ON machines.id = runs.machine_id
		WHERE runs.state = 'running' AND runs.preseed_id = ? ORDER BY machines.name`, id)
	if err != nil {
		return use, err
	}
	use.Machines, err = all(ctx, tx, scanText, `SELECT name FROM machines WHERE preseed_id = ?1 AND NOT EXISTS (
		SELECT 1 FROM runs WHERE runs.machine_id = machines.id AND runs.state = 'running' AND runs.preseed_id = ?1
		) ORDER BY name`, id)
	return use, err
}

// ForgetPreseedChoice makes machines forget that they were last installed with
// a preseed.
func (tx *Tx) ForgetPreseedChoice(ctx context.Context, id int64) error {
	_, err := tx.tx.ExecContext(ctx, `UPDATE machines SET preseed_id = NULL WHERE preseed_id = ?`, id)
	return plain(err)
}

func scanText(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// MachinesByAddress returns the ids of the machines that have this IPv4
// address: by a lease that is not over, or because it is set for an interface.
func (tx *Tx) MachinesByAddress(ctx context.Context, ipv4 string, now time.Time) ([]int64, error) {
	return all(ctx, tx, func(r row) (id int64, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT machine_id FROM leases JOIN interfaces ON interfaces.mac = leases.mac WHERE leases.ipv4 = ?1 AND leases.expires_at > ?2
		UNION SELECT machine_id FROM interfaces WHERE configured_ipv4 = ?1 ORDER BY 1`, ipv4, millis(now))
}
