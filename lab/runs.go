package lab

import (
	"context"
	"strconv"

	"provisioner/store"
)

// RunFilter says which runs are wanted. Empty fields want any.
type RunFilter struct {
	Machine string // name
	User    string // name of who asked for it
	State   store.RunState

	Before int64 // only runs with a lower id: the last one's, to go on
	Limit  int   // how many at most, 1 to 1000; 0: 100
}

// Runs returns runs with the stages that they came to and when, the newest
// first. Whoever may log in may see them.
func (l *Lab) Runs(ctx context.Context, actor Actor, f RunFilter) (runs []store.RunRecord, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		runs, err = runsOf(ctx, tx, actor, store.RunFilter{
			Machine: f.Machine, User: f.User, State: f.State, Before: f.Before, Limit: pageLimit(f.Limit),
		})
		return err
	})
	return runs, wrap(err, "list runs")
}

// ProvisionRun returns one run.
func (l *Lab) ProvisionRun(ctx context.Context, actor Actor, id int64) (run store.RunRecord, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		runs, err := runsOf(ctx, tx, actor, store.RunFilter{ID: id, Limit: 1})
		if err == nil && len(runs) == 0 {
			return missing("run", strconv.FormatInt(id, 10))
		}
		if err == nil {
			run = runs[0]
		}
		return err
	})
	return run, wrap(err, "show run")
}

func runsOf(ctx context.Context, tx *store.Tx, actor Actor, f store.RunFilter) ([]store.RunRecord, error) {
	s, err := newSight(ctx, tx, actor)
	if err != nil {
		return nil, err
	}
	f.Machines = s.names
	return tx.Runs(ctx, f)
}
