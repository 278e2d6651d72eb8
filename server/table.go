package server

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// table lines up columns for people.
type table struct{ *tabwriter.Writer }

// table begins one with a line of headings, where there are any.
func (in *invocation) table(headings string) table {
	t := table{tabwriter.NewWriter(in.out, 0, 0, 2, ' ', 0)}
	if headings != "" {
		t.row(strings.Split(headings, "\t")...)
	}
	return t
}

// row writes a line; what is empty becomes a dash, and what a terminal might
// obey is left out. An error is Flush's, too.
func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = orDash(printable(c))
	}
	_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
