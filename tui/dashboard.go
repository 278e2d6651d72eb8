package tui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Where more machines than this have changed at once, all are read again.
const maxSingleReads = 16

// row is a machine in the list.
type row struct {
	lab.Machine
	search string // all that is shown of it, in lower case
}

// subset is which machines are listed.
type subset int

const (
	showAll subset = iota
	showMine
	showFree
	subsets
)

func (s subset) String() string { return [...]string{"all", "mine", "free"}[s] }

// dashboard is the list of all machines.
type dashboard struct {
	*app
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	rows    []row  // by name, all
	listed  []int  // indexes into rows
	current string // the selected machine's name
	first   int    // the first line that is shown, in listed
	page    int    // how many lines are shown
	subset  subset
	filter  textinput.Model
	typing  bool
	loaded  bool
	problem string // why nothing is listed

	loading bool            // a read is under way
	stale   map[string]bool // to be read when it has ended
	all     bool            // all are stale
}

func newDashboard(a *app) *dashboard {
	d := &dashboard{app: a, stale: make(map[string]bool), filter: newInput("/ ")}
	d.ctx, d.cancel = context.WithCancel(a.ctx)
	return d
}

// newInput is a line to type into. It shows no cursor of its own, which would
// blink, and does not paste from the clipboard of the server.
func newInput(prompt string) textinput.Model {
	in := textinput.New()
	in.Prompt = prompt
	in.SetVirtualCursor(false)
	in.KeyMap.Paste.Unbind()
	in.SetStyles(textinput.Styles{})
	return in
}

type (
	machinesMsg struct { // all of them
		rows []row
		err  error
	}
	someMachinesMsg struct {
		rows []row
		err  error
	}
	tookMsg struct {
		name string
		err  error
	}
	releasedMsg tookMsg
)

func (d *dashboard) start() tea.Cmd {
	d.all = true
	return d.reload()
}

func (d *dashboard) close() { d.cancel() }

// do runs a call of the lab and brings what it returns back to the screen.
func (d *dashboard) do(call func(context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg { return reply{d, call(d.ctx)} }
}

// listChanges are the events that change what the list shows.
var listChanges = map[string]bool{
	lab.EventMachineAdded: true, lab.EventMachineChanged: true, lab.EventReserved: true, lab.EventReleased: true,
	lab.EventPower: true, lab.EventPowerSeen: true, lab.EventProvision: true, lab.EventProvisionEnded: true,
	lab.EventStage: true,
}

func (d *dashboard) happened(events []store.Event, lost bool) tea.Cmd {
	d.all = d.all || lost
	for _, e := range events {
		if !listChanges[e.Kind] {
			continue
		}
		d.stale[e.Machine] = true
		d.all = d.all || e.Kind == lab.EventMachineAdded || len(d.stale) > maxSingleReads
	}
	return d.reload()
}

// reload reads what is stale, one read at a time, so that an old answer never
// overtakes a newer one.
func (d *dashboard) reload() tea.Cmd {
	if d.loading || !d.all && len(d.stale) == 0 {
		return nil
	}
	all, names := d.all, d.stale
	d.loading, d.all, d.stale = true, false, make(map[string]bool)
	if all {
		return d.do(d.readAll)
	}
	return d.do(func(ctx context.Context) tea.Msg {
		var msg someMachinesMsg
		for name := range names {
			detail, err := d.lab.Machine(ctx, d.actor, name)
			if err != nil {
				return someMachinesMsg{err: err}
			}
			msg.rows = append(msg.rows, d.newRow(detail.Machine))
		}
		return msg
	})
}

func (d *dashboard) readAll(ctx context.Context) tea.Msg {
	machines, err := d.lab.Machines(ctx, d.actor)
	if err != nil {
		return machinesMsg{err: err}
	}
	msg := machinesMsg{rows: make([]row, len(machines))}
	for i, m := range machines {
		msg.rows[i] = d.newRow(m)
	}
	slices.SortFunc(msg.rows, func(a, b row) int { return compareNames(a.Name, b.Name) })
	return msg
}

func (d *dashboard) newRow(m lab.Machine) row {
	r := row{Machine: m}
	r.search = strings.ToLower(strings.Join([]string{m.Name, m.Arch, string(m.Power.State), string(m.State), stateText(m), d.holders(m)}, " "))
	return r
}

func (d *dashboard) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case machinesMsg:
		d.loading, d.loaded, d.problem = false, true, ""
		if msg.err != nil {
			d.problem = msg.err.Error()
		} else {
			d.rows = msg.rows
		}
		d.list()
		return d.reload()
	case someMachinesMsg:
		d.loading = false
		d.all = d.all || msg.err != nil
		for _, r := range msg.rows {
			i, found := slices.BinarySearchFunc(d.rows, r.Name, func(r row, name string) int { return compareNames(r.Name, name) })
			if !found {
				d.all = true // it was renamed, or the order is another one
				continue
			}
			d.rows[i] = r
		}
		d.list()
		return d.reload()
	case tookMsg:
		if msg.err != nil {
			d.complain(msg.err)
			return nil
		}
		d.say(msg.name + " is yours")
		return d.open(msg.name)
	case releasedMsg:
		if msg.err != nil {
			d.complain(msg.err)
		} else {
			d.say(msg.name + " is released")
		}
	case tea.KeyPressMsg:
		if d.typing {
			return d.typeFilter(msg)
		}
		return d.press(msg)
	case tea.PasteMsg:
		if d.typing {
			return d.typeFilter(msg)
		}
	}
	return nil
}

// compareNames orders names as people count: web-2 before web-10.
func compareNames(a, b string) int {
	x, y := strings.ToLower(a), strings.ToLower(b)
	for x != "" && y != "" {
		if n, m := digits(x), digits(y); n > 0 && m > 0 {
			p, q := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q)); c != 0 {
				return c
			}
			x, y = x[n:], y[m:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// digits is how many digits a name begins with.
func digits(name string) int {
	return len(name) - len(strings.TrimLeft(name, "0123456789"))
}

// list chooses what is listed, and keeps the selection on its machine. Where
// that is listed no more, the selection stays where it was on the screen.
func (d *dashboard) list() {
	place := d.place()
	words := strings.Fields(strings.ToLower(d.filter.Value()))
	d.listed = d.listed[:0]
	for i, r := range d.rows {
		if d.subset == showMine && !r.HeldBy(d.actor.User.ID) || d.subset == showFree && len(r.Holders) > 0 {
			continue
		}
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(r.search, w) }) {
			continue
		}
		d.listed = append(d.listed, i)
	}
	if len(d.listed) == 0 {
		return // and remember the name, for when the filter is gone
	}
	if at := d.place(); at >= 0 {
		place = at
	}
	d.selectAt(place)
}

// place is where the selected machine is in the list; -1: nowhere.
func (d *dashboard) place() int {
	return slices.IndexFunc(d.listed, func(i int) bool { return i < len(d.rows) && d.rows[i].Name == d.current })
}

func (d *dashboard) selectAt(place int) {
	if len(d.listed) == 0 {
		return
	}
	place = min(max(place, 0), len(d.listed)-1)
	d.current = d.rows[d.listed[place]].Name
}

func (d *dashboard) selected() (row, bool) {
	if at := d.place(); at >= 0 {
		return d.rows[d.listed[at]], true
	}
	return row{}, false
}

func (d *dashboard) press(msg tea.KeyPressMsg) tea.Cmd {
	k := dashboardKeys
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case key.Matches(msg, k.Help):
		d.helping = true
	case key.Matches(msg, k.Up):
		d.selectAt(d.place() - 1)
	case key.Matches(msg, k.Down):
		d.selectAt(d.place() + 1)
	case key.Matches(msg, k.PageUp):
		d.selectAt(d.place() - max(1, d.page-1))
	case key.Matches(msg, k.PageDown):
		d.selectAt(d.place() + max(1, d.page-1))
	case key.Matches(msg, k.Top):
		d.selectAt(0)
	case key.Matches(msg, k.Bottom):
		d.selectAt(len(d.listed))
	case key.Matches(msg, k.Filter):
		d.typing = true
		return d.filter.Focus()
	case key.Matches(msg, k.Clear):
		d.filter.Reset()
		d.subset = showAll
		d.list()
	case key.Matches(msg, k.Show):
		d.subset = (d.subset + 1) % subsets
		d.list()
	default:
		return d.pressOn(msg)
	}
	return nil
}

// pressOn takes the keys that are about the selected machine.
func (d *dashboard) pressOn(msg tea.KeyPressMsg) tea.Cmd {
	k := dashboardKeys
	m, ok := d.selected()
	if !ok {
		if key.Matches(msg, k.Open, k.Take, k.Release) {
			d.refuse("no machine is selected")
		}
		return nil
	}
	switch {
	case key.Matches(msg, k.Open):
		return d.open(m.Name)
	case key.Matches(msg, k.Take):
		if err := d.actor.MayReserve(m.Machine.Machine); err != nil {
			d.refuse(m.Name + ": " + err.Error())
			return nil
		}
		return d.take(d, m.Name)
	case key.Matches(msg, k.Release):
		return d.askRelease(d, m.Machine)
	}
	return nil
}

func (d *dashboard) typeFilter(msg tea.Msg) tea.Cmd {
	if press, ok := msg.(tea.KeyPressMsg); ok {
		switch {
		case key.Matches(press, filterKeys.Up):
			d.selectAt(d.place() - 1)
			return nil
		case key.Matches(press, filterKeys.Down):
			d.selectAt(d.place() + 1)
			return nil
		case key.Matches(press, filterKeys.Drop):
			d.filter.Reset()
			fallthrough
		case key.Matches(press, filterKeys.Keep):
			d.typing = false
			d.filter.Blur()
			d.list()
			return nil
		}
	}
	var cmd tea.Cmd
	d.filter, cmd = d.filter.Update(msg)
	d.list()
	return cmd
}

func (d *dashboard) open(name string) tea.Cmd {
	d.current = name
	return d.push(newMachinePage(d.app, name))
}

func (d *dashboard) help() keySection {
	if d.typing {
		return filterHelp()
	}
	return dashboardHelp()
}

func (d *dashboard) full() bool { return false }

func (d *dashboard) status() string {
	free, mine := 0, 0
	for _, r := range d.rows {
		switch {
		case len(r.Holders) == 0:
			free++
		case r.HeldBy(d.actor.User.ID):
			mine++
		}
	}
	dot := d.theme.dim.Render(" · ")
	return fmt.Sprintf("%d free", free) + dot + d.theme.mine.Render(fmt.Sprintf("%d yours", mine)) + dot +
		fmt.Sprintf("%d in all", len(d.rows))
}
