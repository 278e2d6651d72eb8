package lab

import (
	"context"
	"slices"

	"provisioner/store"
)

// CancelRun ends a run that goes on, and leaves its machine as it is: it does
// not boot from the network any more, and nobody knows what is on its disk.
// Holders of the machine and admins may.
func (l *Lab) CancelRun(ctx context.Context, actor Actor, id int64) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		found, err := runsOf(ctx, tx, actor, store.RunFilter{ID: id, Limit: 1})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fail(NotFound, "there is no such run")
		}
		m, err := tx.MachineByID(ctx, found[0].MachineID)
		if err != nil {
			return err
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		if found[0].State != store.RunRunning {
			return fail(Conflict, "it has ended already: %s", found[0].State)
		}
		return l.endRun(ctx, tx, actor, m, found[0].Run, store.RunCancelled, "cancelled by "+actor.User.Name)
	})
	return wrap(err, "cancel run %d", id)
}

// AwaitRun blocks until a run has ended, however it did, and returns it then.
// told, where it is not nil, is called with the run as it is now, and at each
// further stage. Whoever may log in may wait.
func (l *Lab) AwaitRun(ctx context.Context, actor Actor, id int64, told func(store.RunRecord)) (store.RunRecord, error) {
	changes := l.Subscribe() // first, so that nothing is between it and the store
	defer changes.Close()
	for stages := -1; ; {
		run, err := l.ProvisionRun(ctx, actor, id)
		if err != nil {
			return run, wrap(err, "wait for run %d", id)
		}
		if told != nil && len(run.Stages) > stages {
			stages = len(run.Stages)
			told(run)
		}
		if run.State != store.RunRunning {
			return run, nil
		}
		for concerns := false; !concerns; {
			events, lost, err := changes.Next(ctx)
			if err != nil {
				return run, fail(Unavailable, "wait for run %d: %w", id, err)
			}
			concerns = lost || slices.ContainsFunc(events, func(e store.Event) bool { return e.RunID == id })
		}
	}
}
