package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// queueChanges are the events that change who waits for machines.
var queueChanges = map[string]bool{
	lab.EventQueued: true, lab.EventQueueLeft: true, lab.EventReserved: true, lab.EventUserRemoved: true, lab.EventMachineRemoved: true,
}

// queueEvery is how often the queue is looked at: no event tells that somebody
// waits at their place again, or has gone from it.
const queueEvery = 10 * time.Second

// ordinal is 1st, 2nd, ...
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// wantedText is what is waited for at a place.
func wantedText(p store.Place) string {
	switch {
	case p.Machine != "":
		return clean(p.Machine)
	case p.Query != "":
		return clean(p.Query)
	}
	return "any machine"
}

// newQueuePage lists who waits for machines, whose turn is next first.
func newQueuePage(a *app) *listPage[lab.Place] {
	p := &listPage[lab.Place]{
		app: a, section: queueHelp(), one: "place in the queue", many: "places in the queue", every: queueEvery,
		empty:    "Nobody waits for a machine. n waits for one.",
		read:     func(ctx context.Context) ([]lab.Place, error) { return a.lab.Queue(ctx, a.actor) },
		concerns: func(e store.Event) bool { return queueChanges[e.Kind] },
	}
	p.list = newList(func(l lab.Place) string { return fmt.Sprintf("place %d", l.ID) }, func(l lab.Place) string {
		return strings.ToLower(strings.Join([]string{l.User, wantedText(l.Place), l.Reason}, " "))
	})
	p.heading = func(width int) (columns, []string) {
		const who, reason = 1, 5
		c := columns{4, 8, 0, 8, 12, 0}
		for _, l := range p.rows {
			c[who] = min(max(c[who], widths.StringWidth(l.User)), 16)
		}
		if width < 60 {
			c[3], c[4] = 0, 0
		}
		rest := c.rest(width) - columnGap
		c[2] = min(max(rest/2, 16), rest)
		if rest -= c[2] + columnGap; rest >= 10 {
			c[reason] = rest
		}
		return c, []string{"TURN", "WHO", "WAITS FOR", "SINCE", "PLACE", "WHAT FOR"}
	}
	p.cells = func(l lab.Place, selected bool) []string {
		cells := []string{ordinal(l.Ahead + 1), a.who(l.User), wantedText(l.Place), ago(a.now().Sub(l.CreatedAt)), a.presence(l), clean(l.Reason)}
		if !selected && l.UserID == a.actor.User.ID {
			cells[1] = a.theme.mine.Render(cells[1])
		}
		return cells
	}
	p.open = func(l lab.Place) tea.Cmd { return p.push(newPlacePage(a, l)) }
	p.actions = func(l lab.Place, ok bool) []menuItem {
		leave := ""
		switch {
		case !ok:
			leave = "no place is selected"
		case l.UserID != a.actor.User.ID && !a.actor.IsAdmin():
			leave = "it is " + l.User + " who waits there"
		}
		return []menuItem{
			{key: queueKeys.Wait, do: func() tea.Cmd { return p.push(newWaitForm(a, "")) }},
			{key: queueKeys.Leave, why: leave, do: func() tea.Cmd { return a.askLeave(p, l) }},
		}
	}
	return p
}

// who is the name of somebody, or you.
func (a *app) who(name string) string {
	if strings.EqualFold(name, a.actor.User.Name) {
		return "you"
	}
	return clean(name)
}

// presence says what keeps a place.
func (a *app) presence(l lab.Place) string {
	switch {
	case l.Keep:
		return "kept"
	case l.Present, a.awaited[l.ID]: // the latter may have begun after it was read
		return "waits there"
	}
	return "away"
}

// newPlacePage is all about a place in the queue.
func newPlacePage(a *app, l lab.Place) *textPage {
	return &textPage{
		app: a, title: fmt.Sprintf("Place %d in the queue", l.ID), subject: a.who(l.User), section: placeHelp(),
		read: func(ctx context.Context) (content, error) {
			places, err := a.lab.Queue(ctx, a.actor)
			for _, now := range places {
				if now.ID == l.ID {
					return content{text: func(width int) []string { return a.placeText(now, width) }}, err
				}
			}
			return content{}, errors.Join(err, &lab.Error{Code: lab.NotFound, Message: "nobody waits there any more"})
		},
		concerns: func(e store.Event) bool { return queueChanges[e.Kind] },
	}
}

func (a *app) placeText(l lab.Place, width int) []string {
	t := a.theme
	f := facts{theme: t, width: width}
	f.line("Who", a.who(l.User))
	f.text("Waits for", wantedText(l.Place), 8, t.plain)
	f.line("Turn", ordinal(l.Ahead+1)+t.dim.Render(", of all that wait for any machine"))
	f.line("Since", a.clock(l.CreatedAt))
	kept := "while somebody waits there, and five minutes longer"
	if l.Keep {
		kept = "for as long as it takes"
	}
	f.line("Kept", kept)
	if l.Term > 0 {
		f.line("For", lab.TermText(l.Term))
	}
	if l.Priority != 0 {
		f.line("Priority", fmt.Sprint(l.Priority))
	}
	f.text("What for", l.Reason, 3, t.plain)
	return f.lines
}

func (a *app) askLeave(s screen, l lab.Place) tea.Cmd {
	text := "Wait no more for " + wantedText(l.Place) + "?"
	if l.UserID != a.actor.User.ID {
		text = "Have " + l.User + " wait no more for " + wantedText(l.Place) + "?"
	}
	a.ask(text, func() tea.Cmd {
		return a.act(s, "Giving it up ...", fmt.Sprintf("place %d is given up", l.ID), func(ctx context.Context) error {
			return a.lab.Leave(ctx, a.actor, l.ID)
		})
	})
	return nil
}

// The values of how long a place is kept.
const (
	keepPlace = "until I have one"
	herePlace = "while I am here"
)

// newWaitForm asks what somebody waits for: one machine, or any that matches.
// Where there is a free one, they have it at once.
func newWaitForm(a *app, wanted string) *formPage {
	what, term, why, keep := newLine("Which", wanted, 1000), newTermLine("For"), newReasonLine(), newChoice("Wait", keepPlace)
	what.hint = `a name, or what it must match, such as (= arch "arm64"); nothing: any machine`
	var got string
	var place int64
	turn := 0
	return &formPage{
		app: a, title: "Wait for a machine", subject: "queue", fields: []*field{what, term, why, keep},
		button: func() string {
			if what.said() == "" {
				return "take any machine, or wait for one"
			}
			return "take " + what.said() + ", or wait for it"
		},
		busy: "Looking for one ...",
		load: func(ctx context.Context) (func(), error) {
			site, err := a.lab.Site(ctx, a.actor)
			return func() {
				a.suggestTerm(term, site)
				keep.picker.set([]choice{
					{keepPlace, keepPlace, "yours then, whether you are here or not"},
					{herePlace, herePlace, "given up five minutes after you have left"},
				})
			}, err
		},
		changes: siteChanges,
		send: func(ctx context.Context) error {
			lasts, err := term.term()
			if err != nil {
				return err
			}
			r := lab.ReserveRequest{Machine: what.said(), For: lasts, Reason: why.said(), Keep: keep.value() == keepPlace}
			if isQuery(r.Machine) {
				r.Machine, r.Query = "", r.Machine
			}
			if got, err = a.lab.ReserveAny(ctx, a.actor, r); err == nil || lab.CodeOf(err) != lab.Conflict {
				return err
			}
			if place, err = a.lab.Enqueue(ctx, a.actor, r); err != nil {
				return err
			}
			places, err := a.lab.Queue(ctx, a.actor)
			for _, p := range places {
				if p.ID == place {
					turn = p.Ahead + 1
				}
			}
			return err
		},
		sent: func() tea.Cmd {
			switch {
			case got != "":
				a.say(got + " is yours")
				return nil
			case turn > 0:
				a.say("nothing is free that matches: you are " + ordinal(turn) + " in the queue")
			}
			return a.await(place)
		},
	}
}

// gotMsg is what a place in the queue has led to.
type gotMsg struct {
	place int64
	name  string
	err   error
}

// await waits at a place that the person has taken here, until it has led to
// something or the session ends. It makes them present there.
func (a *app) await(place int64) tea.Cmd {
	a.awaited[place] = true
	return func() tea.Msg {
		name, err := a.lab.Await(a.ctx, a.actor, place)
		return gotMsg{place, name, err}
	}
}

// got tells what the person has waited for.
func (a *app) got(msg gotMsg) {
	delete(a.awaited, msg.place)
	switch {
	case msg.err == nil:
		a.warn(msg.name + " is yours now: you have waited for it")
	case lab.CodeOf(msg.err) != lab.NotFound: // else it was given up, as they know
		a.complain(msg.err)
	}
}
