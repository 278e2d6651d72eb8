package tui

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// editText is a text that somebody edits: its lines, a cursor, and what was done
// to it. It keeps every byte that nobody changes, tabs and carriage returns too.
type editText struct {
	lines  []string
	cursor place
	aim    int // the column that up and down keep to, in cells; -1: the cursor's

	size  int // of all, in bytes
	limit int

	done, undone []edit
	kept         int  // bytes in done and undone
	apart        bool // the next edit is not joined to the last
}

// place is between two characters.
type place struct {
	line int
	at   int // bytes of the line before it
}

func (p place) before(q place) bool { return p.line < q.line || p.line == q.line && p.at < q.at }

// edit is a part of a text that was put in the place of another.
type edit struct {
	from              place
	removed, inserted string
}

// keptEdits bounds what can be undone, in bytes.
const keptEdits = 8 << 20

// tabStop is how wide a tab is at most, in cells.
const tabStop = 8

func newEditText(text string, limit int) editText {
	return editText{lines: strings.Split(text, "\n"), aim: -1, size: len(text), limit: limit}
}

// String is the whole text.
func (t *editText) String() string { return strings.Join(t.lines, "\n") }

// line is the one that the cursor is in.
func (t *editText) line() string { return t.lines[t.cursor.line] }

// after is where a text ends that begins somewhere.
func after(from place, text string) place {
	if n := strings.Count(text, "\n"); n > 0 {
		return place{from.line + n, len(text) - strings.LastIndexByte(text, '\n') - 1}
	}
	return place{from.line, from.at + len(text)}
}

// between is the text from one place to another.
func (t *editText) between(from, to place) string {
	if from.line == to.line {
		return t.lines[from.line][from.at:to.at]
	}
	parts := slices.Clone(t.lines[from.line : to.line+1])
	parts[len(parts)-1] = parts[len(parts)-1][:to.at]
	parts[0] = parts[0][from.at:]
	return strings.Join(parts, "\n")
}

// replace puts text in the place of another, and the cursor behind it.
func (t *editText) replace(from, to place, text string) (removed string) {
	removed = t.between(from, to)
	whole := t.lines[from.line][:from.at] + text + t.lines[to.line][to.at:]
	t.lines = slices.Replace(t.lines, from.line, to.line+1, strings.Split(whole, "\n")...)
	t.size += len(text) - len(removed)
	t.cursor, t.aim = after(from, text), -1
	return removed
}

// change is replace that can be undone. It reports whether there was room.
func (t *editText) change(from, to place, text string) bool {
	if len(text) > 0 && t.size+len(text) > t.limit {
		return false
	}
	removed := t.replace(from, to, text)
	if removed == "" && text == "" {
		return true
	}
	t.dropUndone()
	t.kept += len(removed) + len(text)
	if !t.join(from, removed, text) {
		t.done = append(t.done, edit{from, removed, text})
	}
	for t.kept > keptEdits && len(t.done) > 0 {
		t.kept -= len(t.done[0].removed) + len(t.done[0].inserted)
		t.done = t.done[1:]
	}
	t.apart = text == "\n"
	return true
}

// join makes one edit of what is typed, or deleted, character by character.
func (t *editText) join(from place, removed, text string) bool {
	if t.apart || len(t.done) == 0 || len(removed)+len(text) > utf8.UTFMax {
		return false
	}
	last := &t.done[len(t.done)-1]
	switch {
	case removed == "" && last.removed == "" && after(last.from, last.inserted) == from:
		last.inserted += text
	case text == "" && last.inserted == "" && after(from, removed) == last.from:
		last.from, last.removed = from, removed+last.removed
	case text == "" && last.inserted == "" && from == last.from:
		last.removed += removed
	default:
		return false
	}
	return true
}

func (t *editText) dropUndone() {
	for _, e := range t.undone {
		t.kept -= len(e.removed) + len(e.inserted)
	}
	t.undone = nil
}

// undo takes the last edit back; false: there is none.
func (t *editText) undo() bool {
	if len(t.done) == 0 {
		return false
	}
	e := t.done[len(t.done)-1]
	t.done = t.done[:len(t.done)-1]
	t.replace(e.from, after(e.from, e.inserted), e.removed)
	t.undone = append(t.undone, e)
	t.apart = true
	return true
}

// redo does again what was undone last; false: nothing was.
func (t *editText) redo() bool {
	if len(t.undone) == 0 {
		return false
	}
	e := t.undone[len(t.undone)-1]
	t.undone = t.undone[:len(t.undone)-1]
	t.replace(e.from, after(e.from, e.removed), e.inserted)
	t.done = append(t.done, e)
	t.apart = true
	return true
}

// insert types a text at the cursor. It reports whether there was room.
func (t *editText) insert(text string) bool { return t.change(t.cursor, t.cursor, text) }

// remove deletes what is between the cursor and another place.
func (t *editText) remove(to place) {
	from := t.cursor
	if to.before(from) {
		from, to = to, from
	}
	t.change(from, to, "")
}

// next is the place behind the character at another; combining characters go
// with the one that they are on.
func (t *editText) next(p place) place {
	line := t.lines[p.line]
	if p.at >= len(line) {
		if p.line+1 < len(t.lines) {
			return place{p.line + 1, 0}
		}
		return p
	}
	_, size := utf8.DecodeRuneInString(line[p.at:])
	for p.at += size; p.at < len(line); p.at += size {
		var r rune
		if r, size = utf8.DecodeRuneInString(line[p.at:]); !unicode.Is(unicode.M, r) {
			break
		}
	}
	return p
}

// previous is the place before the character before another.
func (t *editText) previous(p place) place {
	if p.at == 0 {
		if p.line > 0 {
			return place{p.line - 1, len(t.lines[p.line-1])}
		}
		return p
	}
	for p.at > 0 {
		r, size := utf8.DecodeLastRuneInString(t.lines[p.line][:p.at])
		p.at -= size
		if !unicode.Is(unicode.M, r) {
			break
		}
	}
	return p
}

// inWord reports whether a word goes on at a place.
func (t *editText) inWord(p place) bool {
	r, _ := utf8.DecodeRuneInString(t.lines[p.line][p.at:])
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// nextWord is the end of the word that the cursor is in, or comes to.
func (t *editText) nextWord() place {
	p := t.cursor
	for begun := false; ; {
		q := t.next(p)
		if q == p || begun && !t.inWord(p) {
			return p
		}
		begun = begun || t.inWord(p)
		p = q
	}
}

// previousWord is the beginning of the word before the cursor.
func (t *editText) previousWord() place {
	p := t.cursor
	for begun := false; ; {
		q := t.previous(p)
		if q == p || begun && !t.inWord(q) {
			return p
		}
		begun = begun || t.inWord(q)
		p = q
	}
}

// move puts the cursor somewhere.
func (t *editText) move(to place) {
	t.cursor, t.aim, t.apart = to, -1, true
}

// moveLines moves the cursor so many lines down, or up, in its column.
func (t *editText) moveLines(by int) {
	if t.aim < 0 {
		t.aim = cells(t.line()[:t.cursor.at])
	}
	line := max(0, min(t.cursor.line+by, len(t.lines)-1))
	aim := t.aim
	t.move(place{line, atCell(t.lines[line], aim)})
	t.aim = aim
}

// find is where a text comes next behind the cursor, whatever its capitals are,
// and from the beginning again; false: nowhere.
func (t *editText) find(text string) (place, bool) {
	text = strings.ToLower(text)
	if text == "" {
		return t.cursor, false
	}
	for i := range len(t.lines) + 1 {
		n := (t.cursor.line + i) % len(t.lines)
		from := 0
		if i == 0 {
			from = t.next(t.cursor).at
			if t.next(t.cursor).line != n {
				continue
			}
		}
		line := t.lines[n]
		folded := strings.ToLower(line)
		if len(folded) != len(line) { // places in one are not those in the other
			folded = line
		}
		if at := strings.Index(folded[from:], text); at >= 0 {
			return place{n, from + at}, true
		}
	}
	return t.cursor, false
}

// cellsOf is how a character is shown in a column: what a terminal might obey
// is not.
func cellsOf(r rune, column int) (shown string, width int) {
	switch {
	case r == '\t':
		width = tabStop - column%tabStop
		return spaces(width), width
	case unicode.IsPrint(r):
		return string(r), widths.StringWidth(string(r))
	case unicode.Is(unicode.M, r) || unicode.Is(unicode.Cf, r):
		return "", 0
	}
	return "·", 1
}

// cells is how wide a text is that begins in the first column.
func cells(text string) (column int) {
	for _, r := range text {
		_, width := cellsOf(r, column)
		column += width
	}
	return column
}

// atCell is where in a line a column is, in bytes.
func atCell(line string, wanted int) int {
	column := 0
	for i, r := range line {
		_, width := cellsOf(r, column)
		if column += width; column > wanted {
			return i
		}
	}
	return len(line)
}

// shownFrom is what of a line is in a window that begins in a column.
func shownFrom(line string, first, width int) string {
	var b strings.Builder
	column := 0
	for _, r := range line {
		if column >= first+width {
			break
		}
		shown, w := cellsOf(r, column)
		switch {
		case column >= first && column+w <= first+width:
			b.WriteString(shown)
		case column+w > first: // it is cut at an edge
			b.WriteString(spaces(min(column+w, first+width) - max(column, first)))
		}
		column += w
	}
	return b.String()
}
