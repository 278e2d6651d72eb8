package tui

import (
	"context"
	"fmt"
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// shownEvents is how many of a machine's events are read for its page.
const shownEvents = 50

// machinePage is everything about one machine, with its live console.
type machinePage struct {
	*app
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	name     string // does not change: commands look at it
	detail   lab.MachineDetail
	events   []store.Event
	settings lab.Site // of the site
	loaded   bool
	problem  string // why there is nothing to see

	reading reading

	pools      []pool // that the machine is in
	poolsStale bool

	pane   *pane
	scroll *scrollback     // in the place of the pane; nil: none
	log    *lab.ConsoleLog // that was read last; nil: none yet
	typing bool
	zoomed bool
	first  int // the first line of the details that is shown
	hidden int // how many lines of them come after the last one that is
}

func newMachinePage(a *app, name string) *machinePage {
	p := &machinePage{app: a, name: name, poolsStale: true}
	p.ctx, p.cancel = context.WithCancel(a.ctx)
	p.pane = newPane(p)
	return p
}

type detailMsg struct {
	detail lab.MachineDetail
	events []store.Event
	site   lab.Site
	pools  *[]pool // nil: they were not read
	err    error
}

func (p *machinePage) start() tea.Cmd { return tea.Batch(p.reload(), p.pane.open()) }

func (p *machinePage) close() {
	p.cancel()
	p.pane.close()
}

// do brings what a call returns back to the page.
func (p *machinePage) do(call func() tea.Msg) tea.Cmd {
	return func() tea.Msg { return reply{p, call()} }
}

// act makes a call that changes something.
func (p *machinePage) act(doing, done string, call func(context.Context) error) tea.Cmd {
	return p.app.act(p, doing, done, call)
}

func (p *machinePage) happened(events []store.Event, lost bool) tea.Cmd {
	concerned := lost
	p.poolsStale = p.poolsStale || lost
	for _, e := range events {
		concerned = concerned || e.Machine == p.name || e.Kind == lab.EventSiteChanged || e.Kind == lab.EventPoolChanged
		p.poolsStale = p.poolsStale || e.Kind == lab.EventPoolChanged
	}
	if !concerned {
		return nil
	}
	return p.reload()
}

func (p *machinePage) reload() tea.Cmd {
	if !p.reading.begin() {
		return nil
	}
	stale := p.poolsStale // they may be long, and change seldom
	p.poolsStale = false
	return p.do(func() tea.Msg {
		detail, err := p.lab.Machine(p.ctx, p.actor, p.name)
		if err != nil {
			return detailMsg{err: err}
		}
		events, err := p.lab.MachineEvents(p.ctx, p.actor, detail.Name, shownEvents)
		if err != nil {
			return detailMsg{err: err}
		}
		site, err := p.lab.Site(p.ctx, p.actor)
		if err != nil || !stale {
			return detailMsg{detail, events, site, nil, err}
		}
		pools, err := p.readPools(p.ctx)
		pools = slices.DeleteFunc(pools, func(l pool) bool { return !slices.Contains(l.Machines, detail.Name) })
		return detailMsg{detail, events, site, &pools, err}
	})
}

func (p *machinePage) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case detailMsg:
		return p.show(msg)
	case consoleOpenedMsg, consoleOutputMsg:
		return p.pane.update(msg)
	case keyboardTakenMsg:
		p.keyboardTaken(msg)
	case scrolledMsg:
		if msg.of == p.scroll {
			return p.scroll.update(msg)
		}
	case logEventsMsg:
		if msg.of == p.scroll {
			return p.scroll.update(msg)
		}
	case tookMsg:
		p.complain(msg.err)
		if msg.err == nil {
			p.say(p.name + " is yours")
		}
	case releasedMsg:
		p.complain(msg.err)
		if msg.err == nil {
			p.say(p.name + " is released")
		}
	case doneMsg:
		p.pane.look() // a BREAK has had the keyboard for a moment
		p.done(msg)
	case tea.KeyPressMsg:
		switch {
		case p.typing:
			return p.typeKey(msg)
		case p.scroll != nil:
			return p.scroll.press(msg)
		}
		return p.press(msg)
	case tea.PasteMsg:
		switch {
		case p.scroll != nil:
			return p.scroll.edit(msg)
		case p.typing:
			p.complain(p.pane.send(p.pane.terminal.Paste(msg.Content)))
		}
	}
	return nil
}

func (p *machinePage) show(msg detailMsg) tea.Cmd {
	var again tea.Cmd
	if p.reading.end() {
		again = p.reload()
	}
	if msg.err != nil {
		p.problem, p.poolsStale = msg.err.Error(), true
		p.leaveGone(p, msg.err, p.loaded && !p.typing)
		return again
	}
	before := p.detail
	p.detail, p.events, p.settings, p.loaded, p.problem = msg.detail, msg.events, msg.site, true, ""
	if msg.pools != nil {
		p.pools = *msg.pools
	}
	return tea.Batch(again, p.reopen(before))
}

// reopen tries the console again when who holds the machine has changed.
func (p *machinePage) reopen(before lab.MachineDetail) tea.Cmd {
	changed := p.holders(before.Machine) != p.holders(p.detail.Machine)
	switch {
	case p.pane.state == paneEnded && p.mayOperate(p.detail.Machine) && changed,
		p.pane.state == paneRefused && changed:
		return p.pane.open()
	}
	return nil
}

func (p *machinePage) typeKey(msg tea.KeyPressMsg) tea.Cmd {
	if key.Matches(msg, consoleKeys.Leave) {
		p.stopTyping()
		return nil
	}
	p.complain(p.pane.send(p.pane.terminal.Key(msg.Key())))
	return nil
}

func (p *machinePage) press(msg tea.KeyPressMsg) tea.Cmd {
	k := machineKeys
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case key.Matches(msg, k.Help):
		p.helping = true
	case key.Matches(msg, k.Back):
		if p.zoomed {
			p.zoomed = false
		} else {
			p.pop()
		}
	case key.Matches(msg, k.Up):
		p.first = max(0, p.first-1)
	case key.Matches(msg, k.Down):
		if p.hidden > 0 {
			p.first++
		}
	case key.Matches(msg, k.Zoom):
		p.zoomed = !p.zoomed
	case key.Matches(msg, k.Scroll):
		return p.beginScroll()
	case key.Matches(msg, k.Type):
		return p.beginTyping()
	case key.Matches(msg, k.Keyboard):
		return p.takeKeyboard()
	case key.Matches(msg, consoleKeys.Leave):
		p.stopTyping() // also of somebody who only asks for the keyboard
	case p.loaded:
		return p.pressAction(msg, "Actions on "+p.name, p.actions())
	}
	return nil
}

func (p *machinePage) help() keySection {
	switch {
	case p.typing:
		return consoleHelp()
	case p.scroll != nil && p.scroll.prompt != noPrompt:
		return logPromptHelp(p.scroll.prompt)
	case p.scroll != nil:
		return logHelp()
	}
	d := p.detail
	running := d.Run != nil && d.Run.State == store.RunRunning
	return machineHelp(p.loaded && p.actor.MayReserve(d.Machine.Machine) == nil, p.mayOperate(d.Machine), running)
}

func (p *machinePage) full() bool { return p.zoomed }

func (p *machinePage) status() string {
	if !p.loaded {
		return clean(p.name)
	}
	return fmt.Sprintf("%s  %s", p.theme.strong.Render(clean(p.name)), p.theme.power(p.detail.Power))
}
