package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"provisioner/lab"
	consoles "provisioner/lab/console"
	"provisioner/tui/console"
)

// paneState is how far a page has come with its console.
type paneState int

const (
	paneOpening paneState = iota
	paneOpen
	paneRefused // by the lab; problem says why
	paneEnded   // by the lab: the machine is held no more
)

// pane is the console on a machine's page.
type pane struct {
	page     *machinePage
	state    paneState
	problem  string
	status   consoles.Status
	skipped  int
	viewer   *lab.Seat
	mode     consoles.Mode    // of the viewer
	guests   []consoles.Guest // who is here, the person included
	terminal *console.Terminal
	typing   atomic.Bool // the terminal's own goroutine looks at it
	size     Size        // of what is inside the border
}

func newPane(page *machinePage) *pane { return &pane{page: page} }

type (
	consoleOpenedMsg struct {
		viewer *lab.Seat
		err    error
	}
	consoleOutputMsg struct {
		from    *lab.Seat
		status  *consoles.Status
		skipped int
		notices []consoles.Notice
		err     error
	}
)

// open joins the console; the viewer is closed with the page, whatever becomes
// of the message.
func (c *pane) open() tea.Cmd {
	c.state = paneOpening
	p := c.page
	return p.do(func() tea.Msg {
		viewer, err := p.lab.OpenConsole(p.ctx, p.actor, p.name)
		if err == nil {
			context.AfterFunc(p.ctx, viewer.Close)
		}
		return consoleOpenedMsg{viewer, err}
	})
}

func (c *pane) close() {
	if c.terminal != nil {
		c.terminal.Close()
	}
}

// next waits for output, and shows it to the terminal.
func (c *pane) next() tea.Cmd {
	ctx, viewer, terminal := c.page.ctx, c.viewer, c.terminal
	return c.page.do(func() tea.Msg {
		out, err := viewer.Next(ctx)
		_, _ = terminal.Write(out.Data)
		return consoleOutputMsg{viewer, out.Status, out.Skipped, out.Notices, err}
	})
}

func (c *pane) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case consoleOpenedMsg:
		if msg.err != nil {
			c.state, c.problem = paneRefused, msg.err.Error()
			return nil
		}
		c.close() // of the view before
		viewer := msg.viewer
		c.state, c.viewer, c.status, c.skipped = paneOpen, viewer, consoles.Status{State: consoles.Connecting}, 0
		c.terminal = console.New(func(answer []byte) {
			// Only while somebody types: of several people who watch, one
			// answers, and what is replayed is not answered again.
			if c.typing.Load() {
				_ = viewer.TrySend(answer)
			}
		})
		c.look()
		return c.next()
	case consoleOutputMsg:
		if msg.from != c.viewer {
			return nil
		}
		c.skipped += msg.skipped
		if msg.status != nil {
			c.status = *msg.status
		}
		c.told(msg.notices)
		switch {
		case errors.Is(msg.err, io.EOF):
			c.state = paneEnded
			c.viewer.Close()
			c.mode, c.guests = consoles.Watching, nil
			c.typing.Store(false)
			return c.page.reload()
		case msg.err != nil:
			return nil // the page is closed
		}
		return c.next()
	}
	return nil
}

// live reports whether there is something to type into.
func (c *pane) live() bool { return c.state == paneOpen }

func (c *pane) send(keys []byte) error {
	if len(keys) == 0 {
		return nil
	}
	if err := c.viewer.TrySend(keys); err != nil {
		return fmt.Errorf("not sent: %w", err)
	}
	return nil
}

// why says why there is no console, and what to do.
func (c *pane) why() string {
	name := c.page.name
	switch c.state {
	case paneOpening:
		return "Opening the console ..."
	case paneRefused:
		return c.problem
	case paneEnded:
		m := c.page.detail.Machine
		switch {
		case c.page.mayOperate(m):
			return "The console was closed. c opens it again."
		case len(m.Holders) == 0:
			return "You no longer hold " + name + ". Nobody does: t takes it again, esc goes back to the list."
		case c.page.lentTo(m) != "":
			return "You have lent " + name + " to " + c.page.lentTo(m) + ": L takes it back, esc goes back to the list."
		}
		return "You no longer hold " + name + ": it is held by " + c.page.holders(m) + ". esc goes back to the list."
	}
	return ""
}

// title is the connection's state, for the border.
func (c *pane) title() string {
	t := c.page.theme
	if c.state != paneOpen {
		return ""
	}
	text := ""
	switch c.status.State {
	case consoles.Connected:
		text = t.good.Render("● live")
	case consoles.Lost:
		switch {
		case c.status.InUse:
			text = t.warn.Render("○ in use by " + clean(c.holder()) + "; T takes it")
		case c.status.Err != nil:
			text = t.bad.Render("✗ lost: " + clean(c.status.Err.Error()) + ", trying again")
		default:
			text = t.bad.Render("✗ lost, trying again")
		}
	case consoles.Connecting:
		text = t.warn.Render("○ connecting ...")
	case consoles.Closed:
		text = t.warn.Render("○ closed")
	}
	if c.skipped > 0 {
		text += t.warn.Render(fmt.Sprintf("  %d bytes skipped", c.skipped))
	}
	return text
}

// border is how the pane's frame looks, what it is called, and which keys it
// has.
func (c *pane) border() (style lipgloss.Style, title, note string) {
	t, p := c.page.theme, c.page
	hint := func(b key.Binding, does string) string { return t.key.Render(b.Help().Key) + t.dim.Render(" "+does) }
	switch {
	case p.typing && c.mode == consoles.Writing:
		return t.active, t.active.Render("Typing"), t.key.Render(consoleKeys.Leave.Help().Key) + " stops typing"
	case p.typing:
		return t.warn, t.warn.Render("Not sent"), t.key.Render(consoleKeys.Leave.Help().Key) + " stops typing"
	}
	if c.live() {
		w := c.writer()
		switch {
		case c.status.InUse:
		case c.mode == consoles.Writing:
			note = hint(consoleKeys.Type, "to type, the keyboard is yours")
		case c.mode == consoles.Asking:
			note = hint(machineKeys.Keyboard, "takes the keyboard")
		case w != nil && w.Name != p.actor.User.Name:
			note = hint(consoleKeys.Type, "to ask for the keyboard")
		default:
			note = hint(consoleKeys.Type, "to type")
		}
	}
	if p.zoomed {
		note = strings.TrimSpace(note + "  " + hint(machineKeys.Zoom, "to unzoom"))
	}
	return t.border, t.strong.Render("Console"), note
}

// view draws the pane. Where a border around it would hide columns of the
// machine's screen, it has only the upper edge.
func (c *pane) view(width, height int) ([]string, cursor) {
	frame, left, edges := box, 2, 2
	if width < consoleWidth {
		frame, left, edges = rule, 0, 1
	}
	c.size = Size{width - 2*left, height - edges}
	if s := c.page.scroll; s != nil {
		rows, cursor := s.view()
		title, note := s.border(width)
		cursor.x, cursor.y = cursor.x+left, cursor.y+1
		return frame(c.page.theme.title, title, note, rows, width, height), cursor
	}
	style, title, note := c.border()
	if status := c.title(); status != "" {
		title += "  " + status
	}
	const ends = 12 // of the border, and spaces
	if here := c.here(width - ends - widths.StringWidth(title+note)); here != "" && c.live() {
		title += "  " + c.page.theme.dim.Render(here)
	}
	if !c.live() {
		lines := []string{""}
		for _, line := range wrapped(clean(c.why()), width-8, height-edges-1) {
			lines = append(lines, spaces(3-left)+line)
		}
		return frame(style, title, note, lines, width, height), cursor{}
	}
	v := c.terminal.View(width-2*left, height-edges)
	return frame(style, title, note, v.Rows, width, height),
		cursor{left + v.CursorX, 1 + v.CursorY, c.page.typing && v.CursorVisible}
}
