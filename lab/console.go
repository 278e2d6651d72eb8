package lab

import (
	"context"
	"errors"
	"slices"
	"strconv"

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
