package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/store"
)

const (
	housekeepEvery = time.Minute

	// eventTerm is how long events are kept. The audit is kept for ever.
	eventTerm = 90 * 24 * time.Hour
)

// clockActor does what is due and what nobody did.
var clockActor = Actor{User: store.User{Name: "provisioner", Role: store.RoleAdmin}, Via: "clock"}

// housekeep ends what is overdue and forgets what is old, until ctx ends.
func (l *Lab) housekeep(ctx context.Context) error {
	ticker := time.NewTicker(housekeepEvery)
	defer ticker.Stop()
	for {
		// Where it fails, the last address stays; where there is none, those who need it are told.
		_, _ = l.resolveTFTP(ctx)
		if err := errors.Join(l.endOverdueRuns(ctx), l.forgetEvents(ctx), l.sweepUploads(ctx)); err != nil && ctx.Err() == nil {
			l.log.Error("housekeeping has failed, and will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// endOverdueRuns ends runs that have not phoned home in their term.
func (l *Lab) endOverdueRuns(ctx context.Context) error {
	var overdue []store.Run
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		runs, err := tx.RunningRuns(ctx)
		for _, run := range runs {
			if l.now().Sub(run.StartedAt) > runTerm {
				overdue = append(overdue, run)
			}
		}
		return err
	})
	for _, run := range overdue {
		endErr := l.write(ctx, func(tx *store.Tx) error {
			return l.endRun(ctx, tx, clockActor, store.Machine{ID: run.MachineID}, run, store.RunFailed, "no phone-home in "+runTerm.String())
		})
		if !errors.Is(endErr, store.ErrNotFound) { // which says that it has ended meanwhile
			err = errors.Join(err, endErr)
		}
	}
	return err
}

// forgetEvents removes events whose term is over.
func (l *Lab) forgetEvents(ctx context.Context) error {
	before := l.now().Add(-eventTerm)
	var old bool
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		old, err = tx.HasEventsBefore(ctx, before)
		return err
	})
	if err != nil || !old {
		return err
	}
	return l.store.Write(ctx, func(tx *store.Tx) error { return tx.ForgetEvents(ctx, before) })
}
