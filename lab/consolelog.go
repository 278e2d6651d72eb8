package lab

import (
	"context"
	"io"
	"time"

	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// ConsoleLog returns what a machine has printed since then, as it came, to the
// holders and admins who may read it: admins all of it, holders what was
// printed since the machine is theirs. The zero time is before everything.
// Reading waits for the disk only.
func (l *Lab) ConsoleLog(ctx context.Context, actor Actor, name string, since time.Time) (io.Reader, error) {
	m, err := l.machine(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := actor.MayOperate(m); err != nil {
		return nil, wrap(err, "read the console log of %s", m.Name)
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		return l.record(ctx, tx, actor, store.Event{Kind: EventConsole, Machine: m.Name, Detail: "log"})
	})
	if err != nil {
		return nil, wrap(err, "read the console log of %s", m.Name)
	}
	if own := actor.shownSince(m); own.After(since) {
		since = own
	}
	return l.consoleLog(m).Read(transcript.From{Since: since}), nil
}

// shownSince returns from when on an actor may read what a machine printed:
// admins may read all of it, holders what it printed since it is theirs.
func (a Actor) shownSince(m store.Machine) time.Time {
	if a.IsAdmin() {
		return time.Time{}
	}
	for _, h := range m.Holders {
		if h.UserID == a.User.ID {
			return h.Since
		}
	}
	return m.CreatedAt // nobody comes here: MayOperate was asked before
}
