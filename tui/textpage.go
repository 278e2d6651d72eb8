package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"provisioner/store"
)

// content is what a text page shows.
type content struct {
	text    func(width int) []string // for a window of a width; nil: nothing
	actions []menuItem               // what can be done with it
}

// textPage is a text about one thing that the lab knows. It is read anew when
// something happens that concerns it; where it can be read no more, because
// somebody else has the machine now or the thing is gone, what was read before
// leaves the screen.
type textPage struct {
	*app
	scroller
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	title    string // above the text
	subject  string // in the header
	section  keySection
	read     func(context.Context) (content, error)
	concerns func(store.Event) bool // nil: nothing does

	shown   content
	lines   []string // of it, for a width: a text may be long, and is drawn with each key
	width   int
	problem string // why it cannot be read
	reading reading
}

type textReadMsg struct {
	content content
	err     error
}

func (p *textPage) start() tea.Cmd {
	p.ctx, p.cancel = context.WithCancel(p.app.ctx)
	return p.reload()
}

func (p *textPage) close() { p.cancel() }

func (p *textPage) happened(events []store.Event, lost bool) tea.Cmd {
	if lost || p.concerns != nil && slices.ContainsFunc(events, p.concerns) {
		return p.reload()
	}
	return nil
}

func (p *textPage) reload() tea.Cmd {
	if !p.reading.begin() {
		return nil
	}
	return func() tea.Msg {
		read, err := p.read(p.ctx)
		return reply{p, textReadMsg{read, err}}
	}
}

func (p *textPage) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case textReadMsg:
		return p.show(msg)
	case askMsg:
		p.answer(msg)
	case doneMsg:
		p.done(msg)
	case tea.KeyPressMsg:
		return p.press(msg)
	}
	return nil
}

func (p *textPage) show(msg textReadMsg) tea.Cmd {
	before := p.shown
	p.shown, p.lines, p.problem = msg.content, nil, ""
	if msg.err != nil {
		p.shown, p.problem = content{}, msg.err.Error()
	}
	if p.reading.end() {
		return p.reload()
	}
	p.leaveGone(p, msg.err, before.text != nil)
	return nil
}

func (p *textPage) press(msg tea.KeyPressMsg) tea.Cmd {
	if p.scroller.press(msg) {
		return nil
	}
	if cmd, taken := p.pressPage(msg); taken {
		return cmd
	}
	if len(p.shown.actions) > 0 {
		return p.pressAction(msg, p.title, p.shown.actions)
	}
	return nil
}

func (p *textPage) help() keySection { return p.section }

func (p *textPage) full() bool { return false }

func (p *textPage) status() string { return p.theme.strong.Render(clean(p.subject)) }

func (p *textPage) view(width, height int) ([]string, cursor) {
	t, inner := p.theme, width-4
	var text []string
	switch {
	case p.problem != "":
		text = t.warned(p.problem, inner, height)
	case p.shown.text == nil:
		text = []string{t.dim.Render("Reading ...")}
	default:
		if p.lines == nil || p.width != inner {
			p.lines, p.width = p.shown.text(inner), inner
		}
		text = p.lines
	}
	shown, more := p.window(text, height-2)
	note := ""
	if more {
		note = t.dim.Render("↑↓ more")
	}
	return box(t.border, t.strong.Render(clean(p.title)), note, shown, width, height), cursor{}
}
