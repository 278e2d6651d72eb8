package store

import "context"

// Pool is a set of machines that some groups of users may use.
type Pool struct {
	ID          int64
	Name        string
	Description string
	Machines    []string // names, in order
	Groups      []string // likewise
}

// Group is a set of users.
type Group struct {
	ID      int64
	Name    string
	Members []string // names of users, in order
}

func scanPool(r row) (p Pool, err error) { return p, r.Scan(&p.ID, &p.Name, &p.Description) }

func scanGroup(r row) (g Group, err error) { return g, r.Scan(&g.ID, &g.Name) }

// Pools returns all pools by name.
func (tx *Tx) Pools(ctx context.Context) ([]Pool, error) {
	pools, err := all(ctx, tx, scanPool, `SELECT id, name, description FROM pools ORDER BY name`)
	for i := range pools {
		if err == nil {
			err = tx.fillPool(ctx, &pools[i])
		}
	}
	return pools, err
}

// Pool returns the pool of that name, without regard to case.
func (tx *Tx) Pool(ctx context.Context, name string) (Pool, error) {
	p, err := one(ctx, tx, scanPool, `SELECT id, name, description FROM pools WHERE name = ?`, name)
	if err == nil {
		err = tx.fillPool(ctx, &p)
	}
	return p, err
}

func (tx *Tx) fillPool(ctx context.Context, p *Pool) (err error) {
	p.Machines, err = all(ctx, tx, scanText, `SELECT machines.name FROM pool_machines
		JOIN machines ON machines.id = machine_id WHERE pool_id = ? ORDER BY machines.name`, p.ID)
	if err != nil {
		return err
	}
	p.Groups, err = all(ctx, tx, scanText, `SELECT user_groups.name FROM pool_groups
		JOIN user_groups ON user_groups.id = group_id WHERE pool_id = ? ORDER BY user_groups.name`, p.ID)
	return err
}

// AddPool keeps a new, empty pool and returns its id. [ErrExists] where the name is taken.
func (tx *Tx) AddPool(ctx context.Context, name string) (int64, error) {
	return tx.insert(ctx, `INSERT INTO pools (name) VALUES (?)`, name)
}

// UpdatePool keeps what a pool is called and described as. [ErrExists] where
// the name is taken.
func (tx *Tx) UpdatePool(ctx context.Context, p Pool) error {
	return tx.change(ctx, `UPDATE pools SET name = ?, description = ? WHERE id = ?`, p.Name, p.Description, p.ID)
}

// DeletePool forgets a pool. Its machines are then for all, unless they are in
// another one.
func (tx *Tx) DeletePool(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM pools WHERE id = ?`, id)
}

// keepOrForget has a row of two ids, or has it no more.
func (tx *Tx) keepOrForget(ctx context.Context, keep bool, insert, remove string, of, id int64) error {
	query := remove
	if keep {
		query = insert
	}
	_, err := tx.tx.ExecContext(ctx, query, of, id)
	return plain(err)
}

// SetPoolMachine puts a machine into a pool, or takes it out.
func (tx *Tx) SetPoolMachine(ctx context.Context, poolID, machineID int64, in bool) error {
	return tx.keepOrForget(ctx, in,
		`INSERT INTO pool_machines (pool_id, machine_id) VALUES (?, ?) ON CONFLICT DO NOTHING`,
		`DELETE FROM pool_machines WHERE pool_id = ? AND machine_id = ?`, poolID, machineID)
}

// SetPoolGroup allows a group of users to use a pool, or not.
func (tx *Tx) SetPoolGroup(ctx context.Context, poolID, groupID int64, in bool) error {
	return tx.keepOrForget(ctx, in,
		`INSERT INTO pool_groups (pool_id, group_id) VALUES (?, ?) ON CONFLICT DO NOTHING`,
		`DELETE FROM pool_groups WHERE pool_id = ? AND group_id = ?`, poolID, groupID)
}

// SetGroupMember puts a user into a group, or takes them out.
func (tx *Tx) SetGroupMember(ctx context.Context, groupID, userID int64, in bool) error {
	return tx.keepOrForget(ctx, in,
		`INSERT INTO group_members (group_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING`,
		`DELETE FROM group_members WHERE group_id = ? AND user_id = ?`, groupID, userID)
}

// Groups returns all groups by name.
func (tx *Tx) Groups(ctx context.Context) ([]Group, error) {
	groups, err := all(ctx, tx, scanGroup, `SELECT id, name FROM user_groups ORDER BY name`)
	for i := range groups {
		if err == nil {
			err = tx.fillGroup(ctx, &groups[i])
		}
	}
	return groups, err
}

// Group returns the group of that name, without regard to case.
func (tx *Tx) Group(ctx context.Context, name string) (Group, error) {
	g, err := one(ctx, tx, scanGroup, `SELECT id, name FROM user_groups WHERE name = ?`, name)
	if err == nil {
		err = tx.fillGroup(ctx, &g)
	}
	return g, err
}

func (tx *Tx) fillGroup(ctx context.Context, g *Group) (err error) {
	g.Members, err = all(ctx, tx, scanText, `SELECT users.name FROM group_members
		JOIN users ON users.id = user_id WHERE group_id = ? ORDER BY users.name`, g.ID)
	return err
}

// AddGroup keeps a new, empty group and returns its id. [ErrExists] where the name is taken.
func (tx *Tx) AddGroup(ctx context.Context, name string) (int64, error) {
	return tx.insert(ctx, `INSERT INTO user_groups (name) VALUES (?)`, name)
}

// UpdateGroup keeps what a group is called. [ErrExists] where the name is taken.
func (tx *Tx) UpdateGroup(ctx context.Context, g Group) error {
	return tx.change(ctx, `UPDATE user_groups SET name = ? WHERE id = ?`, g.Name, g.ID)
}

// DeleteGroup forgets a group.
func (tx *Tx) DeleteGroup(ctx context.Context, id int64) error {
	return tx.change(ctx, `DELETE FROM user_groups WHERE id = ?`, id)
}

// PoolsOf returns the names of the pools that a machine is in, in order.
func (tx *Tx) PoolsOf(ctx context.Context, machineID int64) ([]string, error) {
	return all(ctx, tx, scanText, `SELECT pools.name FROM pool_machines JOIN pools ON pools.id = pool_id
		WHERE machine_id = ? ORDER BY pools.name`, machineID)
}

// MayUsePools reports whether a machine is in no pool, or in one that a group
// of the user may use.
func (tx *Tx) MayUsePools(ctx context.Context, machineID, userID int64) (may bool, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM pool_machines WHERE machine_id = ?1)
		OR EXISTS (SELECT 1 FROM pool_machines JOIN pool_groups USING (pool_id) JOIN group_members USING (group_id)
			WHERE machine_id = ?1 AND user_id = ?2)`, machineID, userID).Scan(&may)
	return may, plain(err)
}
