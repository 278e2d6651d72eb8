package lab

import "context"

// SweepUploads is what housekeeping does once a minute.
func (l *Lab) SweepUploads(ctx context.Context) error { return l.sweepUploads(ctx) }
