package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// maxHistory is how many reservations of a machine are read.
const maxHistory = 1000

// handsChanges are the events that change who holds a machine, for how long,
// or why.
var handsChanges = map[string]bool{
	lab.EventReserved: true, lab.EventReleased: true, lab.EventLent: true, lab.EventReturned: true,
	lab.EventExtended: true, lab.EventReasonChanged: true,
}

// newHistoryPage lists who held a machine, and what for, the newest first.
func newHistoryPage(a *app, machine string) *listPage[store.Reservation] {
	p := &listPage[store.Reservation]{
		app: a, section: historyHelp(), one: "holder of " + machine, many: "holders of " + machine,
		empty: "Nobody has held " + machine + " yet.",
		read: func(ctx context.Context) ([]store.Reservation, error) {
			return a.lab.History(ctx, a.actor, store.HistoryFilter{Machine: machine, Limit: maxHistory})
		},
		concerns: func(e store.Event) bool { return e.Machine == machine && handsChanges[e.Kind] },
	}
	p.list = newList(func(r store.Reservation) string { return fmt.Sprint(r.ID) }, func(r store.Reservation) string {
		return strings.ToLower(strings.Join([]string{r.User, r.Reason, whyEnded(r)}, " "))
	})
	p.heading = func(width int) (columns, []string) {
		const who, since, until, why, reason = 0, 1, 2, 3, 4
		c := columns{who: 8, since: 5, until: 5, why: 8, reason: 0}
		for _, r := range p.rows {
			c[who] = min(max(c[who], widths.StringWidth(r.User)), 16)
			c[since] = max(c[since], len(a.clock(r.StartedAt)))
			c[until] = max(c[until], len(a.endText(r)))
			c[why] = min(max(c[why], widths.StringWidth(whyEnded(r))), 26)
		}
		if width < 70 {
			c[why] = 0
		}
		if rest := c.rest(width); rest >= 10 {
			c[reason] = rest
		}
		return c, []string{"WHO", "SINCE", "UNTIL", "ENDED", "WHAT FOR"}
	}
	p.cells = func(r store.Reservation, selected bool) []string {
		cells := []string{a.who(r.User), a.clock(r.StartedAt), a.endText(r), whyEnded(r), clean(r.Reason)}
		if !selected && r.EndedAt.IsZero() {
			cells[0], cells[2] = a.theme.strong.Render(cells[0]), a.theme.good.Render(cells[2])
		}
		return cells
	}
	p.open = func(r store.Reservation) tea.Cmd { return p.push(newHeldPage(a, r)) }
	p.actions = func(store.Reservation, bool) []menuItem { return []menuItem{{key: refreshKey, do: p.reload}} }
	return p
}

// endText is when a reservation ended, or that it goes on.
func (a *app) endText(r store.Reservation) string {
	if r.EndedAt.IsZero() {
		return "now"
	}
	return a.clock(r.EndedAt)
}

// whyEnded says why a reservation ended, and by whom; empty: it goes on.
func whyEnded(r store.Reservation) string {
	switch {
	case r.EndedAt.IsZero():
		return ""
	case r.EndedWhy == store.EndedTerm:
		return "term over"
	case r.EndedWhy == store.EndedIdle:
		return "nobody used it"
	case r.EndedWhy == store.EndedMissed:
		return "nobody came for it"
	case strings.EqualFold(r.EndedBy, r.User):
		return clean(string(r.EndedWhy))
	}
	return clean(string(r.EndedWhy) + " by " + r.EndedBy)
}

// newHeldPage is all about one time in which somebody held a machine.
func newHeldPage(a *app, r store.Reservation) *textPage {
	return &textPage{
		app: a, title: r.Machine + ", held by " + r.User, subject: r.Machine, section: heldHelp(),
		read: func(context.Context) (content, error) {
			return content{text: func(width int) []string { return a.heldText(r, width) }}, nil
		},
	}
}

func (a *app) heldText(r store.Reservation, width int) []string {
	t := a.theme
	f := facts{theme: t, width: width}
	f.line("Who", a.who(r.User))
	f.line("Since", a.clock(r.StartedAt))
	if !r.ExpiresAt.IsZero() {
		f.line("Term", "until "+a.clock(r.ExpiresAt))
	}
	if r.Lender != nil {
		f.line("Lent by", a.who(r.Lender.User))
	}
	if !r.EndedAt.IsZero() {
		f.line("Ended", a.clock(r.EndedAt)+"  "+whyEnded(r))
	}
	f.text("What for", r.Reason, 4, t.plain)
	return f.lines
}
