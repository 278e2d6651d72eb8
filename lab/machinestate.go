package lab

import (
	"context"
	"errors"

	"provisioner/store"
)

// runStates is how a run ends that goes on while somebody says what has become
// of its machine.
var runStates = map[store.MachineState]store.RunState{
	store.StateReady: store.RunDone, store.StateError: store.RunFailed, store.StateUnknown: store.RunCancelled,
}

// SetState says what has become of a machine: ready, error or unknown. A run
// that goes on ends with that. Its holders and admins may.
func (l *Lab) SetState(ctx context.Context, actor Actor, name string, state store.MachineState) error {
	ending, known := runStates[state]
	if !known {
		return fail(Invalid, "set the state of %s: %q is none of ready, error and unknown", name, state)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		run, err := tx.RunningRun(ctx, m.ID)
		switch {
		case err == nil:
			return l.endRun(ctx, tx, actor, m, run, ending, "")
		case !errors.Is(err, store.ErrNotFound):
			return err
		case m.State == state:
			return nil
		}
		m.State = state
		if err := tx.UpdateMachine(ctx, m); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventMachineChanged, Machine: m.Name, Detail: "state " + string(state)})
	})
	return wrap(err, "set the state of %s", name)
}
