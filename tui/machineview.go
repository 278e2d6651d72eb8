package tui

import (
	"cmp"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/pattern"
	"provisioner/store"
	"provisioner/tui/console"
)

const (
	wideWidth    = 120                 // from here on the console is beside the details
	consoleWidth = console.Columns + 4 // with its border
)

func (p *machinePage) view(width, height int) ([]string, cursor) {
	if p.problem != "" && !p.loaded {
		var lines []string
		for _, line := range wrapped(clean(p.problem), width-6, height) {
			lines = append(lines, "   "+line)
		}
		return lines, cursor{}
	}
	if p.zoomed {
		return p.pane.view(width, height)
	}
	if width >= wideWidth {
		left := min(max(width-consoleWidth, 36), 60)
		pane, c := p.pane.view(width-left, height)
		c.x += left
		return beside(p.detailsBox(left, height), pane), c
	}
	// As much of the details as there are, up to what leaves half the window
	// to the console; of a low window the console gets what there is.
	top := min(len(p.facts(width-4))+2, max(height/2, 5))
	if height < 12 {
		top = max(0, height-7)
	}
	pane, c := p.pane.view(width, height-top)
	c.y += top
	return append(p.detailsBox(width, top), pane...), c
}

func (p *machinePage) detailsBox(width, height int) []string {
	if height < 3 {
		p.hidden = 0
		return block(nil, width, height)
	}
	facts := p.facts(width - 4)
	if room := height - 2 - len(facts); room > 2 {
		facts = append(facts, "", p.theme.dim.Render("Lately"))
		facts = append(facts, p.history(width-4)...)
	}
	p.first = min(p.first, max(0, len(facts)-(height-2)))
	p.hidden = max(0, len(facts)-p.first-(height-2))
	note := ""
	if p.first > 0 || p.hidden > 0 && len(p.facts(width-4)) > height-2 {
		note = p.theme.dim.Render("↑↓ more")
	}
	return box(p.theme.border, p.theme.strong.Render(clean(p.name)), note, facts[p.first:], width, height)
}

// facts are the lines about the machine, the most urgent first.
func (p *machinePage) facts(width int) []string {
	if !p.loaded {
		return []string{"Reading ..."}
	}
	d, t := p.detail, p.theme
	f := facts{theme: t, width: width, paired: width >= pairedWidth}

	power := t.power(d.Power)
	if !d.Power.At.IsZero() {
		power += t.dim.Render("  as of " + p.clock(d.Power.At))
	}
	f.short("Power", power)
	f.short("State", t.state(d.State, string(d.State)))
	f.text("", d.Power.Problem, 4, t.bad)
	if run := d.Run; run != nil {
		f.line("Run", p.runText(*run))
		if run.State != store.RunDone {
			f.text("", run.Error, 5, t.bad)
		}
	}

	if e := p.trouble(); e != nil {
		f.line("Printed", t.event(*e)+t.dim.Render("  "+p.clock(e.At)))
	}

	if len(d.Holders) == 0 {
		f.line("Held by", t.dim.Render("nobody"))
	}
	for i, h := range d.Holders {
		label, who := "Held by", clean(h.User)
		if i > 0 {
			label = ""
		}
		if h.UserID == p.actor.User.ID {
			who = t.mine.Render("you")
		}
		since, term := t.dim.Render(" since "+p.clock(h.Since)), p.termText(h)
		if term != "" && f.paired {
			since, term = "  "+term, "" // of both, what is left matters more
		}
		f.line(label, who+since+"  "+clean(h.Reason))
		if term != "" {
			f.line("", term)
		}
	}

	if mode := p.consoleMode(); mode != "" {
		f.line("Console", mode)
	}
	f.short("Machine", d.Arch+" "+d.Subarch)
	for i, l := range p.pools {
		label, who := "Pool", clean(strings.Join(l.Groups, ", "))
		if i > 0 {
			label = ""
		}
		if !l.open {
			who += ", not for you"
		}
		f.line(label, clean(l.Name)+t.dim.Render("  for "+cmp.Or(who, "admins")))
	}
	for i, n := range d.Interfaces {
		label := "MAC"
		if i > 0 {
			label = ""
		}
		f.short(label, clean(n.MAC)+"  "+t.dim.Render(clean(n.Identifier)))
	}
	if d.Kernel != "" {
		f.short("Kernel", clean(d.Kernel))
		f.short("Initrd", t.orNone(clean(d.Initrd)))
		f.short("Preseed", t.orNone(clean(d.Preseed)))
		f.text("Options", d.KernelOptions, 3, t.plain)
	}
	return f.lines
}

// termText is how long somebody has a machine yet, and from whom.
func (p *machinePage) termText(h store.Holder) (text string) {
	switch {
	case h.Until.IsZero():
	case h.Until.After(p.now()):
		text = p.left(h.Until) + p.theme.dim.Render(" left, until "+p.clock(h.Until))
	default: // the grace
		text = p.left(h.Until) + p.theme.dim.Render(" since "+p.clock(h.Until))
	}
	if h.LentBy != "" {
		text = strings.TrimSpace(text + "  " + p.theme.dim.Render("lent by "+p.who(h.LentBy)))
	}
	return text
}

// consoleMode says when the console is connected, where that is not always, or
// always though that is not so for the others.
func (p *machinePage) consoleMode() string {
	switch mode := p.detail.Console; {
	case mode == store.ConsoleOnDemand, mode == store.ConsoleDefault && p.settings.ConsolesOnDemand:
		return p.theme.warn.Render("on demand") + p.theme.dim.Render(": not logged while nobody watches")
	case mode == store.ConsoleAlways && p.settings.ConsolesOnDemand:
		return "always connected" + p.theme.dim.Render(", unlike others here")
	}
	return ""
}

func (p *machinePage) runText(run store.Run) string {
	t := p.theme
	switch run.State {
	case store.RunRunning:
		return t.warn.Render("▶ "+clean(run.Stage)) + t.dim.Render("  since "+p.clock(run.StartedAt))
	case store.RunDone:
		return t.good.Render("✓ done") + t.dim.Render("  "+p.clock(run.EndedAt))
	case store.RunFailed:
		return t.bad.Render("✗ failed") + t.dim.Render("  "+p.clock(run.EndedAt))
	case store.RunCancelled:
		return t.dim.Render("– cancelled  " + p.clock(run.EndedAt))
	}
	return clean(string(run.State))
}

// history is what happened to the machine, the newest first.
func (p *machinePage) history(width int) []string {
	t := p.theme
	lines := make([]string, 0, len(p.events))
	for _, e := range p.events {
		line := t.dim.Render(p.clock(e.At)) + "  " + t.event(e)
		if e.User != "" {
			line += t.dim.Render("  " + clean(e.User))
		}
		lines = append(lines, cut(line, width))
	}
	return lines
}

// failures are the kinds of events that tell of something that did not work.
var failures = map[string]bool{
	lab.EventPowerFailed: true, lab.EventIdentifyFailed: true, lab.EventBootDeviceFailed: true, lab.EventPreseedError: true,
}

// event is what happened, without when and by whom.
func (t *theme) event(e store.Event) string {
	name, bad := found(e)
	style := t.plain
	switch {
	case bad, failures[e.Kind]:
		style = t.bad
	case name != "" && name != pattern.LoginPrompt:
		style = t.warn
	}
	return style.Render(eventText(e))
}

// eventText is event without colours. What a console has printed that is looked
// for speaks for itself.
func eventText(e store.Event) string {
	name, bad := found(e)
	switch {
	case bad:
		return "✗ " + clean(e.Detail)
	case name == pattern.LoginPrompt:
		return clean(e.Detail)
	case name != "":
		return "! " + clean(e.Detail)
	}
	return strings.TrimSpace(clean(e.Kind) + "  " + clean(e.Detail))
}

// found is the pattern that was found in what a console has printed, and
// whether it tells of trouble; empty for other events.
func found(e store.Event) (name string, bad bool) {
	if e.Kind != lab.EventConsolePattern {
		return "", false
	}
	name, _, _ = strings.Cut(e.Detail, ":")
	switch name {
	case pattern.KernelPanic, pattern.KernelOops, pattern.HungTask, pattern.InstallFailure, pattern.BootFailure:
		bad = true
	}
	return name, bad
}

// trouble is what the machine has printed last that tells of trouble; nil where
// it has started again since, or asks for a user.
func (p *machinePage) trouble() *store.Event {
	for i, e := range p.events {
		switch name, bad := found(e); {
		case bad:
			return &p.events[i]
		case name == pattern.LoginPrompt, e.Kind == lab.EventPower, e.Kind == lab.EventPowerSeen, e.Kind == lab.EventProvision:
			return nil
		}
	}
	return nil
}

// clock shows a time: that of the day, and the day where it is another one.
func (a *app) clock(at time.Time) string {
	now := a.now()
	at = at.In(now.Location())
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05")
	}
	return at.Format("Jan 2 15:04")
}

func (t *theme) orNone(name string) string {
	if name == "" {
		return t.dim.Render("none")
	}
	return name
}
