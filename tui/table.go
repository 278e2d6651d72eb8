package tui

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"provisioner/lab"
	"provisioner/store"
)

// columns are the widths of the list's columns. One that has no room is 0.
type columns struct {
	name, arch, power, state, holders int
}

const columnGap = 2

// columnsFor divides the width of a window.
func (d *dashboard) columnsFor(width int) columns {
	c := columns{name: 8, arch: 5, power: 9, state: 12}
	for _, r := range d.rows {
		c.name = max(c.name, widths.StringWidth(r.Name))
		if r.Stage != "" {
			c.state = max(c.state, widths.StringWidth(stateText(r.Machine)))
		}
	}
	c.name = min(c.name, max(12, width/3))
	c.state = min(c.state, max(12, width/3))
	if width < 60 {
		c.arch = 0
	}
	if width < 48 {
		c.state = 0
	}
	c.holders = width - 3
	for _, w := range []int{c.name, c.arch, c.power, c.state} {
		if w > 0 {
			c.holders -= w + columnGap
		}
	}
	return c
}

func (c columns) line(name, arch, power, state, holders string) string {
	var b strings.Builder
	for _, cell := range []struct {
		text  string
		width int
	}{{name, c.name}, {arch, c.arch}, {power, c.power}, {state, c.state}, {holders, c.holders}} {
		if cell.width > 0 {
			b.WriteString(fit(cell.text, cell.width))
			b.WriteString(spaces(columnGap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func (d *dashboard) view(width, height int) ([]string, cursor) {
	var c cursor
	c2 := d.columnsFor(width)
	lines := []string{"   " + d.theme.dim.Render(c2.line("NAME", "ARCH", "POWER", "STATE", "HELD BY"))}
	bottom := d.filterLine(width)
	d.page = height - len(lines)
	if bottom != "" {
		d.page--
	}
	if d.page < 1 {
		return lines, c
	}
	if len(d.listed) == 0 {
		lines = append(lines, "")
		for _, line := range wrapped(d.emptyText(), width-6, d.page-1) {
			lines = append(lines, "   "+line)
		}
	}
	at := max(0, d.place())
	d.first = min(max(d.first, at-d.page+1), at, max(0, len(d.listed)-d.page))
	for i := d.first; i < min(d.first+d.page, len(d.listed)); i++ {
		r := d.rows[d.listed[i]]
		lines = append(lines, d.rowLine(c2, r, i == at && r.Name == d.current, width))
	}
	if bottom != "" {
		lines = append(block(lines, width, height-1), bottom)
	}
	if d.typing {
		c = cursor{y: height - 1, visible: true}
		if in := d.filter.Cursor(); in != nil {
			c.x = 3 + in.X
		}
	}
	return lines, c
}

// filterLine says what is listed, where that is not everything.
func (d *dashboard) filterLine(width int) string {
	if !d.typing && d.filter.Value() == "" && d.subset == showAll {
		return ""
	}
	d.filter.SetWidth(max(1, width/2))
	left := "   "
	if d.typing || d.filter.Value() != "" {
		left += d.filter.View()
	}
	right := fmt.Sprintf("%d of %d", len(d.listed), len(d.rows))
	if d.subset != showAll {
		right = d.subset.String() + " only · " + right
	}
	return apart(left, d.theme.warn.Render(right)+" ", width)
}

func (d *dashboard) emptyText() string {
	switch {
	case !d.loaded:
		return "Reading the list of machines ..."
	case d.problem != "":
		return clean(d.problem)
	case len(d.rows) == 0:
		return "There are no machines yet. An admin adds one on the server with: provisioner machine add NAME"
	}
	return "No machine matches. esc shows all of them."
}

func (d *dashboard) rowLine(c columns, r row, selected bool, width int) string {
	holders := d.holders(r.Machine)
	if selected {
		plain := c.line(clean(r.Name), r.Arch, powerText(r.Power), stateText(r.Machine), holders)
		return d.theme.selected.Render(fit(" › "+plain, width))
	}
	name := clean(r.Name)
	if r.HeldBy(d.actor.User.ID) {
		holders = d.theme.mine.Render(cut(holders, c.holders))
		name = d.theme.strong.Render(cut(name, c.name))
	}
	return "   " + c.line(name, d.theme.dim.Render(r.Arch), d.theme.power(r.Power), d.theme.state(r.State, stateText(r.Machine)), holders)
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
