package tui

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// discoveredEvery is how often the discovered addresses are looked at. No
// event tells of them, since anybody on the network can make as many as they
// like.
const discoveredEvery = 5 * time.Second

// machineChanges are the events that change what machines there are, and by
// which addresses they are known.
var machineChanges = map[string]bool{
	lab.EventMachineAdded: true, lab.EventMachineChanged: true, lab.EventMachineRemoved: true,
}

// newDiscoveredPage lists the addresses that asked for a boot and belong to no
// machine, the one seen last first.
func newDiscoveredPage(a *app) *listPage[store.DiscoveredMAC] {
	p := &listPage[store.DiscoveredMAC]{
		app: a, section: discoveredHelp(), one: "address of no machine", many: "addresses of no machine", every: discoveredEvery,
		empty: "No address has asked for a boot that belongs to no machine. What asks a DHCP server that tells us shows up here.",
		read: func(ctx context.Context) ([]store.DiscoveredMAC, error) {
			return a.lab.Discovered(ctx, a.actor)
		},
		concerns: func(e store.Event) bool { return machineChanges[e.Kind] },
	}
	p.list = newList(func(d store.DiscoveredMAC) string { return d.MAC }, func(d store.DiscoveredMAC) string {
		return strings.ToLower(strings.Join([]string{d.MAC, d.Vendor, d.Hostname, lab.AsksAs(d)}, " "))
	})
	p.heading = func(width int) (columns, []string) { return discoveredColumns(a, p.rows, width) }
	p.cells = func(d store.DiscoveredMAC, _ bool) []string {
		return []string{
			clean(d.MAC), clean(d.Vendor), clean(d.Hostname), clean(lab.AsksAs(d)), strconv.Itoa(d.TimesSeen),
			a.clock(d.FirstSeenAt), a.clock(d.LastSeenAt),
		}
	}
	add := func(d store.DiscoveredMAC) tea.Cmd { return p.push(newAddMachineForm(a, d)) }
	p.open = add
	p.actions = func(d store.DiscoveredMAC, ok bool) []menuItem {
		why := ""
		if !ok {
			why = "no address is selected"
		}
		return []menuItem{
			{key: addMachineKey, why: why, do: func() tea.Cmd { return add(d) }},
			{key: refreshKey, do: p.reload},
		}
	}
	return p
}

func discoveredColumns(a *app, rows []store.DiscoveredMAC, width int) (columns, []string) {
	const vendor, hostname, asksAs, first, last = 1, 2, 3, 5, 6
	c := columns{0: len("52:54:00:00:00:00"), vendor: 0, hostname: 0, asksAs: 10, 4: 5, first: 5, last: 5}
	for _, d := range rows {
		c[asksAs] = max(c[asksAs], widths.StringWidth(lab.AsksAs(d)))
		c[first], c[last] = max(c[first], len(a.clock(d.FirstSeenAt))), max(c[last], len(a.clock(d.LastSeenAt)))
	}
	if width < 100 {
		c[first] = 0
	}
	if width < 60 {
		c[last] = 0
	}
	rest := max(0, c.rest(width)-2*columnGap)
	c[vendor] = min(rest/2, 30)
	c[hostname] = min(rest-c[vendor], 40)
	return c, []string{"MAC", "VENDOR", "HOST NAME", "ASKS AS", "TIMES", "FIRST", "LAST"}
}

// newAddMachineForm makes a machine of a discovered address, or gives it to
// one that there is.
func newAddMachineForm(a *app, d store.DiscoveredMAC) *formPage {
	name, flavour := newLine("Name", "", 63), newChoice("Machine", "amd64/uefi")
	var machines []string // that there are
	var flavours []store.Subarch
	isThere := func() bool {
		return slices.ContainsFunc(machines, func(m string) bool { return strings.EqualFold(m, strings.TrimSpace(name.value())) })
	}
	name.hint = "of a new machine, or of one that has this interface, too"
	name.check = func() string {
		if strings.TrimSpace(name.value()) == "" {
			return "a machine needs a name"
		}
		return ""
	}
	flavour.lacks = "there is no architecture"
	f := &formPage{
		app: a, title: "Add a machine by " + d.MAC, note: lab.AsksAs(d), subject: d.MAC, fields: []*field{name, flavour},
		busy:    "Adding it ...",
		changes: func(e store.Event) bool { return machineChanges[e.Kind] || e.Kind == lab.EventArchAdded },
	}
	f.button = func() string {
		if isThere() {
			return "give " + strings.TrimSpace(name.value()) + " this interface"
		}
		return "add " + strings.TrimSpace(name.value()) + ", " + flavour.value()
	}
	f.load = func(ctx context.Context) (func(), error) {
		known, err := a.lab.Machines(ctx, a.actor)
		if err != nil {
			return nil, err
		}
		subarchs, err := a.lab.Subarchs(ctx)
		return func() {
			machines, flavours = machines[:0], subarchs
			for _, m := range known {
				machines = append(machines, m.Name)
			}
			suggested := lab.SuggestMachine(d, flavours)
			choices := make([]choice, len(flavours))
			for i, s := range flavours {
				choices[i] = choice{value: s.Arch + "/" + s.Name, label: s.Arch + "/" + s.Name}
				if s.Arch == suggested.Arch && s.Name == suggested.Subarch && flavour.picker.choices == nil {
					choices[i].note = "as it asked"
					flavour.picker.chosen = choices[i].value
				}
			}
			if flavour.picker.choices == nil && name.value() == "" {
				name.input.SetValue(suggested.Name)
				name.input.CursorEnd()
			}
			flavour.picker.set(choices)
		}, err
	}
	f.send = func(ctx context.Context) error {
		arch, subarch, _ := strings.Cut(flavour.value(), "/")
		return a.lab.AddMachine(ctx, a.actor, lab.NewMachine{
			Name: strings.TrimSpace(name.value()), Arch: arch, Subarch: subarch, MACs: []string{d.MAC},
		})
	}
	f.sent = func() tea.Cmd {
		who := strings.TrimSpace(name.value())
		if isThere() {
			a.say(who + " has the interface " + d.MAC)
		} else {
			a.say(who + " is added. It has no BMC yet; on the server: provisioner machine add " + who +
				" --bmc ADDRESS --bmc-user USER --bmc-password-file FILE")
		}
		return nil
	}
	return f
}
