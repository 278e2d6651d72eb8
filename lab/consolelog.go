package lab

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// logEvents is how many of the newest events of a machine are places in its log.
const logEvents = 5000

// ConsoleLog is what somebody may read of what a machine has printed, up to
// the moment when they asked. It is safe for concurrent use, and needs no end.
type ConsoleLog struct {
	*transcript.Excerpt
	Machine string // its name

	lab     *Lab
	actor   Actor
	asked   transcript.Window
	windows []transcript.Window // what may be read
}

// ConsoleLog opens what a machine has printed within a window of time. Admins
// may read all of it; others, what was printed while they held the machine, now
// or formerly. That somebody opens it is kept as an event, what they read of it
// is not. It waits for the disk.
func (l *Lab) ConsoleLog(ctx context.Context, actor Actor, name string, asked transcript.Window) (*ConsoleLog, error) {
	if !asked.Since.IsZero() && !asked.Until.IsZero() && !asked.Since.Before(asked.Until) {
		return nil, fail(Invalid, "read the console log of %s: until %s is not after since %s",
			name, asked.Until.Format(time.DateTime), asked.Since.Format(time.DateTime))
	}
	c := &ConsoleLog{lab: l, actor: actor, asked: asked, Machine: name}
	m, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		return l.record(ctx, tx, actor, store.Event{Kind: EventConsole, Machine: m.Name, Detail: "log"})
	})
	if err != nil {
		return nil, wrap(err, "read the console log of %s", m.Name)
	}
	return c, nil
}

// Refresh returns the log as it is now, as far as the actor may read it now.
func (c *ConsoleLog) Refresh(ctx context.Context) (*ConsoleLog, error) {
	fresh := &ConsoleLog{lab: c.lab, actor: c.actor, asked: c.asked, Machine: c.Machine}
	_, err := fresh.open(ctx)
	return fresh, err
}

// open finds out what the actor may read, and takes it. A reservation that
// ends behind this one's back does no harm: nothing is added any more.
func (c *ConsoleLog) open(ctx context.Context) (store.Machine, error) {
	m, err := c.lab.machine(ctx, c.actor, c.Machine)
	if err != nil {
		return m, err
	}
	c.Machine = m.Name
	// The rights come second: what is printed behind them may be for others.
	snapshot := c.lab.consoleLog(m).Snapshot()
	allowed, err := c.lab.readable(ctx, c.actor, m)
	if err != nil {
		return m, wrap(err, "read the console log of %s", m.Name)
	}
	for _, w := range allowed {
		c.windows = append(c.windows, w.Both(c.asked))
	}
	c.Excerpt, err = snapshot.Excerpt(c.windows...)
	return m, wrap(err, "read the console log of %s", m.Name)
}

// readable returns the times of which an actor may read what a machine
// printed; an error where there are none.
func (l *Lab) readable(ctx context.Context, actor Actor, m store.Machine) (readable []transcript.Window, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		readable, err = windows(ctx, tx, actor, m)
		return err
	})
	if err == nil && len(readable) == 0 {
		err = actor.MayOperate(m)
	}
	return readable, err
}

// windows is readable in a transaction, without the error.
func windows(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine) (windows []transcript.Window, err error) {
	if actor.IsAdmin() {
		return []transcript.Window{{}}, nil
	}
	held, err := tx.Held(ctx, m.ID, actor.User.ID)
	for _, h := range held {
		windows = append(windows, transcript.Window(h))
	}
	return windows, err
}

// changesHands notes in the log of a machine that its holders change, so that
// nobody loses a moment of their own time. It is called before the change has
// its time.
func (l *Lab) changesHands(m store.Machine) { l.consoleLog(m).Mark() }

// Events returns what has happened to the machine within the times that may be
// read, the newest first: [ConsoleLog.PositionOf] says where in the log.
func (c *ConsoleLog) Events(ctx context.Context) (events []store.Event, err error) {
	err = c.lab.store.Read(ctx, func(tx *store.Tx) error {
		events, err = tx.MachineEvents(ctx, c.Machine, logEvents)
		return err
	})
	events = slices.DeleteFunc(events, func(e store.Event) bool {
		return !slices.ContainsFunc(c.windows, func(w transcript.Window) bool { return w.Contains(e.At) })
	})
	return events, wrap(err, "read the events of %s", c.Machine)
}

// PositionOf returns where in the log an event is: at the place that it has
// itself, or at most half a second before its time.
func (c *ConsoleLog) PositionOf(e store.Event) (transcript.Position, error) {
	if e.LogPosition > 0 {
		return c.Next(transcript.Position(e.LogPosition)), nil
	}
	p, err := c.PositionAt(e.At.Add(-transcript.Granularity))
	return p, wrap(err, "find %s in the log of %s", e.Kind, c.Machine)
}

// LastEvent returns the newest event of a kind. Of a console pattern, what it
// is called will do as well. Capitals do not matter, and "-" is as good as " ".
func (c *ConsoleLog) LastEvent(ctx context.Context, kind string) (store.Event, error) {
	events, err := c.Events(ctx)
	if err != nil {
		return store.Event{}, err
	}
	wanted := eventWord(kind)
	kinds := make(map[string]bool)
	for _, e := range events {
		pattern, _, _ := strings.Cut(e.Detail, ":")
		if e.Kind == wanted || e.Kind == EventConsolePattern && eventWord(pattern) == wanted {
			return e, nil
		}
		kinds[e.Kind] = true
	}
	if len(kinds) == 0 {
		return store.Event{}, fail(NotFound, "nothing happened to %s in that time", c.Machine)
	}
	return store.Event{}, fail(NotFound, "there is no event %q of %s in that time; there are: %s",
		kind, c.Machine, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
}

func eventWord(s string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), "-", " "))
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
