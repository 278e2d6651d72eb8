package tui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// waiting is where the person is in the queue for machines.
type waiting struct {
	turn    int // of their first place; 0: they wait for nothing
	places  int
	reading reading
}

type waitingMsg struct {
	places []lab.Place
	err    error
}

// concernsWaiting reports whether an event changes the person's place. Those
// of others matter while they have one.
func (d *dashboard) concernsWaiting(e store.Event) bool {
	return queueChanges[e.Kind] && (d.waiting.places > 0 || e.Kind == lab.EventQueued && e.User == d.actor.User.Name)
}

func (d *dashboard) readWaiting() tea.Cmd {
	if !d.waiting.reading.begin() {
		return nil
	}
	return d.do(func(ctx context.Context) tea.Msg {
		places, err := d.lab.Queue(ctx, d.actor)
		return waitingMsg{places, err}
	})
}

func (d *dashboard) showWaiting(msg waitingMsg) tea.Cmd {
	if msg.err == nil {
		d.waiting.turn, d.waiting.places = 0, 0
		for _, p := range msg.places {
			if p.UserID != d.actor.User.ID {
				continue
			}
			if d.waiting.places++; d.waiting.places == 1 {
				d.waiting.turn = p.Ahead + 1
			}
		}
	}
	if d.waiting.reading.end() {
		return d.readWaiting()
	}
	return nil
}

// waitingText is the person's place in the queue, for the header.
func (d *dashboard) waitingText() string {
	switch d.waiting.places {
	case 0:
		return ""
	case 1:
		return d.theme.warn.Render("waiting, "+ordinal(d.waiting.turn)) + d.theme.dim.Render(" · ")
	}
	return d.theme.warn.Render(fmt.Sprintf("waiting, %s and %d more", ordinal(d.waiting.turn), d.waiting.places-1)) + d.theme.dim.Render(" · ")
}
