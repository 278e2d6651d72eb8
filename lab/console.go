package lab

import (
	"context"
	"slices"

	"provisioner/lab/console"
	"provisioner/store"
)

// watching is somebody who has joined a console.
type watching struct {
	actor  Actor
	viewer *console.Viewer
}

// OpenConsole joins the console of a machine. Its holders and admins may, and
// a holder only as long: the viewer is closed when the machine is released.
// The caller must close it, too.
func (l *Lab) OpenConsole(ctx context.Context, actor Actor, name string) (*console.Viewer, error) {
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
	viewer := a.console.View()
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
