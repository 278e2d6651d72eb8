package tui

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
)

// list is things in lines, one of which is selected. A filter narrows it.
type list[T any] struct {
	name func(T) string // tells them apart: the selection stays on it
	text func(T) string // what a filter looks at, in lower case
	only func(T) bool   // which are listed, whatever the filter; nil: all
	asks func() bool    // the filter is no words to look for: only has heeded it; nil: it never is

	rows    []T
	listed  []int  // indexes into rows
	current string // the name of the selected one
	first   int    // the first line that is shown, in listed
	page    int    // how many lines are shown
	filter  textinput.Model
	typing  bool // into the filter
}

func newList[T any](name, text func(T) string) list[T] {
	return list[T]{name: name, text: text, filter: newInput("/ ")}
}

// newInput is a line to type into. It shows no cursor of its own, which would
// blink, and does not paste from the clipboard of the server.
func newInput(prompt string) textinput.Model {
	in := textinput.New()
	in.Prompt = prompt
	in.SetVirtualCursor(false)
	in.KeyMap.Paste.Unbind()
	in.SetStyles(textinput.Styles{})
	return in
}

// set replaces what there is.
func (l *list[T]) set(rows []T) {
	l.rows = rows
	l.choose()
}

// choose decides what is listed, and keeps the selection where it is. Where
// that is listed no more, the selection stays at its place on the screen.
func (l *list[T]) choose() {
	place := l.place()
	words := strings.Fields(strings.ToLower(l.filter.Value()))
	if l.asks != nil && l.asks() {
		words = nil
	}
	l.listed = l.listed[:0]
	for i, r := range l.rows {
		if l.only != nil && !l.only(r) {
			continue
		}
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l.text(r), w) }) {
			continue
		}
		l.listed = append(l.listed, i)
	}
	if len(l.listed) == 0 {
		return // and remember the name, for when the filter is gone
	}
	if at := l.place(); at >= 0 {
		place = at
	}
	l.selectAt(place)
}

// place is where the selected one is in the list; -1: nowhere.
func (l *list[T]) place() int {
	return slices.IndexFunc(l.listed, func(i int) bool { return i < len(l.rows) && l.name(l.rows[i]) == l.current })
}

func (l *list[T]) selectAt(place int) {
	if len(l.listed) == 0 {
		return
	}
	place = min(max(place, 0), len(l.listed)-1)
	l.current = l.name(l.rows[l.listed[place]])
}

func (l *list[T]) selected() (selected T, ok bool) {
	if at := l.place(); at >= 0 {
		return l.rows[l.listed[at]], true
	}
	return selected, false
}

// press takes the keys that select and filter; taken says whether it was one.
func (l *list[T]) press(msg tea.KeyPressMsg) (cmd tea.Cmd, taken bool) {
	k := listKeys
	page := max(1, l.page-1)
	switch {
	case l.typing:
		return l.edit(msg), true
	case key.Matches(msg, k.Up):
		l.selectAt(l.place() - 1)
	case key.Matches(msg, k.Down):
		l.selectAt(l.place() + 1)
	case key.Matches(msg, k.PageUp):
		l.selectAt(l.place() - page)
	case key.Matches(msg, k.PageDown):
		l.selectAt(l.place() + page)
	case key.Matches(msg, k.Top):
		l.selectAt(0)
	case key.Matches(msg, k.Bottom):
		l.selectAt(len(l.listed))
	case key.Matches(msg, k.Filter):
		l.typing = true
		return l.filter.Focus(), true
	default:
		return nil, false
	}
	return nil, true
}

// edit takes what is typed or pasted while the filter has the keyboard.
func (l *list[T]) edit(msg tea.Msg) (cmd tea.Cmd) {
	if !l.typing {
		return nil
	}
	press, _ := msg.(tea.KeyPressMsg)
	switch {
	case key.Matches(press, filterKeys.Up):
		l.selectAt(l.place() - 1)
	case key.Matches(press, filterKeys.Down):
		l.selectAt(l.place() + 1)
	case key.Matches(press, filterKeys.Keep):
		l.leave()
	case key.Matches(press, filterKeys.Drop):
		l.clear()
	default:
		l.filter, cmd = l.filter.Update(msg)
		l.choose()
	}
	return cmd
}

// leave gives the keyboard back, and keeps the filter.
func (l *list[T]) leave() {
	l.typing = false
	l.filter.Blur()
	l.choose()
}

// clear lists everything again; false where nothing was filtered.
func (l *list[T]) clear() bool {
	filtered := l.filter.Value() != ""
	l.filter.Reset()
	l.leave()
	return filtered
}

// view draws a heading, the lines around the selected one, and what filters
// them. empty is said where there are none; note is beside the count of a list
// that does not have everything.
func (l *list[T]) view(t *theme, width, height int, heading, empty, note string, line func(r T, selected bool) string) ([]string, cursor) {
	var c cursor
	lines := []string{heading}
	bottom := l.filterLine(t, note, width)
	l.page = height - len(lines)
	if bottom != "" {
		l.page--
	}
	if l.page < 1 {
		return lines, c
	}
	if len(l.listed) == 0 {
		if len(l.rows) > 0 {
			empty = "Nothing matches. esc shows everything."
		}
		lines = append(lines, "")
		for _, text := range wrapped(clean(empty), width-6, l.page-1) {
			lines = append(lines, "   "+text)
		}
	}
	at := max(0, l.place())
	l.first = min(max(l.first, at-l.page+1), at, max(0, len(l.listed)-l.page))
	for i := l.first; i < min(l.first+l.page, len(l.listed)); i++ {
		r := l.rows[l.listed[i]]
		if i == at && l.name(r) == l.current {
			lines = append(lines, t.selected.Render(fit(" › "+line(r, true), width)))
		} else {
			lines = append(lines, "   "+line(r, false))
		}
	}
	if bottom != "" {
		lines = append(block(lines, width, height-1), bottom)
	}
	if l.typing {
		c = cursor{y: height - 1, visible: true}
		if in := l.filter.Cursor(); in != nil {
			c.x = 3 + in.X
		}
	}
	return lines, c
}

// filterLine says what is listed, where that is not everything.
func (l *list[T]) filterLine(t *theme, note string, width int) string {
	if !l.typing && l.filter.Value() == "" && note == "" {
		return ""
	}
	right := fmt.Sprintf("%d of %d", len(l.listed), len(l.rows))
	if note != "" {
		right = note + " · " + right
	}
	const around = 9 // the margins, the prompt, and the cursor behind the text
	if room := max(1, width-around-widths.StringWidth(right)); room != l.filter.Width() {
		at := l.filter.Position()
		l.filter.SetWidth(room)
		l.filter.SetCursor(0) // or what is shown of the text would stay as it was
		l.filter.SetCursor(at)
	}
	left := "   "
	if l.typing || l.filter.Value() != "" {
		left += l.filter.View()
	}
	return apart(left, t.warn.Render(right)+" ", width)
}

// columns are the widths of a table's columns. One that has no room is 0.
type columns []int

const columnGap = 2

// line joins cells, which may be styled.
func (c columns) line(cells ...string) string {
	var b strings.Builder
	for i, cell := range cells {
		if c[i] > 0 {
			b.WriteString(fit(cell, c[i]))
			b.WriteString(spaces(columnGap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// rest is what other columns leave of a width.
func (c columns) rest(width int) int {
	for _, w := range c {
		if w > 0 {
			width -= w + columnGap
		}
	}
	return width
}
