package tui

import (
	"context"
	"fmt"

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

	name    string // does not change: commands look at it
	detail  lab.MachineDetail
	events  []store.Event
	loaded  bool
	problem string // why there is nothing to see

	loading, stale bool

	pane   *pane
	typing bool
	zoomed bool
	first  int // the first line of the details that is shown
	hidden int // how many lines of them come after the last one that is
}

func newMachinePage(a *app, name string) *machinePage {
	p := &machinePage{app: a, name: name}
	p.ctx, p.cancel = context.WithCancel(a.ctx)
	p.pane = newPane(p)
	return p
}

type (
	detailMsg struct {
		detail lab.MachineDetail
		events []store.Event
		err    error
	}
	doneMsg struct {
		what string
		err  error
	}
)

func (p *machinePage) start() tea.Cmd { return tea.Batch(p.reload(), p.pane.open()) }

func (p *machinePage) close() {
	p.cancel()
	p.pane.close()
}

// do brings what a call returns back to the page.
func (p *machinePage) do(call func() tea.Msg) tea.Cmd {
	return func() tea.Msg { return reply{p, call()} }
}

// act makes a call that changes something. It is not cancelled by leaving the
// page: what was asked for is asked for.
func (p *machinePage) act(doing, done string, call func(context.Context) error) tea.Cmd {
	p.say(doing)
	return p.do(func() tea.Msg { return doneMsg{done, call(p.app.ctx)} })
}

func (p *machinePage) happened(events []store.Event, lost bool) tea.Cmd {
	concerned := lost
	for _, e := range events {
		concerned = concerned || e.Machine == p.name
	}
	if !concerned {
		return nil
	}
	return p.reload()
}

// reload reads everything anew; one read at a time.
func (p *machinePage) reload() tea.Cmd {
	if p.loading {
		p.stale = true
		return nil
	}
	p.loading, p.stale = true, false
	return p.do(func() tea.Msg {
		detail, err := p.lab.Machine(p.ctx, p.actor, p.name)
		if err != nil {
			return detailMsg{err: err}
		}
		events, err := p.lab.MachineEvents(p.ctx, p.actor, detail.Name, shownEvents)
		return detailMsg{detail, events, err}
	})
}

func (p *machinePage) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case detailMsg:
		return p.show(msg)
	case consoleOpenedMsg, consoleOutputMsg:
		cmd := p.pane.update(msg)
		if p.typing && !p.pane.live() {
			p.typing = false
			p.pane.setTyping(false)
		}
		return cmd
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
		p.complain(msg.err)
		if msg.err == nil {
			p.say(msg.what)
		}
	case tea.KeyPressMsg:
		if p.typing {
			return p.typeKey(msg)
		}
		return p.press(msg)
	case tea.PasteMsg:
		if p.typing {
			p.complain(p.pane.send(p.pane.terminal.Paste(msg.Content)))
		}
	}
	return nil
}

func (p *machinePage) show(msg detailMsg) tea.Cmd {
	p.loading = false
	if msg.err != nil {
		p.problem = msg.err.Error()
	} else {
		before := p.detail
		p.detail, p.events, p.loaded, p.problem = msg.detail, msg.events, true, ""
		if p.stale {
			return tea.Batch(p.reload(), p.reopen(before))
		}
		return p.reopen(before)
	}
	if p.stale {
		return p.reload()
	}
	return nil
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
		p.typing = false
		p.pane.setTyping(false)
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
	case key.Matches(msg, k.Type):
		return p.beginTyping()
	case !p.loaded:
	case key.Matches(msg, k.Take):
		if err := p.actor.MayReserve(p.detail.Machine.Machine); err != nil {
			p.refuse(p.name + ": " + err.Error())
			return nil
		}
		return p.take(p, p.name)
	case key.Matches(msg, k.Release):
		return p.askRelease(p, p.detail.Machine)
	case key.Matches(msg, k.Provision, k.On, k.Off, k.Reset, k.EndRun):
		if err := p.actor.MayOperate(p.detail.Machine.Machine); err != nil {
			p.refuse(p.name + ": " + err.Error())
			return nil
		}
		return p.operate(msg)
	}
	return nil
}

func (p *machinePage) beginTyping() tea.Cmd {
	switch {
	case p.pane.live():
		p.pane.viewer.Ask()
		p.typing = true
		p.pane.setTyping(true)
	case p.pane.state == paneEnded && p.mayOperate(p.detail.Machine):
		return p.pane.open()
	default:
		p.refuse(p.pane.why())
	}
	return nil
}

// operate takes the keys of those who may do things to the machine.
func (p *machinePage) operate(msg tea.KeyPressMsg) tea.Cmd {
	k := machineKeys
	switch {
	case key.Matches(msg, k.Provision):
		return p.push(newProvisionForm(p.app, p.detail))
	case key.Matches(msg, k.On):
		return p.power(lab.TurnOn, "Turning "+p.name+" on ...", p.name+" is told to turn on")
	case key.Matches(msg, k.Off):
		p.ask("Turn "+p.name+" off at once, without a shutdown of its system?", func() tea.Cmd {
			return p.power(lab.TurnOff, "Turning "+p.name+" off ...", p.name+" is told to turn off")
		})
	case key.Matches(msg, k.Reset):
		p.ask("Reset "+p.name+" at once, without a shutdown of its system?", func() tea.Cmd {
			return p.power(lab.Reset, "Resetting "+p.name+" ...", p.name+" is told to reset")
		})
	case key.Matches(msg, k.EndRun):
		if p.detail.Run == nil || p.detail.Run.State != store.RunRunning {
			p.refuse("no run is going on: " + p.name + " boots from disk already")
			return nil
		}
		return p.act("Ending the run ...", "the run is ended: "+p.name+" boots from disk", func(ctx context.Context) error {
			return p.lab.EndRun(ctx, p.actor, p.name)
		})
	}
	return nil
}

func (p *machinePage) power(action lab.PowerAction, doing, done string) tea.Cmd {
	return p.act(doing, done, func(ctx context.Context) error {
		return p.lab.SetPower(ctx, p.actor, p.name, action)
	})
}

func (p *machinePage) help() keySection {
	if p.typing {
		return consoleHelp()
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
