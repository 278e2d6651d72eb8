package tui

import (
	"context"
	"fmt"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"provisioner/store"
)

// listPage is a list of one kind of things that the lab knows, and what can be
// done with them. It is read anew when something happens that concerns it.
type listPage[T any] struct {
	*app
	list[T]
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	section  keySection
	one      string // what it is, for the header
	many     string
	empty    string // what is said where there are none
	read     func(context.Context) ([]T, error)
	concerns func(store.Event) bool
	every    time.Duration // from one look to the next, of what no event tells; zero: none
	heading  func(width int) (columns, []string)
	cells    func(r T, selected bool) []string
	open     func(selected T) tea.Cmd
	actions  func(selected T, ok bool) []menuItem

	loaded  bool
	problem string
	reading reading
}

type (
	listReadMsg[T any] struct {
		rows []T
		err  error
	}
	lookAgainMsg struct{}
)

func (p *listPage[T]) start() tea.Cmd {
	p.ctx, p.cancel = context.WithCancel(p.app.ctx) //nolint:gosec // close calls it
	return tea.Batch(p.reload(), p.wait())
}

func (p *listPage[T]) close() { p.cancel() }

// wait ends with the screen.
func (p *listPage[T]) wait() tea.Cmd {
	if p.every == 0 {
		return nil
	}
	return func() tea.Msg {
		timer := time.NewTimer(p.every)
		defer timer.Stop()
		select {
		case <-p.ctx.Done():
			return nil
		case <-timer.C:
			return reply{p, lookAgainMsg{}}
		}
	}
}

func (p *listPage[T]) happened(events []store.Event, lost bool) tea.Cmd {
	if lost || slices.ContainsFunc(events, p.concerns) {
		return p.reload()
	}
	return nil
}

func (p *listPage[T]) reload() tea.Cmd {
	if !p.reading.begin() {
		return nil
	}
	return func() tea.Msg {
		rows, err := p.read(p.ctx)
		return reply{p, listReadMsg[T]{rows, err}}
	}
}

func (p *listPage[T]) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case listReadMsg[T]:
		p.loaded, p.problem = true, ""
		if msg.err != nil {
			p.problem = msg.err.Error()
		}
		p.set(msg.rows) // none where they could not be read, which is said instead
		if p.reading.end() {
			return p.reload()
		}
	case lookAgainMsg:
		return tea.Batch(p.reload(), p.wait())
	case askMsg:
		p.answer(msg)
	case doneMsg:
		p.done(msg)
	case tea.KeyPressMsg:
		return p.press(msg)
	case tea.PasteMsg:
		return p.edit(msg)
	}
	return nil
}

func (p *listPage[T]) press(msg tea.KeyPressMsg) tea.Cmd {
	if cmd, taken := p.list.press(msg); taken {
		return cmd
	}
	if key.Matches(msg, listKeys.Clear) && p.clear() {
		return nil
	}
	if cmd, taken := p.pressPage(msg); taken {
		return cmd
	}
	selected, ok := p.selected()
	if ok && key.Matches(msg, listKeys.Open) {
		return p.open(selected)
	}
	title := p.section.title
	if ok {
		title = "Actions on " + p.name(selected)
	}
	return p.pressAction(msg, title, p.actions(selected, ok))
}

func (p *listPage[T]) help() keySection {
	if p.typing {
		return filterHelp()
	}
	return p.section
}

func (p *listPage[T]) full() bool { return false }

func (p *listPage[T]) status() string {
	if len(p.rows) == 1 {
		return "1 " + p.one
	}
	return fmt.Sprintf("%d %s", len(p.rows), p.many)
}

func (p *listPage[T]) view(width, height int) ([]string, cursor) {
	c, titles := p.heading(width - 3)
	empty := p.empty
	switch {
	case !p.loaded:
		empty = "Reading ..."
	case p.problem != "":
		empty = p.problem
	}
	heading := "   " + p.theme.dim.Render(c.line(titles...))
	return p.list.view(p.theme, width, height, heading, empty, "", func(r T, selected bool) string {
		return c.line(p.cells(r, selected)...)
	})
}
