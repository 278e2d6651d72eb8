package tui

import (
	"context"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// inventoryParts are read one after the other, what is quick first, so that it
// can be looked at while the rest comes.
var inventoryParts = []lab.InventoryPart{
	lab.InventoryDevice, lab.InventoryFRU, lab.InventorySensors, lab.InventoryEvents, lab.InventoryConsole,
}

// inventoryPage is what a machine's BMC says of it.
type inventoryPage struct {
	*app
	scroller
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	name    string
	known   lab.Inventory
	at      int       // the part that is being read; len(inventoryParts): none
	before  time.Time // when the sensors had been read that somebody wants anew
	problem string    // why the rest was not read
}

func newInventoryPage(a *app, name string) *inventoryPage {
	p := &inventoryPage{app: a, name: name}
	p.ctx, p.cancel = context.WithCancel(a.ctx)
	return p
}

// inventoryMsg is a part that was read, and all that is known by now.
type inventoryMsg struct {
	known lab.Inventory
	err   error
}

func (p *inventoryPage) start() tea.Cmd { return p.read(0) }

func (p *inventoryPage) close() { p.cancel() }

// read asks for a part.
func (p *inventoryPage) read(at int) tea.Cmd {
	if p.at = at; at == len(inventoryParts) {
		return nil
	}
	part := inventoryParts[at]
	return func() tea.Msg {
		known, err := p.lab.Inventory(p.ctx, p.actor, p.name, part)
		return reply{p, inventoryMsg{known, err}}
	}
}

// reads reports whether a part has yet to come.
func (p *inventoryPage) reads(part lab.InventoryPart) bool {
	for _, next := range inventoryParts[min(p.at, len(inventoryParts)):] {
		if next == part {
			return true
		}
	}
	return false
}

func (p *inventoryPage) happened([]store.Event, bool) tea.Cmd { return nil }

func (p *inventoryPage) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case inventoryMsg:
		p.known = msg.known
		if msg.err != nil { // the BMC is gone: it has no other parts either
			p.at, p.problem = len(inventoryParts), msg.err.Error()
			return nil
		}
		if p.at == len(inventoryParts)-1 && !p.before.IsZero() && p.known.Sensors.At.Equal(p.before) {
			p.say("this is what the BMC said a moment ago: it is asked every 30 s at most")
		}
		return p.read(p.at + 1)
	case tea.KeyPressMsg:
		return p.press(msg)
	}
	return nil
}

func (p *inventoryPage) press(msg tea.KeyPressMsg) tea.Cmd {
	switch {
	case p.scroller.press(msg):
	case key.Matches(msg, inventoryKeys.Back):
		p.pop()
	case !key.Matches(msg, inventoryKeys.Refresh):
		cmd, _ := p.pressPage(msg)
		return cmd
	case p.at < len(inventoryParts):
		p.refuse("it is being read already")
	default:
		p.problem, p.before = "", p.known.Sensors.At
		return p.read(0)
	}
	return nil
}

func (p *inventoryPage) help() keySection { return inventoryHelp() }

func (p *inventoryPage) full() bool { return false }

func (p *inventoryPage) status() string { return p.theme.strong.Render(clean(p.name)) }
