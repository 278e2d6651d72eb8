package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// mayOperate reports whether the person can do things to a machine.
func (a *app) mayOperate(m lab.Machine) bool { return a.actor.MayOperate(m.Machine) == nil }

// own is what the person has of a machine; false: nothing.
func (a *app) own(m lab.Machine) (store.Holder, bool) {
	for _, h := range m.Holders {
		if h.UserID == a.actor.User.ID {
			return h, true
		}
	}
	return store.Holder{}, false
}

// holding is what can be done about who has a machine. s is told how it went;
// none is why there is no machine to do it with.
func (a *app) holding(s screen, m lab.Machine, none string) []menuItem {
	k := holdKeys
	take, reserve, extend, lend, release := none, none, none, none, none
	if none == "" {
		take, release = reason(a.actor.MayReserve(m.Machine)), reason(a.actor.MayRelease(m.Machine))
		if take != "" && len(m.Holders) > 0 && !m.HeldBy(a.actor.User.ID) {
			take += "; " + k.Reserve.Help().Key + " waits for it"
		}
		extend, lend = a.whyNotExtend(m), a.whyNotLend(m)
		if m.HeldBy(a.actor.User.ID) {
			reserve = "you hold it already"
		}
	}
	return about(m.Name, []menuItem{
		{key: k.Take, why: take, do: func() tea.Cmd { return a.take(s, m.Name) }},
		{key: k.Reserve, why: reserve, do: func() tea.Cmd {
			if len(m.Holders) > 0 {
				return a.push(newWaitForm(a, m.Name))
			}
			return a.push(newReserveForm(a, s, m.Name))
		}},
		{key: k.Extend, why: extend, do: func() tea.Cmd { return a.push(newExtendForm(a, m)) }},
		{key: k.Lend, why: lend, do: func() tea.Cmd {
			if to := a.lentTo(m); to != "" {
				return a.askReclaim(s, m.Name, to)
			}
			return a.push(newLendForm(a, m))
		}},
		{key: k.Release, why: release, do: func() tea.Cmd { return a.askRelease(s, m) }},
		{key: k.History, why: none, do: func() tea.Cmd { return a.push(newHistoryPage(a, m.Name)) }},
	})
}

func (a *app) whyNotExtend(m lab.Machine) string {
	h, mine := a.own(m)
	switch {
	case len(m.Holders) == 0:
		return "nobody holds it"
	case !a.mayOperate(m):
		return reason(a.actor.MayOperate(m.Machine))
	case mine && h.Until.IsZero():
		return "it is yours without an end"
	case mine && h.LentBy != "" && !a.actor.IsAdmin():
		return h.LentBy + " has lent it to you: ask them"
	}
	return ""
}

func (a *app) whyNotLend(m lab.Machine) string {
	h, mine := a.own(m)
	switch {
	case a.lentTo(m) != "":
		return ""
	case !mine:
		return "you do not hold it"
	case h.LentBy != "":
		return h.LentBy + " has lent it to you: ask them"
	}
	return ""
}

// lentTo is to whom the person has lent a machine; empty: to nobody.
func (a *app) lentTo(m lab.Machine) string {
	for _, h := range m.Holders {
		if strings.EqualFold(h.LentBy, a.actor.User.Name) {
			return h.User
		}
	}
	return ""
}

func (a *app) take(s screen, name string) tea.Cmd {
	return func() tea.Msg { return reply{s, tookMsg{name, a.lab.Reserve(a.ctx, a.actor, name, "")}} }
}

func (a *app) askRelease(s screen, m lab.Machine) tea.Cmd {
	if err := a.actor.MayRelease(m.Machine); err != nil {
		a.refuse(m.Name + ": " + err.Error())
		return nil
	}
	text := "Release " + m.Name + "?"
	h, mine := a.own(m)
	switch {
	case !mine:
		text = "Take " + m.Name + " away from " + a.holders(m) + "?"
	case h.LentBy != "":
		text = "Give " + m.Name + " back to " + h.LentBy + "?"
	}
	if m.State == store.StateProvisioning {
		text += " It is being provisioned, which ends."
	}
	a.ask(text, func() tea.Cmd {
		return func() tea.Msg {
			// Asked for is asked for, even where the person leaves the screen.
			err := a.lab.Release(context.WithoutCancel(a.ctx), a.actor, m.Name)
			return reply{s, releasedMsg{m.Name, err}}
		}
	})
	return nil
}

func (a *app) askReclaim(s screen, name, from string) tea.Cmd {
	a.ask("Take "+name+" back from "+from+", to whom you have lent it?", func() tea.Cmd {
		return a.act(s, "Taking it back ...", name+" is yours again", func(ctx context.Context) error {
			return a.lab.Reclaim(ctx, a.actor, name)
		})
	})
	return nil
}

// lastHour is from when on the time that is left of a term is a warning.
const lastHour = time.Hour

// leftText is how much is left of a term, roughly; empty: it has none.
func leftText(until, now time.Time) string {
	left := until.Sub(now)
	switch {
	case until.IsZero():
		return ""
	case left <= 0:
		return "over"
	case left < time.Minute:
		return "1 min" // not 0: it is not over
	case left >= 48*time.Hour:
		return fmt.Sprintf("%d d", int(left/(24*time.Hour)))
	}
	return ago(left)
}

// left is leftText, the more urgent the nearer the end is.
func (a *app) left(until time.Time) string {
	now, style := a.now(), a.theme.dim
	switch left := until.Sub(now); {
	case left <= 0:
		style = a.theme.bad
	case left <= lastHour:
		style = a.theme.warn
	}
	return style.Render(leftText(until, now))
}

// until is when a machine comes free, for its line in the list: when the
// person's own term ends, or else the last of its holders' terms; the zero time
// where that is open.
func (a *app) until(m lab.Machine) (until time.Time) {
	if h, mine := a.own(m); mine {
		return h.Until
	}
	for _, h := range m.Holders {
		if h.Until.IsZero() {
			return h.Until
		}
		if h.Until.After(until) {
			until = h.Until
		}
	}
	return until
}
