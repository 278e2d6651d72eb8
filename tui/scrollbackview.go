package tui

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"provisioner/lab/console/transcript"
)

// border is what the log's frame says.
func (s *scrollback) border(width int) (title, note string) {
	t := s.page.theme
	title, note = t.title.Render("Log"), t.key.Render("esc")+t.dim.Render(" live")
	switch {
	case s.prompt == eventPrompt:
		return title + "  jump to an event", t.key.Render("esc") + t.dim.Render(" cancels")
	case s.reading && s.loaded:
		note = t.warn.Render("reading ...") + "  " + t.key.Render("esc") + t.dim.Render(" stops")
	}
	if !s.loaded || len(s.shown) == 0 {
		return title, note
	}
	title += "  " + s.since()
	if where := s.where(); where != "" {
		note = t.dim.Render(where) + "  " + note
	}
	if s.what != "" && width >= 60 {
		title += t.dim.Render("  looking for " + cut(clean(s.what), width/3))
	}
	return title, note
}

// since is when the line at the top was printed.
func (s *scrollback) since() string {
	at := s.shown[0].At
	if at.IsZero() {
		return "time unknown"
	}
	return at.In(s.page.now().Location()).Format("Jan 2 15:04:05")
}

// where is how far down in the log the view is.
func (s *scrollback) where() string {
	first, last := s.log.Start(), s.log.End()
	switch {
	case s.atEnd():
		return "end"
	case s.top == spot{at: first}:
		return "beginning"
	case last <= first:
		return ""
	}
	return fmt.Sprintf("%d %%", 100*(s.top.at-first)/(last-first))
}

// atEnd reports whether the end of the log is shown.
func (s *scrollback) atEnd() bool {
	if len(s.shown) == linesAhead {
		return false
	}
	rows := -s.top.skip
	for _, line := range s.shown {
		if rows += len(logRows(line.Text, s.page.pane.size.Width)); rows > s.page.pane.size.Height {
			return false
		}
	}
	return true
}

// view draws what is inside of the border, and says where in it the cursor is.
func (s *scrollback) view() ([]string, cursor) {
	width, height := s.page.pane.size.Width, s.page.pane.size.Height
	if s.prompt == eventPrompt {
		return s.eventList(width, height)
	}
	var lines []string
	switch {
	case s.problem != "":
		for _, line := range wrapped(clean(s.problem), width-4, height-1) {
			lines = append(lines, "  "+line)
		}
		return append([]string{""}, lines...), cursor{}
	case !s.loaded:
		return []string{"", "  Reading the log ..."}, cursor{}
	case len(s.shown) == 0:
		return []string{"", "  Nothing was printed in the time that you may read."}, cursor{}
	}
	room := height
	if s.prompt != noPrompt {
		room--
	}
	skip := s.top.skip
	for _, line := range s.shown {
		rows := s.styled(line, width)
		rows = rows[min(skip, len(rows)-1):]
		skip = 0
		lines = append(lines, rows...)
		if len(lines) >= room {
			break
		}
	}
	lines = block(lines, width, max(0, room))
	if s.prompt == noPrompt {
		return lines, cursor{}
	}
	row, c := s.promptLine(width)
	c.y = len(lines)
	return append(lines, row), c
}

// styled are the rows of a line, with what matches in it made visible, and the
// whole of it where somebody jumped to it.
func (s *scrollback) styled(line transcript.Line, width int) []string {
	rows := logRows(line.Text, width)
	from, to := 0, 0 // in the line as it is shown
	style := s.page.theme.match
	if s.what != "" {
		if a, b, found := s.query.Find(line); found {
			from, to = len(printed(line.Text[:a])), len(printed(line.Text[:b]))
		}
	}
	if line.Position == s.target {
		style = s.page.theme.selected
		if from == to {
			to = len(strings.Join(rows, ""))
		}
	}
	at := 0
	for i, row := range rows {
		rows[i] = highlighted(row, from-at, to-at, style)
		at += len(row)
	}
	return rows
}

// highlighted is a row with a style from one byte to another.
func highlighted(row string, from, to int, style lipgloss.Style) string {
	from, to = min(max(from, 0), len(row)), min(max(to, 0), len(row))
	if from >= to {
		return row
	}
	return row[:from] + style.Render(row[from:to]) + row[to:]
}

// promptLine is the line that is typed into.
func (s *scrollback) promptLine(width int) (string, cursor) {
	t := s.page.theme
	label, hint := "search for: ", "tab: as a regular expression"
	switch {
	case s.prompt == timePrompt:
		label, hint = "jump to: ", "15m, 2h, 3d ago, 15:04, 2006-01-02 15:04"
	case s.expression:
		label, hint = "search for expression: ", "tab: as it is"
	}
	room := width - len(label) - 2 // one for the cursor behind the last character
	if width > 70 {
		room -= len(hint) + 2
	} else {
		hint = ""
	}
	s.input.SetWidth(max(1, room))
	c := inputCursor(s.input)
	c.x += len(label)
	return apart(t.key.Render(label)+s.input.View(), t.dim.Render(hint), width), c
}

// eventList is what to jump to.
func (s *scrollback) eventList(width, height int) ([]string, cursor) {
	t := s.page.theme
	const label = "only: "
	s.picker.filter.SetWidth(max(1, width-len(label)-4))
	c := inputCursor(s.picker.filter)
	c.x, c.y = c.x+1+len(label), 0
	lines := []string{" " + t.key.Render(label) + s.picker.filter.View()}
	switch {
	case s.events == nil:
		return append(lines, t.dim.Render("   Reading ...")), c
	case s.picker.none():
		return append(lines, t.dim.Render("   nothing matches")), c
	}
	return append(lines, s.picker.rows(t, width, max(1, height-1))...), c
}
