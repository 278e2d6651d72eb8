package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/store"
)

// usage is the events that show that somebody uses a machine.
var usage = []string{
	EventReserved, EventLent, EventReturned, EventExtended, EventPower, EventPowerSeen, EventBootDevice, EventConsole,
	EventConsoleTaken, EventBreak, EventProvision, EventStage, EventProvisionEnded, EventTunnel,
}

// tendIdle releases machines that nobody uses, where the site wants that:
// that have been off for so long, without a run, and with nobody at their
// console. Of a machine whose power is not known nobody says that it is idle,
// and what admins hold is left to them.
func (l *Lab) tendIdle(ctx context.Context) error {
	var site Site
	var held []store.Reservation
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if site, err = readSite(ctx, tx); err != nil || site.IdleAfter == 0 {
			return err
		}
		held, err = tx.CurrentReservations(ctx)
		return err
	})
	for _, r := range held {
		if busy := l.inUse(r.MachineID); busy && r.IdleAt.IsZero() {
			continue // as most are: nothing to write
		} else if tendErr := l.tendIdleOne(ctx, r.ID, busy); tendErr != nil {
			err = errors.Join(err, wrap(tendErr, "see whether %s is used", r.Machine))
		}
	}
	return err
}

// inUse reports whether a machine is used at this moment, as far as this
// process knows; where it does not know, it is.
func (l *Lab) inUse(machineID int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.machines[machineID]
	if a == nil || a.power.State != PowerOff || a.let != nil {
		return true
	}
	for _, s := range a.seats {
		if !s.Ended() {
			a.visited = l.now()
			return true
		}
	}
	return false
}

func (l *Lab) tendIdleOne(ctx context.Context, id int64, busy bool) error {
	var r store.Reservation
	var site Site
	var idleSince time.Time
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Reservation(ctx, id); err != nil {
			return err
		}
		if site, err = readSite(ctx, tx); err != nil {
			return err
		}
		idleSince, err = tx.LastUse(ctx, r.Machine, usage...)
		return err
	})
	if err != nil {
		return err
	}
	now := l.now()
	for _, at := range []time.Time{r.StartedAt, l.visited(r.MachineID)} {
		if at.After(idleSince) {
			idleSince = at
		}
	}
	idle := !busy && now.Sub(idleSince) >= site.IdleAfter
	told := !r.IdleAt.IsZero() && !r.IdleAt.After(now) && !r.IdleAt.Before(idleSince)
	switch {
	case idle && told && now.Sub(r.IdleAt) < site.Grace, !idle && r.IdleAt.IsZero():
		return nil
	}
	return l.write(ctx, func(tx *store.Tx) error {
		fresh, err := tx.Reservation(ctx, id)
		if err != nil || !fresh.EndedAt.IsZero() {
			return err
		}
		holder, err := tx.UserByID(ctx, fresh.UserID)
		if err != nil {
			return err
		}
		switch {
		case !idle || holder.Role == store.RoleAdmin:
			if fresh.IdleAt.IsZero() {
				return nil
			}
			fresh.IdleAt = time.Time{}
			return tx.UpdateReservation(ctx, fresh)
		case !told && site.Grace > 0:
			fresh.IdleAt = now
			if err := tx.UpdateReservation(ctx, fresh); err != nil {
				return err
			}
			return tx.AddEvent(ctx, store.Event{
				At: now, Kind: EventIdle, Machine: fresh.Machine, User: fresh.User,
				Detail: "has not been used for " + TermText(now.Sub(idleSince)) + ", and is released at " + momentText(now.Add(site.Grace)) + " unless it is used",
			})
		}
		m, err := tx.MachineByID(ctx, fresh.MachineID)
		if err != nil {
			return err
		}
		return l.leave(ctx, tx, clockActor, m, store.EndedIdle, store.Holder{ReservationID: id, UserID: fresh.UserID, User: fresh.User})
	})
}

// visited returns when somebody was seen at the console of a machine last; zero for not.
func (l *Lab) visited(machineID int64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.machines[machineID]; a != nil {
		return a.visited
	}
	return time.Time{}
}
