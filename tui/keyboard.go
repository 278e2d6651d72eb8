package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	consoles "provisioner/lab/console"
)

// The page is typing from c to ctrl+], whatever happens in between: were the
// keyboard taken by somebody else and the next keys commands of the page, the
// rest of a typed line would turn a machine off. What is not sent is said.

// justNow is how lately somebody has typed who is in the middle of it.
const justNow = 5 * time.Second

// keyboardTakenMsg is the answer to take.
type keyboardTakenMsg struct {
	viewer *lab.Seat
	err    error
}

func (p *machinePage) beginTyping() tea.Cmd {
	switch {
	case p.pane.state == paneEnded && p.mayOperate(p.detail.Machine):
		return p.pane.open()
	case !p.pane.live():
		p.refuse(p.pane.why())
	case p.pane.status.InUse:
		p.refuse("the console of " + p.name + " is in use by " + p.pane.holder() + "; T takes it")
	default:
		mode := p.pane.viewer.Ask()
		p.setTyping(mode == consoles.Writing)
		if w := p.pane.writer(); mode == consoles.Asking && w != nil {
			p.say(w.Name + " types, and is told that you ask for the keyboard; T takes it")
		}
	}
	return nil
}

// stopTyping gives the keyboard to whoever has asked for it.
func (p *machinePage) stopTyping() {
	if p.pane.viewer != nil {
		p.pane.viewer.Yield()
	}
	p.setTyping(false)
}

func (p *machinePage) setTyping(on bool) {
	p.typing = on
	p.pane.look()
}

// takeKeyboard makes the person the one who types. Those who lose something
// by that are named first.
func (p *machinePage) takeKeyboard() tea.Cmd {
	c := p.pane
	if !c.live() {
		p.refuse(c.why())
		return nil
	}
	c.look()
	take := func() tea.Cmd {
		viewer, ctx := c.viewer, p.ctx
		return p.do(func() tea.Msg { return keyboardTakenMsg{viewer, viewer.Take(ctx)} })
	}
	w := c.writer()
	switch {
	case c.status.InUse:
		p.ask("The console of "+p.name+" is in use by "+c.holder()+". Take it?", take)
	case w == nil || w.Name == p.actor.User.Name:
		return take()
	case w.Quiet < justNow:
		p.ask("Take the keyboard of "+p.name+" from "+w.Name+", who types right now?", take)
	default:
		p.ask(fmt.Sprintf("Take the keyboard of %s from %s, who typed %s ago?", p.name, w.Name, ago(w.Quiet)), take)
	}
	return nil
}

func (p *machinePage) keyboardTaken(msg keyboardTakenMsg) {
	p.complain(msg.err)
	if msg.err == nil && msg.viewer == p.pane.viewer {
		p.setTyping(true)
	}
}

func (p *machinePage) sendBreak() tea.Cmd {
	c := p.pane
	if !c.live() {
		p.refuse(c.why())
		return nil
	}
	viewer, typed := c.viewer, c.mode == consoles.Writing
	return p.act("Sending BREAK to "+p.name+" ...", "BREAK is sent to "+p.name, func(ctx context.Context) error {
		err := viewer.SendBreak(ctx)
		if !typed {
			viewer.Yield() // sending makes the viewer the one who types
		}
		return err
	})
}

// look notes who is at the console, and whether this person types there.
func (c *pane) look() {
	if c.viewer == nil {
		return
	}
	c.mode, c.guests = c.viewer.Mode(), c.viewer.Guests()
	c.typing.Store(c.page.typing && c.mode == consoles.Writing)
}

// holder says which other program has the console.
func (c *pane) holder() string {
	if who := lab.ConsoleHolder(c.status.Err); who != "" {
		return who
	}
	return "another program"
}

// writer is who types; nil: nobody.
func (c *pane) writer() *consoles.Guest {
	i := slices.IndexFunc(c.guests, func(g consoles.Guest) bool { return g.Mode == consoles.Writing })
	if i < 0 {
		return nil
	}
	return &c.guests[i]
}

// told shows what the viewer was told of others.
func (c *pane) told(notices []consoles.Notice) {
	if len(notices) == 0 {
		return
	}
	p, before := c.page, c.mode
	c.look()
	for _, n := range notices {
		if n.Who == p.actor.User.Name {
			n.Who = "your other window"
		}
		switch n.Kind {
		case consoles.Yours:
			if before == consoles.Asking && !p.typing {
				p.notice("the keyboard is yours: c types")
			}
		case consoles.Took:
			p.notice(n.String() + " (ctrl+] and then T takes it back)")
		case consoles.Refused:
			p.refuse(p.name + ": " + n.String())
		case consoles.Asked:
			p.notice(n.String() + "; ctrl+] lets them")
		case consoles.Joined, consoles.Left, consoles.Writes:
			if !p.messageBad && p.top() == screen(p) {
				p.notice(n.String())
			}
		}
	}
}

// notice says something about the machine's console.
func (p *machinePage) notice(text string) {
	if p.top() != screen(p) {
		text = p.name + ": " + text
	}
	p.say(text)
}

// here says who else is at the console, in at most that many cells.
func (c *pane) here(width int) string {
	var others []consoles.Guest
	self := false
	for _, g := range c.guests {
		if !self && g.Name == c.page.actor.User.Name && g.Mode == c.mode {
			self = true
			continue
		}
		others = append(others, g)
	}
	if len(others) == 0 {
		return ""
	}
	slices.SortStableFunc(others, func(a, b consoles.Guest) int { return int(b.Mode) - int(a.Mode) })
	var names []string
	for _, g := range others {
		names = append(names, clean(g.Name)+" "+g.Mode.String())
	}
	if c.mode == consoles.Asking {
		names = append(names, "you ask to type")
	}
	for n := len(names); n > 0; n-- {
		text := strings.Join(names[:n], ", ")
		if rest := len(names) - n; rest > 0 {
			text += fmt.Sprintf(" +%d", rest)
		}
		if widths.StringWidth(text) <= width {
			return text
		}
	}
	if text := fmt.Sprintf("%d here", len(others)+1); len(text) <= width {
		return text
	}
	return ""
}
