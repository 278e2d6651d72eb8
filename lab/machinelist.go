package lab

import (
	"context"

	"provisioner/query"
	"provisioner/store"
)

// MachineFilter says which machines are wanted. The zero value is all of them.
type MachineFilter struct {
	Query string // an expression of package query; empty: every machine
	Own   bool   // only those that the actor holds
}

// Page is a part of a list that is asked for.
type Page struct {
	After string // what [MachineList.Next] said; empty: from the beginning
	Limit int    // how many at most; 0: all that there are
}

// MachineList is a part of a list of machines, in the order of their names.
type MachineList struct {
	Machines []Machine
	Next     string // to be given as [Page.After]; empty: there are no more
}

// FindMachines returns the machines that answer a filter. Whoever may log in
// may see them. It is the one place that knows how a list is filtered, whoever
// shows it. A query that cannot be read is [Invalid], and the error says at
// which column.
func (l *Lab) FindMachines(ctx context.Context, actor Actor, filter MachineFilter, page Page) (MachineList, error) {
	q, err := query.Parse(filter.Query)
	if err != nil {
		return MachineList{}, fail(Invalid, "query: %w", err)
	}
	if filter.Own {
		q = query.HeldBy(actor.User.Name).And(q)
	}
	q = actor.only(q)
	wanted := store.MachineFilter{Query: q, After: page.After}
	if page.Limit > 0 {
		wanted.Limit = page.Limit + 1 // which tells whether there are more
	}
	if q.Uses("power") {
		wanted.On, wanted.Off = l.powered()
	}
	var rows []store.Machine
	err = l.store.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.FindMachines(ctx, wanted)
		return err
	})
	if err != nil {
		return MachineList{}, wrap(err, "list machines")
	}
	var list MachineList
	if page.Limit > 0 && len(rows) > page.Limit {
		rows = rows[:page.Limit]
		list.Next = rows[len(rows)-1].Name
	}
	list.Machines = make([]Machine, len(rows))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, row := range rows {
		list.Machines[i] = Machine{Machine: row, Power: l.powerLocked(row.ID)}
	}
	return list, nil
}

// powered returns the ids of the machines that are known to be on, and off.
func (l *Lab) powered() (on, off []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.machines {
		switch a.power.State {
		case PowerOn:
			on = append(on, id)
		case PowerOff:
			off = append(off, id)
		}
	}
	return on, off
}
