package lab

import (
	"context"
	"strconv"

	"provisioner/query"
	"provisioner/store"
)

// freePage is how many free machines are looked at together.
const freePage = 100

// isFree is the query that machines answer which nobody holds.
const isFree = "(= assignee_count 0)"

// wanted is the query that a request stands for, for who may see some machines
// only. It has been checked.
func (a Actor) wanted(r ReserveRequest) string {
	q, err := query.Parse(r.Query)
	if err != nil {
		return r.Query
	}
	return a.only(q).String()
}

// find returns the machines that answer a query and a condition, by name: at
// most freePage, and only those that come after a name.
func (l *Lab) find(ctx context.Context, tx *store.Tx, text, condition, after string) ([]store.Machine, error) {
	q, err := query.Parse(text)
	if err != nil {
		return nil, fail(Invalid, "query: %w", err)
	}
	also, err := query.Parse(condition)
	if err != nil {
		return nil, err
	}
	filter := store.MachineFilter{Query: also.And(q), After: after, Limit: freePage}
	if q.Uses("power") {
		filter.On, filter.Off = l.powered()
	}
	return tx.FindMachines(ctx, filter)
}

// matches reports whether a machine answers a query.
func (l *Lab) matches(ctx context.Context, tx *store.Tx, text string, m store.Machine) (bool, error) {
	if text == "" {
		return true, nil
	}
	found, err := l.find(ctx, tx, text, "(= id "+strconv.FormatInt(m.ID, 10)+")", "")
	return len(found) > 0, err
}

// eachFree calls look for the machines that nobody holds and that are what is
// waited for at a place, by name, until it wants no more.
func (l *Lab) eachFree(ctx context.Context, tx *store.Tx, p store.Place, look func(store.Machine) (more bool, err error)) error {
	if p.MachineID != 0 {
		m, err := tx.MachineByID(ctx, p.MachineID)
		if err == nil && len(m.Holders) == 0 {
			_, err = look(m)
		}
		return err
	}
	after := ""
	for {
		machines, err := l.find(ctx, tx, p.Query, isFree, after)
		if err != nil {
			return err
		}
		for _, m := range machines {
			if more, err := look(m); err != nil || !more {
				return err
			}
			after = m.Name
		}
		if len(machines) < freePage {
			return nil
		}
	}
}
