package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
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
	list[row]
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	subset  subset
	loaded  bool
	problem string // why nothing is listed

	answered answered
	waiting  waiting

	loading bool            // a read is under way
	stale   map[string]bool // to be read when it has ended
	all     bool            // all are stale
}

func newDashboard(a *app) *dashboard {
	d := &dashboard{app: a, stale: make(map[string]bool)}
	d.ctx, d.cancel = context.WithCancel(a.ctx)
	d.list = newList(func(r row) string { return r.Name }, func(r row) string { return r.search })
	d.asks = func() bool { return isQuery(d.filter.Value()) }
	d.only = func(r row) bool {
		if d.answered.ids != nil && !d.answered.ids[r.ID] {
			return false
		}
		switch d.subset {
		case showMine:
			return r.HeldBy(d.actor.User.ID)
		case showFree:
			return len(r.Holders) == 0
		}
		return true
	}
	return d
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
	return tea.Batch(d.reload(), d.readWaiting())
}

func (d *dashboard) close() { d.cancel() }

// do runs a call of the lab and brings what it returns back to the screen.
func (d *dashboard) do(call func(context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg { return reply{d, call(d.ctx)} }
}

// listChanges are the events that change what the list shows.
var listChanges = map[string]bool{
	lab.EventMachineAdded: true, lab.EventMachineChanged: true, lab.EventMachineRemoved: true,
	lab.EventReserved: true, lab.EventReleased: true, lab.EventLent: true, lab.EventReturned: true, lab.EventPower: true, lab.EventPowerSeen: true, lab.EventProvision: true, lab.EventProvisionEnded: true,
	lab.EventStage: true, lab.EventExtended: true,
}

func (d *dashboard) happened(events []store.Event, lost bool) tea.Cmd {
	d.all = d.all || lost
	var cmds []tea.Cmd
	if lost || slices.ContainsFunc(events, d.concernsWaiting) {
		cmds = append(cmds, d.readWaiting())
	}
	changed := lost
	for _, e := range events {
		if !listChanges[e.Kind] {
			continue
		}
		changed = true
		d.stale[e.Machine] = true
		d.all = d.all || e.Kind == lab.EventMachineAdded || e.Kind == lab.EventMachineRemoved || len(d.stale) > maxSingleReads
	}
	if changed {
		cmds = append(cmds, d.askQuery())
	}
	return tea.Batch(append(cmds, d.reload())...)
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
			return d.reload()
		}
		d.set(msg.rows)
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
		d.choose()
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
	case doneMsg:
		d.done(msg)
	case tea.KeyPressMsg:
		return d.press(msg)
	case tea.PasteMsg:
		return tea.Batch(d.edit(msg), d.query())
	case queryAnsweredMsg:
		return d.answerQuery(msg)
	case waitingMsg:
		return d.showWaiting(msg)
	}
	return nil
}

func (d *dashboard) press(msg tea.KeyPressMsg) tea.Cmd {
	if cmd, taken := d.list.press(msg); taken {
		return tea.Batch(cmd, d.query())
	}
	k := dashboardKeys
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case key.Matches(msg, k.Help):
		d.helping = true
	case key.Matches(msg, listKeys.Clear):
		d.subset = showAll
		d.clear()
		return d.query()
	case key.Matches(msg, k.Show):
		d.subset = (d.subset + 1) % subsets
		d.choose()
	case key.Matches(msg, listKeys.Open):
		m, ok := d.selected()
		if !ok {
			d.refuse("no machine is selected")
			return nil
		}
		return d.open(m.Name)
	default:
		return d.pressAction(msg, "Actions", d.actions())
	}
	return nil
}

// actions is what can be done with the selected machine, and where else one
// can go.
func (d *dashboard) actions() []menuItem {
	k := dashboardKeys
	m, ok := d.selected()
	none, operate := "no machine is selected", "no machine is selected"
	if ok {
		none, operate = "", reason(d.actor.MayOperate(m.Machine.Machine))
	}
	admin := ""
	if !d.actor.IsAdmin() {
		admin = "only an admin sees them"
	}
	return append(d.holding(d, m.Machine, none),
		menuItem{key: k.NextBoot, subject: m.Name, why: operate, do: func() tea.Cmd { return d.push(newNextBootPage(d.app, m.Name)) }},
		menuItem{key: k.Queue, do: func() tea.Cmd { return d.push(newQueuePage(d.app)) }},
		menuItem{key: k.Pools, do: func() tea.Cmd { return d.push(newPoolsPage(d.app)) }},
		menuItem{key: k.Images, do: func() tea.Cmd { return d.push(newImagesPage(d.app)) }},
		menuItem{key: k.Preseeds, do: func() tea.Cmd { return d.push(newPreseedsPage(d.app)) }},
		menuItem{key: k.Discovered, subject: "discovered addresses", why: admin, do: func() tea.Cmd { return d.push(newDiscoveredPage(d.app)) }},
	)
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
	return d.waitingText() + fmt.Sprintf("%d free", free) + dot + d.theme.mine.Render(fmt.Sprintf("%d yours", mine)) + dot +
		fmt.Sprintf("%d in all", len(d.rows))
}
