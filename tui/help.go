package tui

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
)

// keyHint is a key and what it does.
func (a *app) keyHint(b key.Binding) string {
	return a.theme.key.Render(b.Help().Key) + " " + a.theme.dim.Render(b.Help().Desc)
}

// shortHelp is as many keys as fit into a line, and always the last one.
func (a *app) shortHelp() string {
	hints := a.top().help().short
	last := " " + a.keyHint(hints[len(hints)-1]) + " "
	line := ""
	for _, b := range hints[:len(hints)-1] {
		hint := " " + a.keyHint(b) + " "
		if widths.StringWidth(line+hint+last) > a.width {
			break
		}
		line += hint
	}
	return line + last
}

// helpBox lists all keys of the screen, in as many columns as its height needs.
func (a *app) helpBox() string {
	section := a.top().help()
	rows := max(1, a.height-6)
	columns := (len(section.all) + rows - 1) / rows
	rows = (len(section.all) + columns - 1) / columns
	lines := make([]string, rows)
	for from := 0; from < len(section.all); from += rows {
		column := section.all[from:min(from+rows, len(section.all))]
		keyWidth, width := 0, 0
		for _, b := range column {
			keyWidth = max(keyWidth, widths.StringWidth(b.Help().Key))
			width = max(width, widths.StringWidth(b.Help().Desc))
		}
		for i := range lines {
			if from > 0 {
				lines[i] += "   "
			}
			entry := ""
			if i < len(column) {
				entry = fit(a.theme.key.Render(column[i].Help().Key), keyWidth) + "  " + column[i].Help().Desc
			}
			lines[i] += fit(entry, keyWidth+2+width)
		}
	}
	inner := widths.StringWidth(section.title) + len("  any key closes  ")
	for _, line := range lines {
		inner = max(inner, widths.StringWidth(line))
	}
	lines = append(append([]string{""}, lines...), "")
	outer := min(inner+4, a.width)
	return strings.Join(box(a.theme.title, a.theme.strong.Render(section.title), a.theme.dim.Render("any key closes"), lines,
		outer, min(len(lines)+2, a.height)), "\n")
}

func sizeText(width, height int) string { return fmt.Sprintf("%d columns and %d rows", width, height) }
