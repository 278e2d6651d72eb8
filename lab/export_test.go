package lab

import "context"

// SweepUploads is what housekeeping does once a minute.
func (l *Lab) SweepUploads(ctx context.Context) error { return l.sweepUploads(ctx) }

// Wake has events published that were kept behind the lab's back.
func (l *Lab) Wake() { l.wake() }
