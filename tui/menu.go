package tui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// menuItem is something that can be done, by its key or by choosing it.
type menuItem struct {
	key     key.Binding // its help says what it does
	subject string      // to what; empty: to nothing in particular
	why     string      // it cannot be done now; empty: it can
	do      func() tea.Cmd
}

// menuSwitch is something that has one of several values, which its key
// changes.
type menuSwitch struct {
	key    key.Binding
	values []string
	at     int
}

// menu is a list of things to do over the middle of a screen. It closes when
// one is chosen.
type menu struct {
	title    string
	items    []menuItem
	switches []menuSwitch
	at       int
	first    int // the first item that is shown
}

// press takes a key. chosen is what it was about, where that can be done; done
// says that the menu is to close.
func (m *menu) press(a *app, msg tea.KeyPressMsg) (cmd tea.Cmd, done bool) {
	for i := range m.switches {
		if s := &m.switches[i]; key.Matches(msg, s.key) {
			s.at = (s.at + 1) % len(s.values)
			return nil, false
		}
	}
	chosen := slices.IndexFunc(m.items, func(i menuItem) bool { return key.Matches(msg, i.key) })
	switch {
	case chosen >= 0:
		m.at = chosen
	case key.Matches(msg, menuKeys.Up):
		m.at = max(0, m.at-1)
		return nil, false
	case key.Matches(msg, menuKeys.Down):
		m.at = min(m.at+1, len(m.items)-1)
		return nil, false
	case key.Matches(msg, menuKeys.Close):
		return nil, true
	case !key.Matches(msg, menuKeys.Choose):
		return nil, false
	}
	if why := m.items[m.at].why; why != "" {
		a.refuse(why)
		return nil, false
	}
	return m.items[m.at].do(), true
}

// box draws the menu for a window of that size.
func (m *menu) box(t *theme, width, height int) []string {
	shared := m.sharedReason()
	keyWidth, inner := 0, widths.StringWidth(m.title)+len("──  ──  esc closes  ")
	for _, b := range m.bindings() {
		keyWidth = max(keyWidth, widths.StringWidth(b.Help().Key))
	}
	text := func(i menuItem) string {
		line := fit(i.key.Help().Key, keyWidth) + "  " + i.key.Help().Desc
		switch i.why {
		case "":
		case shared:
			line += " ✗"
		default:
			line += " ✗ " + i.why
		}
		return clean(line)
	}
	for _, i := range m.items {
		inner = max(inner, widths.StringWidth(text(i))+4)
	}
	var below []string
	for _, s := range m.switches {
		for _, value := range s.values {
			inner = max(inner, keyWidth+6+widths.StringWidth(s.key.Help().Desc+" "+value))
		}
		below = append(below, "   "+fit(s.key.Help().Key, keyWidth)+"  "+t.dim.Render(s.key.Help().Desc)+" "+s.values[s.at])
	}
	inner = min(inner, width-6)
	for i, line := range wrapped(clean(shared), inner-5, 2) {
		below = append(below, " "+t.dim.Render(fit([...]string{"✗", ""}[min(i, 1)], 2)+line))
	}
	if len(below) > 0 {
		below = append([]string{""}, below...)
	}

	rows := min(len(m.items), max(1, height-2-len(below)))
	m.first = min(max(m.first, m.at-rows+1), m.at, max(0, len(m.items)-rows))
	var lines []string
	for n, i := range m.items[m.first:min(m.first+rows, len(m.items))] {
		line := fit("   "+text(i), inner)
		switch {
		case m.first+n == m.at:
			line = t.selected.Render(fit(" › "+text(i), inner))
		case i.why != "":
			line = t.dim.Render(line)
		}
		lines = append(lines, line)
	}
	note := t.dim.Render("esc closes")
	if len(m.items) > rows {
		note = t.dim.Render("↑↓ more")
	}
	lines = append(lines, below...)
	return box(t.title, t.strong.Render(clean(m.title)), note, lines, inner+4, min(len(lines)+2, height))
}

// sharedReason is why most of what cannot be done cannot, where it is the same
// for several items: it is said once.
func (m *menu) sharedReason() (shared string) {
	const several = 3
	count, most := make(map[string]int), several-1
	for _, i := range m.items {
		if count[i.why]++; i.why != "" && count[i.why] > most {
			shared, most = i.why, count[i.why]
		}
	}
	return shared
}

// bindings are the keys that the menu itself knows.
func (m *menu) bindings() []key.Binding {
	var all []key.Binding
	for _, i := range m.items {
		all = append(all, i.key)
	}
	for _, s := range m.switches {
		all = append(all, s.key)
	}
	return all
}

func (a *app) menuBox() string {
	return strings.Join(a.menu.box(a.theme, a.width, a.height-4), "\n")
}
