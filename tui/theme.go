package tui

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// theme is how everything looks. It keeps to the 16 colours of the terminal,
// which its owner has chosen to be readable on their background, and no
// meaning hangs on a colour alone: NO_COLOR loses nothing but beauty.
type theme struct {
	title    lipgloss.Style
	plain    lipgloss.Style
	dim      lipgloss.Style
	strong   lipgloss.Style
	mine     lipgloss.Style
	good     lipgloss.Style
	warn     lipgloss.Style
	bad      lipgloss.Style
	selected lipgloss.Style
	match    lipgloss.Style // of what is looked for
	key      lipgloss.Style
	border   lipgloss.Style // of what is looked at
	active   lipgloss.Style // of what has the keyboard
}

func newTheme() *theme {
	style := lipgloss.NewStyle
	return &theme{
		title:    style().Bold(true).Foreground(lipgloss.Cyan),
		plain:    style(),
		dim:      style().Faint(true),
		strong:   style().Bold(true),
		mine:     style().Bold(true).Foreground(lipgloss.Green),
		good:     style().Foreground(lipgloss.Green),
		warn:     style().Foreground(lipgloss.Yellow),
		bad:      style().Foreground(lipgloss.Red),
		selected: style().Reverse(true),
		match:    style().Bold(true).Underline(true),
		key:      style().Bold(true),
		border:   style().Faint(true),
		active:   style().Bold(true).Foreground(lipgloss.Green),
	}
}

// box draws a frame of width x height cells around lines, with a title at the
// left and a note at the right of its upper edge.
func box(border lipgloss.Style, title, note string, lines []string, width, height int) []string {
	if width < 6 || height < 2 {
		return block(nil, width, height)
	}
	out := make([]string, 0, height)
	out = append(out, edge(border, "╭─", "─╮", title, note, width))
	side := border.Render("│")
	for _, line := range block(lines, width-4, height-2) {
		out = append(out, side+" "+line+" "+side)
	}
	return append(out, border.Render("╰"+strings.Repeat("─", width-2)+"╯"))
}

// rule is a box that has nothing but its upper edge.
func rule(border lipgloss.Style, title, note string, lines []string, width, height int) []string {
	if width < 6 || height < 1 {
		return block(nil, width, height)
	}
	return append([]string{edge(border, "──", "──", title, note, width)}, block(lines, width, height-1)...)
}

func edge(border lipgloss.Style, left, right, title, note string, width int) string {
	room := width - widths.StringWidth(left+right)
	if title != "" {
		title = " " + cut(title, room-2) + " "
	}
	room -= widths.StringWidth(title)
	if note = cut(note, room-3); note != "" {
		note = " " + note + " "
	}
	room -= widths.StringWidth(note)
	return border.Render(left) + title + border.Render(strings.Repeat("─", max(0, room))) + note + border.Render(right)
}

// warned is a text that tells of something amiss, in lines.
func (t *theme) warned(text string, width, limit int) []string {
	lines := wrapped(clean(text), width, limit)
	for i, line := range lines {
		lines[i] = t.warn.Render(line)
	}
	return lines
}
