package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// row is a line of the table: a figure of ours, a peer's beside it, and what
// ours has to be.
type row struct {
	Measure string
	Ours    string
	Peer    string  // empty: there is none
	Ratio   float64 // of ours to the peer's, less is better; 0: there is none
	Target  string
	Met     bool
}

// verdict is what the last column says.
func (r row) verdict() string {
	if r.Met {
		return "yes"
	}
	return "**no**"
}

// cells are the columns of a row.
func (r row) cells() []string {
	peer, ratio := r.Peer, "–"
	if peer == "" {
		peer = "–"
	}
	if r.Ratio > 0 {
		ratio = fmt.Sprintf("%.2f", r.Ratio)
	}
	return []string{r.Measure, r.Ours, peer, ratio, r.Target, r.verdict()}
}

var head = []string{"measure", "ours", "peer", "ours / peer", "target", "met"}

// writeMarkdown writes the rows as a Markdown table.
func writeMarkdown(w io.Writer, rows []row) error {
	lines := [][]string{head, nil}
	widths := make([]int, len(head))
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var text strings.Builder
	for _, cells := range lines {
		text.WriteByte('|')
		for i, width := range widths {
			if cells == nil {
				text.WriteString(strings.Repeat("-", width+2) + "|")
				continue
			}
			text.WriteString(" " + cells[i] + strings.Repeat(" ", width-utf8.RuneCountInString(cells[i])) + " |")
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// writeRow writes one row for somebody who watches.
func writeRow(w io.Writer, r row) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	for i, c := range r.cells() {
		if _, err := fmt.Fprintf(tabs, "  %s:\t%s\n", head[i], c); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(tabs); err != nil {
		return err
	}
	return tabs.Flush()
}

// sample is what was measured several times.
type sample []time.Duration

// quantile returns the smallest value that a share q of the sample does not
// exceed: 0.5 for the median.
func (s sample) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (s sample) median() time.Duration { return s.quantile(0.5) }

// ratio of two durations; 0 without the second one.
func ratio(ours, peer time.Duration) float64 {
	if peer <= 0 {
		return 0
	}
	return float64(ours) / float64(peer)
}

// figure writes a duration with three digits or so.
func figure(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// share writes a part of a core.
func share(used, of time.Duration) string {
	return fmt.Sprintf("%.1f %%", 100*float64(used)/float64(of))
}
