package tui

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// widths is how the terminal at the other end is taken to count cells. It is
// the method of the painter's buffer, too: both must agree.
const widths = ansi.WcWidth

// clean makes one printable line of a text that somebody else wrote: a host
// name from a DHCP request, the detail of an event. What a terminal would act
// on is gone, and so is what changes the order in which the rest is read.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, s)
}

// printed is a line of a text as it is shown: cleaned, and with spaces up to the
// tab stops.
func printed(text string) string {
	if !strings.Contains(text, "\t") {
		return clean(text)
	}
	const stop = 8
	var b strings.Builder
	column := 0
	for i, part := range strings.Split(text, "\t") {
		if i > 0 {
			n := stop - column%stop
			b.WriteString(spaces(n))
			column += n
		}
		part = clean(part)
		b.WriteString(part)
		column += widths.StringWidth(part)
	}
	return b.String()
}

// cut shortens a line, which may be styled, to at most width cells.
func cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return widths.Truncate(s, width, "…")
}

// fit makes a line, which may be styled, exactly width cells wide.
func fit(s string, width int) string {
	s = cut(s, width)
	return s + spaces(width-widths.StringWidth(s))
}

// wrapped breaks a text into lines of at most width cells. Where there are
// more than limit, the last one says so.
func wrapped(s string, width, limit int) []string {
	if width <= 0 || limit <= 0 || s == "" {
		return nil
	}
	lines := strings.Split(widths.Wrap(s, width, ""), "\n")
	if len(lines) > limit {
		rest := strings.Join(lines[limit-1:], " ")
		lines = append(lines[:limit-1], cut(rest, width))
	}
	return lines
}

// apart puts left and right at the two ends of a line of that width. Where
// there is no room for both, left is cut.
func apart(left, right string, width int) string {
	if right == "" {
		return fit(left, width)
	}
	right = cut(right, width)
	room := width - widths.StringWidth(right) - 1
	return fit(fit(left, room)+" "+right, width)
}

// ago is a span of time, roughly.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

func spaces(n int) string { return strings.Repeat(" ", max(0, n)) }

// block makes exactly height lines of exactly width cells.
func block(lines []string, width, height int) []string {
	out := make([]string, max(0, height))
	for i := range out {
		if i < len(lines) {
			out[i] = fit(lines[i], width)
		} else {
			out[i] = spaces(width)
		}
	}
	return out
}

// beside joins two blocks of the same height.
func beside(left, right []string) []string {
	out := make([]string, min(len(left), len(right)))
	for i := range out {
		out[i] = left[i] + right[i]
	}
	return out
}
