package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
)

// whyNotTake says why the person cannot take a machine; empty: they can.
func (a *app) whyNotTake(m lab.Machine) string {
	switch {
	case m.HeldBy(a.actor.User.ID):
		return m.Name + " is yours already"
	case len(m.Holders) > 0:
		return m.Name + " is held by " + a.holders(m)
	}
	return ""
}

// whyNotOperate says why the person cannot do things to a machine; empty: they can.
func (a *app) whyNotOperate(m lab.Machine) string {
	switch {
	case a.mayOperate(m):
		return ""
	case len(m.Holders) == 0:
		return "nobody holds " + m.Name + ": t takes it"
	}
	return m.Name + " is held by " + a.holders(m)
}

func (a *app) mayOperate(m lab.Machine) bool { return a.actor.IsAdmin() || m.HeldBy(a.actor.User.ID) }

func (a *app) take(s screen, name string) tea.Cmd {
	return func() tea.Msg { return reply{s, tookMsg{name, a.lab.Reserve(a.ctx, a.actor, name, "")}} }
}

func (a *app) askRelease(s screen, m lab.Machine) tea.Cmd {
	text := "Release " + m.Name + "?"
	switch {
	case len(m.Holders) == 0:
		a.refuse("nobody holds " + m.Name)
		return nil
	case m.HeldBy(a.actor.User.ID):
	case a.actor.IsAdmin():
		text = "Take " + m.Name + " away from " + a.holders(m) + "?"
	default:
		a.refuse(m.Name + " is held by " + a.holders(m))
		return nil
	}
	if m.State == "provisioning" {
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
