package lab

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"provisioner/ipmi"
	"provisioner/lab/console"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// watching is somebody who has joined a console.
type watching struct {
	actor  Actor
	viewer *console.Viewer
}

func (l *Lab) newConsole(m store.Machine, bmc BMC) *console.Console {
	return console.New(console.Config{
		Open:  bmc.OpenSOL,
		InUse: func(err error) bool { return errors.Is(err, ipmi.ErrSOLActive) },
		Log:   l.consoleLog(m),
	})
}

func (l *Lab) consoleLog(m store.Machine) *transcript.Log {
	return l.consoleLogs.Log(strconv.FormatInt(m.ID, 10), l.log.With("machine", m.Name))
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

// OpenConsole joins the console of a machine. Its holders and admins may, and
// a holder only as long: the viewer is closed when the machine is released. It
// first reads what was printed lately, to holders since the machine is theirs.
// The caller must close it, too.
func (l *Lab) OpenConsole(ctx context.Context, actor Actor, name string) (*console.Viewer, error) {
	return l.joinConsole(ctx, actor, name, &transcript.From{Bytes: console.TailSize})
}

// ReplayConsole is OpenConsole for a viewer who first reads that many of the
// last lines; 0: none.
func (l *Lab) ReplayConsole(ctx context.Context, actor Actor, name string, lines int) (*console.Viewer, error) {
	switch {
	case lines < 0:
		return nil, fail(Invalid, "replay %d lines of %s: a number of lines is 0 or more", lines, name)
	case lines == 0:
		return l.joinConsole(ctx, actor, name, nil)
	}
	return l.joinConsole(ctx, actor, name, &transcript.From{Lines: lines})
}

func (l *Lab) joinConsole(ctx context.Context, actor Actor, name string, from *transcript.From) (*console.Viewer, error) {
	m, a, err := l.operate(ctx, actor, name, "open the console of")
	if err != nil {
		return nil, err
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		return l.record(ctx, tx, actor, store.Event{Kind: EventConsole, Machine: m.Name})
	})
	if err != nil {
		return nil, wrap(err, "open the console of %s", name)
	}
	if from != nil {
		from.Since = actor.shownSince(m)
	}
	viewer := a.console.View(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	a.watching = append(slices.DeleteFunc(a.watching, watching.left), watching{actor, viewer})
	return viewer, nil
}

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

func (w watching) left() bool { return w.viewer.Ended() }

// closeConsoles ends the view of those who hold the machine no more.
func (l *Lab) closeConsoles(ctx context.Context, machine string) error {
	m, err := l.machine(ctx, machine)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.machines[m.ID]
	if a == nil {
		return nil
	}
	for _, w := range a.watching {
		if w.actor.MayOperate(m) != nil {
			w.viewer.Close()
		}
	}
	a.watching = slices.DeleteFunc(a.watching, watching.left)
	return nil
}
