package store

import (
	"context"
	"encoding/json"

	"provisioner/query"
)

// MachineFilter says which machines are wanted. The zero value is all of them.
type MachineFilter struct {
	Query query.Query

	// On and Off are the ids of the machines whose power is known, for a
	// query that uses it: the store does not know it.
	On, Off []int64

	After string // only machines whose names come after this one
	Limit int    // at most so many; 0: all
}

// FindMachines returns the machines that answer a filter, in the order of their
// names, with who holds them.
func (tx *Tx) FindMachines(ctx context.Context, f MachineFilter) ([]Machine, error) {
	c := condition{args: []any{f.After}, on: f.On, off: f.Off}
	where, err := c.node(f.Query.Root())
	if err != nil {
		return nil, err
	}
	limit := -1 // SQLite's word for none
	if f.Limit > 0 {
		limit = f.Limit
	}
	// What is shown of a machine is looked up for those of the page only.
	machines, err := all(ctx, tx, scanMachine, selectMachine+`WHERE machines.id IN (
		SELECT machines.id FROM machines WHERE machines.name > ? AND `+where+` ORDER BY machines.name LIMIT ?)
		ORDER BY machines.name`, append(c.args, limit)...)
	if err != nil || len(machines) == 0 {
		return machines, err
	}
	ids := make([]int64, len(machines))
	for i, m := range machines {
		ids[i] = m.ID
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	holders, err := tx.holders(ctx, `WHERE reservations.ended_at IS NULL
		AND reservations.machine_id IN (SELECT value FROM json_each(?))`, string(list))
	for i := range machines {
		machines[i].Holders = holders[machines[i].ID]
	}
	return machines, err
}
