package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
)

// isQuery reports whether what somebody typed is in the language in which
// machines are asked for, and not words to look for.
func isQuery(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "(") }

// answered is which machines answer the query that is the dashboard's filter.
type answered struct {
	asked   string         // that was asked last
	ids     map[int64]bool // nil: there is no answer yet
	problem string         // why there is none to what was asked; what was answered before stays
	reading reading
}

type queryAnsweredMsg struct {
	asked string
	ids   map[int64]bool
	err   error
}

// query looks whether the filter is a query that has not been asked, and asks it.
func (d *dashboard) query() tea.Cmd {
	text := strings.TrimSpace(d.filter.Value())
	switch {
	case !isQuery(text):
		if d.answered.asked != "" {
			d.answered.asked, d.answered.ids, d.answered.problem = "", nil, ""
			d.choose()
		}
		return nil
	case text == d.answered.asked:
		return nil
	}
	d.answered.asked = text
	return d.askQuery()
}

// askQuery asks the query that is the filter, if it is one: again, where machines
// have changed.
func (d *dashboard) askQuery() tea.Cmd {
	if d.answered.asked == "" || !d.answered.reading.begin() {
		return nil
	}
	asked := d.answered.asked
	return d.do(func(ctx context.Context) tea.Msg {
		found, err := d.lab.FindMachines(ctx, d.actor, lab.MachineFilter{Query: asked}, lab.Page{})
		msg := queryAnsweredMsg{asked, make(map[int64]bool, len(found.Machines)), err}
		for _, m := range found.Machines {
			msg.ids[m.ID] = true
		}
		return msg
	})
}

// answerQuery takes the answer, unless something else is asked by now.
func (d *dashboard) answerQuery(msg queryAnsweredMsg) tea.Cmd {
	again := d.answered.reading.end()
	if msg.asked == d.answered.asked {
		if msg.err != nil {
			d.answered.problem = strings.TrimPrefix(msg.err.Error(), "query: ")
		} else {
			d.answered.ids, d.answered.problem = msg.ids, ""
		}
		d.choose()
	}
	if again || msg.asked != d.answered.asked {
		return d.askQuery()
	}
	return nil
}
