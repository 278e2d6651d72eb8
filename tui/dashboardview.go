package tui

import (
	"strings"

	"charm.land/lipgloss/v2"

	"provisioner/lab"
	"provisioner/store"
)

// columnsFor divides the width of a window.
func (d *dashboard) columnsFor(width int) columns {
	name, arch, power, state, left := 8, 5, 9, 12, 6
	for _, r := range d.rows {
		name = max(name, widths.StringWidth(r.Name))
		if r.Stage != "" {
			state = max(state, widths.StringWidth(stateText(r.Machine)))
		}
	}
	name = min(name, max(12, width/3))
	state = min(state, max(12, width/3))
	if width < 60 {
		arch = 0
	}
	if width < 70 {
		left = 0
	}
	if width < 48 {
		state = 0
	}
	c := columns{name, arch, power, state, left}
	return append(c, c.rest(width-3))
}

func (d *dashboard) view(width, height int) ([]string, cursor) {
	c := d.columnsFor(width)
	heading := "   " + d.theme.dim.Render(c.line("NAME", "ARCH", "POWER", "STATE", "LEFT", "HELD BY"))
	note := ""
	if d.subset != showAll {
		note = d.subset.String() + " only"
	}
	if d.answered.problem != "" {
		note = cut(clean(d.answered.problem), width*2/5)
	}
	return d.list.view(d.theme, width, height, heading, d.emptyText(), note, func(r row, selected bool) string {
		return d.rowLine(c, r, selected)
	})
}

// emptyText is what is said where there are no machines.
func (d *dashboard) emptyText() string {
	switch {
	case !d.loaded:
		return "Reading the list of machines ..."
	case d.problem != "":
		return d.problem
	}
	return "There are no machines yet. An admin adds one on the server with: provisioner machine add NAME"
}

func (d *dashboard) rowLine(c columns, r row, selected bool) string {
	name, holders := clean(r.Name), d.holders(r.Machine)
	until := d.until(r.Machine)
	if selected {
		return c.line(name, r.Arch, powerText(r.Power), stateText(r.Machine), leftText(until, d.now()), holders)
	}
	if r.HeldBy(d.actor.User.ID) {
		holders, name = d.theme.mine.Render(holders), d.theme.strong.Render(name)
	}
	return c.line(name, d.theme.dim.Render(r.Arch), d.theme.power(r.Power), d.theme.state(r.State, stateText(r.Machine)), d.left(until), holders)
}

// holders is who holds a machine, "you" first.
func (a *app) holders(m lab.Machine) string {
	var names []string
	if m.HeldBy(a.actor.User.ID) {
		names = append(names, "you")
	}
	for _, h := range m.Holders {
		if h.UserID != a.actor.User.ID {
			names = append(names, clean(h.User))
		}
	}
	return strings.Join(names, ", ")
}

func powerText(p lab.Power) string {
	switch p.State {
	case lab.PowerOn:
		return "● on"
	case lab.PowerOff:
		return "○ off"
	}
	return "? unknown"
}

func (t *theme) power(p lab.Power) string {
	style := t.warn
	switch p.State {
	case lab.PowerOn:
		style = t.good
	case lab.PowerOff:
		style = t.dim
	}
	return style.Render(powerText(p))
}

// stateText is a machine's state, or how far its run has come.
func stateText(m lab.Machine) string {
	if m.Stage != "" {
		return "▶ " + clean(m.Stage)
	}
	return string(m.State)
}

// state renders a text that says what state a machine is in.
func (t *theme) state(state store.MachineState, text string) string {
	style := map[store.MachineState]lipgloss.Style{
		store.StateProvisioning: t.warn, store.StateReady: t.good, store.StateError: t.bad,
	}[state]
	if state == store.StateUnknown {
		style = t.dim
	}
	return style.Render(text)
}
