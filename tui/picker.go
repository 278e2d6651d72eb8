package tui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
)

// choice is something that can be picked.
type choice struct {
	value string // what is asked for; empty: none
	label string
	note  string // more about it
}

// picker is a list from which one thing is chosen. Typing filters it.
type picker struct {
	choices []choice
	filter  textinput.Model
	shown   []int  // indexes into choices
	at      int    // in shown
	chosen  string // the value, which outlives a filter that hides it
}

func newPicker(chosen string) picker {
	return picker{chosen: chosen, filter: newInput("")}
}

// set replaces the choices, and keeps what is chosen where it is among them.
// Else the first one is.
func (p *picker) set(choices []choice) {
	p.choices = choices
	if !slices.ContainsFunc(choices, func(c choice) bool { return c.value == p.chosen }) {
		p.chosen = ""
		if len(choices) > 0 {
			p.chosen = choices[0].value
		}
	}
	p.list()
}

func (p *picker) list() {
	words := strings.Fields(strings.ToLower(p.filter.Value()))
	p.shown, p.at = p.shown[:0], -1
	for i, c := range p.choices {
		text := strings.ToLower(c.label + " " + c.note)
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			continue
		}
		if c.value == p.chosen {
			p.at = len(p.shown)
		}
		p.shown = append(p.shown, i)
	}
	if p.at < 0 && len(p.shown) > 0 {
		p.move(0)
	}
}

// move chooses the one that is by places further down.
func (p *picker) move(by int) {
	if len(p.shown) == 0 {
		return
	}
	p.at = min(max(p.at+by, 0), len(p.shown)-1)
	p.chosen = p.choices[p.shown[p.at]].value
}

func (p *picker) update(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	before := p.filter.Value()
	p.filter, cmd = p.filter.Update(msg)
	if p.filter.Value() != before {
		p.list()
	}
	return cmd
}

func (p *picker) focus() tea.Cmd { return p.filter.Focus() }

// leave forgets the filter.
func (p *picker) leave() {
	p.filter.Reset()
	p.filter.Blur()
	p.list()
}

// none reports whether the filter leaves nothing to choose.
func (p *picker) none() bool { return len(p.shown) == 0 }

// rows are at most height lines of the list, around the chosen one.
func (p *picker) rows(t *theme, width, height int) []string {
	first := min(max(0, p.at-height/2), max(0, len(p.shown)-height))
	var lines []string
	for i := first; i < min(len(p.shown), first+height); i++ {
		c := p.choices[p.shown[i]]
		line := clean(c.label) + "  " + clean(c.note)
		if i == p.at {
			lines = append(lines, t.selected.Render(fit(" › "+line, width)))
		} else {
			lines = append(lines, cut("   "+clean(c.label)+"  "+t.dim.Render(clean(c.note)), width))
		}
	}
	return lines
}
