package tui

import (
	"context"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// poolChanges are the events that change which pools there are, and for whom.
var poolChanges = map[string]bool{
	lab.EventPoolChanged: true, lab.EventMachineChanged: true, lab.EventMachineRemoved: true, lab.EventUserChanged: true, lab.EventUserRemoved: true,
}

// pool is a pool, and whether the person may have machines of it.
type pool struct {
	store.Pool
	open bool
}

// readPools reads all pools, and for whom they are.
func (a *app) readPools(ctx context.Context) ([]pool, error) {
	pools, err := a.lab.Pools(ctx, a.actor)
	if err != nil {
		return nil, err
	}
	groups, err := a.lab.Groups(ctx, a.actor)
	known := make([]pool, len(pools))
	for i, p := range pools {
		known[i] = pool{p, a.actor.IsAdmin() || slices.ContainsFunc(groups, func(g store.Group) bool {
			return slices.Contains(p.Groups, g.Name) && slices.ContainsFunc(g.Members, func(name string) bool {
				return strings.EqualFold(name, a.actor.User.Name)
			})
		})}
	}
	return known, err
}

// newPoolsPage lists the pools of machines, and who may use them.
func newPoolsPage(a *app) *listPage[pool] {
	p := &listPage[pool]{
		app: a, section: poolsHelp(), one: "pool", many: "pools",
		empty:    "There are no pools: everybody may have every machine. An admin makes one on the server with: provisioner pool add NAME",
		read:     a.readPools,
		concerns: func(e store.Event) bool { return poolChanges[e.Kind] },
	}
	p.list = newList(func(l pool) string { return l.Name }, func(l pool) string {
		return strings.ToLower(strings.Join([]string{l.Name, l.Description, strings.Join(l.Groups, " ")}, " "))
	})
	p.heading = func(width int) (columns, []string) {
		const name, groups, about = 0, 3, 4
		c := columns{name: 8, 1: 8, 2: 7, groups: 10, about: 0}
		for _, l := range p.rows {
			c[name] = min(max(c[name], widths.StringWidth(l.Name)), max(12, width/3))
			c[groups] = min(max(c[groups], widths.StringWidth(strings.Join(l.Groups, ", "))), max(12, width/3))
		}
		if rest := c.rest(width); rest >= 10 {
			c[about] = rest
		}
		return c, []string{"POOL", "MACHINES", "FOR YOU", "FOR", "ABOUT"}
	}
	p.cells = func(l pool, selected bool) []string {
		cells := []string{clean(l.Name), strconv.Itoa(len(l.Machines)), mark(l.open), clean(strings.Join(l.Groups, ", ")), clean(l.Description)}
		if !selected {
			cells[2] = a.theme.good.Render(cells[2])
		}
		return cells
	}
	p.open = func(l pool) tea.Cmd { return p.push(newPoolPage(a, l.Name)) }
	p.actions = func(pool, bool) []menuItem { return []menuItem{{key: refreshKey, do: p.reload}} }
	return p
}

// newPoolPage is all about a pool.
func newPoolPage(a *app, name string) *textPage {
	return &textPage{
		app: a, title: "Pool " + name, subject: name, section: poolHelp(),
		read: func(ctx context.Context) (content, error) {
			pools, err := a.readPools(ctx)
			if err != nil {
				return content{}, err
			}
			i := slices.IndexFunc(pools, func(p pool) bool { return strings.EqualFold(p.Name, name) })
			if i < 0 {
				return content{}, &lab.Error{Code: lab.NotFound, Message: "there is no pool " + name + " any more"}
			}
			return content{text: func(width int) []string { return a.poolText(pools[i], width) }}, nil
		},
		concerns: func(e store.Event) bool { return poolChanges[e.Kind] },
	}
}

func (a *app) poolText(p pool, width int) []string {
	t := a.theme
	f := facts{theme: t, width: width}
	f.text("About it", p.Description, 3, t.plain)
	may := "no: an admin can add you to a group that may"
	if p.open {
		may = t.good.Render("✓ yes")
	}
	f.line("For you", may)
	f.text("Groups", strings.Join(p.Groups, ", "), 8, t.plain)
	lines := f.lines
	lines = append(lines, "", t.title.Render(strconv.Itoa(len(p.Machines))+" machines"))
	names := slices.Clone(p.Machines)
	slices.SortFunc(names, compareNames)
	return append(lines, wrapped(clean(strings.Join(names, "  ")), width, maxPoolLines)...)
}

// maxPoolLines is how many lines of names are shown of a pool.
const maxPoolLines = 1000
