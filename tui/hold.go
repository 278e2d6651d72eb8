package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
)

// mayOperate reports whether the person can do things to a machine.
func (a *app) mayOperate(m lab.Machine) bool { return a.actor.MayOperate(m.Machine) == nil }

func (a *app) take(s screen, name string) tea.Cmd {
	return func() tea.Msg { return reply{s, tookMsg{name, a.lab.Reserve(a.ctx, a.actor, name, "")}} }
}

func (a *app) askRelease(s screen, m lab.Machine) tea.Cmd {
	if err := a.actor.MayRelease(m.Machine); err != nil {
		a.refuse(m.Name + ": " + err.Error())
		return nil
	}
	text := "Release " + m.Name + "?"
	if !m.HeldBy(a.actor.User.ID) {
		text = "Take " + m.Name + " away from " + a.holders(m) + "?"
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
