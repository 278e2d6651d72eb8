package tui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// preseedChanges are the events that change what there is to install with.
var preseedChanges = map[string]bool{
	lab.EventPreseedAdded: true, lab.EventPreseedChanged: true, lab.EventPreseedRemoved: true,
}

// newPreseedsPage lists the preseeds that the person may install with.
func newPreseedsPage(a *app) *listPage[store.Preseed] {
	p := &listPage[store.Preseed]{
		app: a, section: preseedsHelp(), one: "preseed", many: "preseeds",
		empty: "There are no preseeds yet that you may install with. One is added with: " + a.sshLine("preseed put NAME < FILE"),
		read: func(ctx context.Context) ([]store.Preseed, error) {
			preseeds, err := a.lab.Preseeds(ctx, a.actor)
			slices.SortFunc(preseeds, func(i, j store.Preseed) int { return compareNames(i.Name, j.Name) })
			return preseeds, err
		},
		concerns: func(e store.Event) bool { return preseedChanges[e.Kind] },
		heading:  preseedColumns,
	}
	p.list = newList(func(s store.Preseed) string { return s.Name }, func(s store.Preseed) string {
		return strings.ToLower(strings.Join(append(ownedWords(s.KnownGood, s.Public), s.Name, s.Type, s.Owner), " "))
	})
	p.cells = func(s store.Preseed, selected bool) []string {
		cells := []string{
			clean(s.Name), clean(s.Type), mark(s.KnownGood), mark(s.Public), clean(s.Owner), a.date(s.UpdatedAt), clean(s.Description),
		}
		if !selected {
			cells[2], cells[4] = a.theme.good.Render(cells[2]), a.ownerText(s.UserID, cells[4])
		}
		return cells
	}
	p.open = func(s store.Preseed) tea.Cmd { return p.push(newPreseedPage(a, s.Name)) }
	p.actions = func(s store.Preseed, ok bool) []menuItem { return preseedActions(a, p, s, ok) }
	return p
}

func preseedColumns(width int) (columns, []string) {
	const name, description = 0, 6
	c := columns{name: 0, 1: 10, 2: 4, 3: 6, 4: 10, 5: len(time.DateOnly), description: 0}
	if width < 70 {
		c[4], c[5] = 0, 0
	}
	c[name] = min(c.rest(width), 40)
	if rest := c.rest(width); rest >= 20 {
		c[description] = rest
	}
	return c, []string{"NAME", "TYPE", "GOOD", "PUBLIC", "OWNER", "CHANGED", "ABOUT"}
}

// preseedActions is what can be done with a preseed; s is told how it went.
func preseedActions(a *app, s screen, p store.Preseed, selected bool) []menuItem {
	o := owned{kind: p.Type, name: p.Name, good: p.KnownGood, public: p.Public, may: a.actor.MayChangePreseed(p)}
	preview := ""
	if !selected {
		o.may, preview = errors.New("no preseed is selected"), "no preseed is selected"
	}
	o.change = func(ctx context.Context, good, public *bool) error {
		return a.lab.ChangePreseed(ctx, a.actor, p.Name, lab.PreseedChange{KnownGood: good, Public: public})
	}
	o.use = func(ctx context.Context) (use, error) {
		preseed, err := a.lab.Preseed(ctx, a.actor, p.Name)
		return use{says: preseed.UsedBy(), now: len(preseed.Use.Running) > 0, once: len(preseed.Use.Machines) > 0}, err
	}
	o.remove = func(ctx context.Context, forget bool) error { return a.lab.RemovePreseed(ctx, a.actor, p.Name, forget) }
	view := menuItem{key: previewKey, why: preview, do: func() tea.Cmd { return a.push(newPreviewForm(a, p.Name)) }}
	return append([]menuItem{view}, o.actions(a, s)...)
}

// newPreseedPage shows what is in a preseed.
func newPreseedPage(a *app, name string) *textPage {
	p := &textPage{app: a, title: "Preseed " + name, subject: name, section: preseedHelp()}
	p.read = func(ctx context.Context) (content, error) {
		preseed, err := a.lab.Preseed(ctx, a.actor, name)
		return content{
			text:    func(width int) []string { return a.preseedText(preseed, width) },
			actions: preseedActions(a, p, preseed.Preseed, true),
		}, err
	}
	p.concerns = func(e store.Event) bool { return preseedChanges[e.Kind] || runChanges[e.Kind] }
	return p
}

func (a *app) preseedText(p lab.Preseed, width int) []string {
	t := a.theme
	f := facts{theme: t, width: width, paired: width >= pairedWidth}
	f.short("Type", clean(p.Type))
	f.short("Owner", t.orNone(clean(p.Owner)))
	f.short("Changed", a.date(p.UpdatedAt))
	f.short("Good", t.knownGood(p.KnownGood))
	f.line("Who may", t.visibility(p.Public))
	f.text("About it", p.Description, 4, t.plain)
	lines := f.lines
	lines = append(lines, t.usedBy([][2]string{
		{"Now on", strings.Join(p.Use.Running, ", ")}, {"Last on", strings.Join(p.Use.Machines, ", ")},
	}, width)...)
	lines = append(lines, "", t.title.Render("Template"))
	return append(lines, verbatim(t, []byte(p.Content), width)...)
}
