package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/store"
)

const (
	// watchEvery is how often the database is asked whether another process,
	// such as `provisioner user add`, has changed it.
	watchEvery = time.Second
	feedBatch  = 500
)

// feed publishes the rows of the events table in their order, until ctx ends.
// It is the only way from the table to the bus: what this process commits wakes
// it at once ([Lab.committed]), what another process commits is noticed within
// a second, and both look the same to a screen.
func (l *Lab) feed(ctx context.Context, last int64) error {
	version, closeConn, err := l.store.Watch(ctx)
	if err != nil {
		return wrap(err, "watch the database")
	}
	defer func() { _ = closeConn() }()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var seen int64
	defer l.fed.Store(0)
	for {
		l.fed.Store(time.Now().UnixNano())
		select {
		case <-ctx.Done():
			return nil
		case <-l.wakeFeed:
		case <-ticker.C:
			now, err := version(ctx)
			if err == nil && now == seen {
				continue
			}
			seen = now
		}
		if last, err = l.publishAfter(ctx, last); err != nil && ctx.Err() == nil {
			l.log.Error("events could not be read; screens may be late", "error", err)
		}
	}
}

func (l *Lab) publishAfter(ctx context.Context, last int64) (int64, error) {
	for {
		var events []store.Event
		err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
			events, err = tx.EventsAfter(ctx, last, feedBatch)
			return err
		})
		if err != nil || len(events) == 0 {
			return last, err
		}
		last = events[len(events)-1].ID
		l.react(ctx, events)
		l.observe(ctx, events)
		l.bus.Publish(events...)
	}
}

// react does what the lab itself has to do about events, wherever they came
// from. Of many events of one kind, it may see only the last state.
func (l *Lab) react(ctx context.Context, events []store.Event) {
	var err error
	attach, patterns, accounts, tend, turnOff := false, false, false, false, false
	for _, e := range events {
		switch e.Kind {
		case EventMachineAdded, EventMachineChanged, EventMachineRemoved, EventBMCChanged, EventSiteChanged:
			attach, tend = true, true
		case EventUserChanged, EventUserRemoved, EventKeyRemoved, EventTokenRevoked:
			accounts = true
		case EventPatternAdded, EventPatternRemoved:
			patterns = true
		case EventReleased:
			err = errors.Join(err, l.closeConsoles(ctx, e.Machine))
			tend, turnOff = true, true
		case EventLent:
			err = errors.Join(err, l.closeConsoles(ctx, e.Machine))
			tend = true
		case EventReserved:
			l.waiters.wakeUser(e.User)
			tend = true
		case EventExtended, EventReturned, EventPoolChanged:
			tend = true
		case EventTermEnding, EventTermOver, EventIdle:
			l.tellHolder(e)
		case EventProvisionEnded:
			err = errors.Join(err, l.endHold(ctx, e.Machine))
		}
	}
	err = errors.Join(err, l.endTunnels(ctx, events))
	if tend {
		l.tend()
	}
	if turnOff {
		wake(l.wakePowerOffs)
	}
	wake(l.wakeWebhooks)
	if attach {
		err = errors.Join(err, l.attachMachines(ctx))
	}
	if accounts {
		err = errors.Join(err, l.endSessions(ctx))
	}
	if patterns {
		err = errors.Join(err, l.loadPatterns(ctx))
	}
	if err != nil && ctx.Err() == nil {
		l.log.Error("what happened has not had all its effects", "error", err)
	}
}

// endHold lets go of a console once no run goes on; the run that ended may
// have been replaced by another one.
func (l *Lab) endHold(ctx context.Context, machine string) error {
	return l.store.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, machine)
		if err != nil {
			return err
		}
		if _, err := tx.RunningRun(ctx, m.ID); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		l.letConsole(machine)
		return nil
	})
}

// write runs fn in a transaction and has its events published once it is kept.
func (l *Lab) write(ctx context.Context, fn func(*store.Tx) error) error {
	if err := l.store.Write(ctx, conditionally(ctx, fn)); err != nil {
		return err
	}
	l.wake()
	return nil
}

// wake has new events published.
func (l *Lab) wake() {
	select {
	case l.wakeFeed <- struct{}{}:
	default: // it is awake already and will see these, too
	}
}

// Subscribe begins a subscription to everything that happens. Whoever may log
// in may see it; it must be closed.
func (l *Lab) Subscribe() Subscription {
	defer l.glance()
	return l.bus.Subscribe()
}
