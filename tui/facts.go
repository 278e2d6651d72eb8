package tui

import (
	"strings"

	"charm.land/lipgloss/v2"
)

const (
	pairedWidth = 70 // from here on two short facts share a line
	labelWidth  = 10
)

// facts lays out labels and values. Where there is room, two short ones share
// a line.
type facts struct {
	theme  *theme
	width  int
	paired bool
	lines  []string
	half   bool // the last line has room for a second one
}

func (f *facts) line(label, value string) {
	f.lines = append(f.lines, f.cell(label, value, f.width))
	f.half = false
}

func (f *facts) short(label, value string) {
	half := (f.width - 2) / 2
	switch {
	case !f.paired:
		f.line(label, value)
	case f.half:
		last := len(f.lines) - 1
		f.lines[last] = fit(f.lines[last], half) + "  " + f.cell(label, value, half)
		f.half = false
	default:
		f.lines = append(f.lines, f.cell(label, value, half))
		f.half = true
	}
}

// text is a value that may need several lines.
func (f *facts) text(label, value string, limit int, style lipgloss.Style) {
	for _, line := range wrapped(clean(value), f.width-labelWidth, limit) {
		f.line(label, style.Render(line))
		label = ""
	}
}

func (f *facts) cell(label, value string, width int) string {
	return f.theme.dim.Render(fit(label, labelWidth)) + cut(value, width-labelWidth)
}

// verbatim is the lines of a text that a machine is to read, each as it is,
// but printable. What continues a line that is too long is marked.
func verbatim(t *theme, text []byte, width int) []string {
	const mark = "↳ "
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\n"), "\n") {
		line = printed(strings.TrimSuffix(line, "\r"))
		if widths.StringWidth(line) <= width {
			lines = append(lines, line)
			continue
		}
		for at, part := range strings.Split(widths.Hardwrap(line, max(1, width-widths.StringWidth(mark)), true), "\n") {
			if at > 0 {
				part = t.dim.Render(mark) + part
			}
			lines = append(lines, part)
		}
	}
	return lines
}
