package tui

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"provisioner/lab"
)

func (p *inventoryPage) view(width, height int) ([]string, cursor) {
	inner := width - 4
	var lines []string
	if inner < wideWidth-4 {
		lines = append(append(p.machine(inner), p.sensors(inner)...), append(p.events(inner), p.console(inner)...)...)
	} else {
		half := (inner - 3) / 2
		left := append(p.machine(half), p.sensors(half)...)
		right := append(p.events(half), p.console(half)...)
		n := max(len(left), len(right))
		for i, line := range block(left, half, n) {
			lines = append(lines, line+"   "+block(right, half, n)[i])
		}
	}
	if p.problem != "" {
		problem := []string{}
		for _, line := range wrapped(clean(p.problem), inner, 4) {
			problem = append(problem, p.theme.bad.Render(line))
		}
		lines = append(append(problem, ""), lines...)
	}
	shown, more := p.window(lines, height-2)
	note := p.theme.dim.Render(p.age())
	if more {
		note = p.theme.dim.Render("↑↓ more") + "  " + note
	}
	title := p.theme.strong.Render(clean(p.name) + ": hardware")
	return box(p.theme.border, title, strings.TrimSpace(note), shown, width, height), cursor{}
}

// age says of when the readings are.
func (p *inventoryPage) age() string {
	switch {
	case p.at < len(inventoryParts):
		return "reading ..."
	case p.known.Sensors.At.IsZero():
		return ""
	}
	return "as of " + p.clock(p.known.Sensors.At)
}

// section is a heading, and what is below it: why it is not there, or the
// lines, where there are any.
func section[T any](p *inventoryPage, part lab.InventoryPart, heading string, r lab.Reading[T], width int, lines []string) []string {
	t := p.theme
	out := []string{t.title.Render(cut(heading, width))}
	switch {
	case r.Problem != "":
		for _, line := range wrapped(clean(r.Problem), width-2, 4) {
			out = append(out, "  "+t.warn.Render(line))
		}
	case r.At.IsZero() && p.reads(part):
		out = append(out, "  "+t.dim.Render("reading ..."))
	case r.At.IsZero():
		out = append(out, "  "+t.dim.Render("not read"))
	case len(lines) == 0:
		out = append(out, "  "+t.dim.Render("none"))
	}
	return append(append(out, lines...), "")
}

// machine says what the machine is.
func (p *inventoryPage) machine(width int) []string {
	fru := p.known.FRU.Value
	f := facts{theme: p.theme, width: width - 2, paired: width >= pairedWidth}
	short := func(label string, values ...string) {
		if value := strings.TrimSpace(strings.Join(values, " ")); value != "" {
			f.short(label, clean(value))
		}
	}
	long := func(label string, values ...string) {
		if value := strings.TrimSpace(strings.Join(values, " ")); value != "" {
			f.line(label, clean(value))
		}
	}
	long("Product", fru.Product.Manufacturer, fru.Product.Name, fru.Product.Version)
	short("Serial", fru.Product.Serial)
	short("Part", fru.Product.PartNumber)
	short("Asset tag", fru.Product.AssetTag)
	long("Board", fru.Board.Manufacturer, fru.Board.Name)
	short("  serial", fru.Board.Serial)
	short("  part", fru.Board.PartNumber)
	if !fru.Board.Made.IsZero() {
		short("  made", fru.Board.Made.Format(time.DateOnly))
	}
	short("Chassis", fru.Chassis.PartNumber, fru.Chassis.Serial)
	for _, problem := range fru.Problems {
		f.text("", problem, 2, p.theme.warn)
	}
	lines := section(p, lab.InventoryFRU, "Machine", p.known.FRU, width, indented(f.lines))

	f = facts{theme: p.theme, width: width - 2, paired: width >= pairedWidth}
	if d := p.known.Device; d.Problem == "" && !d.At.IsZero() {
		if d.Value.Manufacturer != 0 {
			short("Made by", d.Value.Manufacturer.String())
			short("Product", fmt.Sprintf("%04Xh", d.Value.Product))
		}
		short("Firmware", d.Value.Firmware)
		short("IPMI", d.Value.IPMIVersion)
		if d.Value.Updating {
			f.line("", p.theme.warn.Render("it starts, or is being updated"))
		}
	}
	return append(lines, section(p, lab.InventoryDevice, "BMC", p.known.Device, width, indented(f.lines))...)
}

// sensors is a table, and above it how many are not normal.
func (p *inventoryPage) sensors(width int) []string {
	t := p.theme
	r := p.known.Sensors
	nameWidth, readingWidth, statusWidth, normalWidth := 8, 8, 0, 0
	for _, s := range r.Value {
		nameWidth = max(nameWidth, widths.StringWidth(clean(s.Name)))
		readingWidth = max(readingWidth, widths.StringWidth(clean(s.Reading())))
		statusWidth = max(statusWidth, len(s.Status.String()))
		normalWidth = max(normalWidth, widths.StringWidth(s.Thresholds.String()))
	}
	const gap = 2
	nameWidth = min(nameWidth, max(8, width/3))
	readingWidth = min(readingWidth, max(8, width/3))
	normalWidth = min(normalWidth, max(0, width-2-nameWidth-readingWidth-statusWidth-3*gap))
	amiss := 0
	var lines []string
	for _, s := range r.Value {
		style := t.status(s.Status)
		if s.Status != lab.SensorOK && s.Status != lab.SensorUnavailable {
			amiss++
		}
		lines = append(lines, "  "+fit(clean(s.Name), nameWidth)+spaces(gap)+
			style.Render(fit(clean(s.Reading()), readingWidth))+spaces(gap)+
			style.Render(fit(s.Status.String(), statusWidth))+spaces(gap)+
			t.dim.Render(cut(s.Thresholds.String(), normalWidth)))
	}
	heading := "Sensors"
	switch {
	case amiss > 0:
		heading = fmt.Sprintf("Sensors: %d, %d of them amiss", len(r.Value), amiss)
	case len(r.Value) > 0:
		heading = fmt.Sprintf("Sensors: %d, all is well", len(r.Value))
	}
	return section(p, lab.InventorySensors, heading, r, width, lines)
}

// events is the BMC's own log, the newest entry first.
func (p *inventoryPage) events(width int) []string {
	t := p.theme
	var lines []string
	for _, e := range p.known.Events.Value {
		when, what := "", clean(e.Event)
		switch {
		case !e.Time.IsZero():
			when = e.Time.Format(time.DateTime) // by the BMC's clock, whatever that is set to
		case e.SinceStart > 0:
			when = e.SinceStart.String() + " after start"
		default:
			when = "time unknown"
		}
		if !e.Asserted {
			what = "ended: " + what
		}
		style := t.status(e.Status)
		switch e.Status {
		case lab.SensorOK, lab.SensorUnavailable:
			style = t.plain
		case lab.SensorWarning:
			what = "! " + what
		case lab.SensorCritical, lab.SensorFatal:
			what = "✗ " + what
		}
		line := t.dim.Render(fit(when, len(time.DateTime))) + "  "
		if e.Sensor != "" {
			line += clean(e.Sensor) + "  "
		}
		lines = append(lines, "  "+cut(line+style.Render(what), width-2))
	}
	return section(p, lab.InventoryEvents, "Event log of the BMC", p.known.Events, width, lines)
}

// console is how the BMC is set up for consoles.
func (p *inventoryPage) console(width int) []string {
	r := p.known.Console
	f := facts{theme: p.theme, width: width - 2, paired: width >= pairedWidth}
	if r.Problem == "" && !r.At.IsZero() {
		s := r.Value
		state, rate := "enabled", "as the serial port has it"
		if !s.Enabled {
			state = p.theme.warn.Render("disabled")
		}
		if s.BitRate > 0 {
			rate = fmt.Sprintf("%d bit/s", s.BitRate)
		}
		f.short("Console", state)
		f.short("Rate", rate)
		if len(s.Unknown) > 0 {
			f.text("Not told", strings.Join(s.Unknown, ", "), 2, p.theme.dim)
		}
	}
	return section(p, lab.InventoryConsole, "Serial over LAN", r, width, indented(f.lines))
}

func indented(lines []string) []string {
	for i, line := range lines {
		lines[i] = "  " + line
	}
	return lines
}

// status is how a reading looks.
func (t *theme) status(s lab.SensorStatus) lipgloss.Style {
	switch s {
	case lab.SensorWarning:
		return t.warn
	case lab.SensorCritical, lab.SensorFatal:
		return t.bad
	case lab.SensorUnavailable:
		return t.dim
	case lab.SensorOK:
	}
	return t.good
}
