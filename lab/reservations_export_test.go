package lab

import (
	"context"
	"time"
)

// TendReservations is what Run does when something is due, or once a minute.
func (l *Lab) TendReservations(ctx context.Context) (time.Time, error) {
	return l.tendReservations(ctx)
}

// TurnOffReleased is what Run does likewise about machines that were given back.
func (l *Lab) TurnOffReleased(ctx context.Context) (time.Time, error) { return l.turnOffDue(ctx) }

// Waiting reports whether somebody waits at a place in the queue.
func (l *Lab) Waiting(place int64) bool { return l.waiters.present(place) }
