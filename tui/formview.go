package tui

import (
	"charm.land/bubbles/v2/textinput"
)

// maxFormWidth is how wide a form gets: answers stay near their questions.
const maxFormWidth = 100

func (f *formPage) view(width, height int) ([]string, cursor) {
	t := f.theme
	width = min(width, maxFormWidth)
	inner := width - 4
	var lines []string
	var c cursor

	// What is left for the open list: the questions' lines, two of the border, and
	// some of the problem.
	problem := wrapped(clean(f.problem), inner-2, 4)
	room := max(2, height-2-len(f.fields)-3-len(problem)-2)
	for i, field := range f.fields {
		mark, value := "  ", f.shown(field)
		if i == f.at {
			mark = t.active.Render("› ")
		}
		lines = append(lines, mark+t.dim.Render(fit(field.label, labelWidth))+value)
		if i != f.at {
			continue
		}
		list, at := f.below(field, inner, room)
		if at.visible {
			c = cursor{x: 2 + 2 + labelWidth + at.x, y: len(lines), visible: true}
		}
		lines = append(lines, list...)
	}
	lines = append(lines, "")
	button := "  " + t.dim.Render("enter goes through the fields")
	switch {
	case f.sending:
		button = "  " + t.warn.Render(clean(f.busy))
	case f.field() == nil:
		button = t.active.Render("› ") + t.selected.Render(" enter: "+clean(f.button())+" ")
	}
	lines = append(lines, button)
	for _, line := range problem {
		lines = append(lines, "  "+t.bad.Render(line))
	}
	title, note := t.strong.Render(clean(f.title)), ""
	if f.note != "" {
		note = t.dim.Render(clean(f.note))
	}
	return box(t.border, title, note, lines, width, min(height, len(lines)+2)), c
}

// shown is the answer to a question. The one that has the keyboard is typed
// into.
func (f *formPage) shown(now *field) string {
	typed := now == f.field()
	switch {
	case now.picker == nil && typed:
		return now.input.View()
	case now.picker != nil && typed && now.picker.filter.Value() != "":
		return now.picker.filter.View()
	}
	return f.theme.orNone(clean(now.value()))
}

// below is what stands below the question that has the keyboard, and the place
// of the cursor in the question itself.
func (f *formPage) below(now *field, width, room int) ([]string, cursor) {
	t := f.theme
	inner := max(1, width-labelWidth-4)
	if now.picker == nil {
		now.input.SetWidth(inner)
		var hint []string
		for _, line := range wrapped(clean(now.hint), inner, 3) {
			hint = append(hint, "  "+spaces(labelWidth)+t.dim.Render(line))
		}
		return hint, inputCursor(now.input)
	}
	p := now.picker
	p.filter.SetWidth(inner)
	at := inputCursor(p.filter)
	var list []string
	switch {
	case !f.loaded:
		list = []string{t.dim.Render("Reading ...")}
	case len(p.choices) == 0 && len(now.lacking) > 0:
		list = append(list, t.warn.Render(now.lacking[0]))
		for _, line := range now.lacking[1:] {
			list = append(list, t.key.Render(line))
		}
	case p.none():
		list = []string{t.dim.Render("nothing matches")}
	default:
		list = p.rows(t, width-labelWidth-2, room)
	}
	for i := range list {
		list[i] = "  " + spaces(labelWidth) + cut(list[i], width-labelWidth-2)
	}
	return list, at
}

func inputCursor(in textinput.Model) cursor {
	if c := in.Cursor(); c != nil {
		return cursor{x: c.X, visible: true}
	}
	return cursor{}
}
