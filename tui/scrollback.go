package tui

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// prompt is what is being typed below the log.
type prompt int

const (
	noPrompt prompt = iota
	searchPrompt
	timePrompt
	eventPrompt // a list, which what is typed filters
)

// scrollback is the log of a console, in the console's place. All reading is
// done by commands, one at a time: what is pressed meanwhile waits for it.
type scrollback struct {
	page *machinePage
	ctx  context.Context //nolint:containedctx // of the scrollback
	stop context.CancelFunc

	logCursor
	shown   []transcript.Line // from the top on; more than there is room for
	loaded  bool
	problem string // why there is nothing to read

	steps     []step // to be done when what is being read is there
	reading   bool
	searching bool               // which may take long, and is given up without leaving the log
	halt      context.CancelFunc // of what is being read

	prompt     prompt
	input      textinput.Model
	expression bool // what is searched for is a regular expression
	query      transcript.Query
	what       string // is searched for, as it was typed; empty: nothing
	events     []store.Event
	picker     picker
}

// step is something that moves the cursor. It may take a while.
type step func(ctx context.Context, c *logCursor) error

type (
	scrolledMsg struct {
		of    *scrollback
		c     logCursor
		lines []transcript.Line
		err   error
	}
	logEventsMsg struct {
		of     *scrollback
		events []store.Event
		err    error
	}
)

// beginScroll shows the log in the place of the console, a page before its end.
// What was read before is the log that was opened then.
func (p *machinePage) beginScroll() tea.Cmd {
	s := &scrollback{page: p, logCursor: logCursor{target: -1}}
	s.ctx, s.stop = context.WithCancel(p.ctx)
	p.scroll = s
	before := p.log
	return s.do(func(ctx context.Context, c *logCursor) (err error) {
		if c.log = before; c.log == nil {
			if c.log, err = p.lab.ConsoleLog(ctx, p.actor, p.name, transcript.Window{}); err != nil {
				return err
			}
		}
		if err := c.toLast(ctx); err != nil {
			return err
		}
		return c.up(ctx, max(1, c.height-1))
	})
}

func (p *machinePage) endScroll() {
	p.scroll.stop()
	p.scroll = nil
}

// do moves the cursor, after all that was asked for before.
func (s *scrollback) do(next step) tea.Cmd {
	s.steps = append(s.steps, next)
	return s.read()
}

// read does the steps that wait, unless something is being read.
func (s *scrollback) read() tea.Cmd {
	if s.reading || len(s.steps) == 0 {
		return nil
	}
	steps, c := s.steps, s.logCursor
	s.steps, s.reading = nil, true
	var ctx context.Context
	ctx, s.halt = context.WithCancel(s.ctx)
	c.width, c.height, c.note, c.refusal = s.page.pane.size.Width, s.page.pane.size.Height, "", ""
	return s.page.do(func() tea.Msg {
		msg := scrolledMsg{of: s, c: c}
		for _, next := range steps {
			if msg.err = next(ctx, &msg.c); msg.err != nil {
				return msg
			}
		}
		msg.lines, msg.err = msg.c.lines(ctx)
		return msg
	})
}

func (s *scrollback) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case scrolledMsg:
		s.reading = false
		s.searching = s.searching && len(s.steps) > 0
		s.halt()
		switch {
		case errors.Is(msg.err, context.Canceled):
		case msg.err != nil && !s.loaded:
			s.problem = msg.err.Error()
		case msg.err != nil:
			s.page.complain(msg.err)
		default:
			s.logCursor, s.shown, s.loaded = msg.c, msg.lines, true
			s.page.log = msg.c.log
			switch {
			case msg.c.refusal != "":
				s.page.refuse(msg.c.refusal)
			case msg.c.note != "":
				s.page.say(msg.c.note)
			}
		}
		return s.read()
	case logEventsMsg:
		if s.prompt != eventPrompt {
			return nil
		}
		if len(msg.events) == 0 {
			s.prompt = noPrompt
			s.page.refuse("nothing happened to " + s.page.name + " in the time that you may read")
			s.page.complain(msg.err)
			return nil
		}
		s.offer(msg.events)
	}
	return nil
}

func (s *scrollback) press(msg tea.KeyPressMsg) tea.Cmd {
	if s.prompt != noPrompt {
		return s.pressPrompt(msg)
	}
	k := logKeys
	switch {
	case key.Matches(msg, k.Help):
		s.page.helping = true
	case key.Matches(msg, k.Zoom):
		s.page.zoomed = !s.page.zoomed
	case key.Matches(msg, k.Leave):
		if s.searching && s.loaded {
			s.steps = nil
			s.halt() // the log stays where it was
			return nil
		}
		s.page.endScroll()
	case key.Matches(msg, k.Type):
		s.page.endScroll()
		return s.page.beginTyping()
	case s.problem == "":
		return s.pressMove(msg)
	}
	return nil
}

// pressMove takes the keys that move the view.
func (s *scrollback) pressMove(msg tea.KeyPressMsg) tea.Cmd {
	k := logKeys
	rows := func(n int) tea.Cmd {
		return s.do(func(ctx context.Context, c *logCursor) error {
			if n < 0 {
				return c.up(ctx, -n)
			}
			return c.down(ctx, n)
		})
	}
	page := max(1, s.page.pane.size.Height-1)
	switch {
	case key.Matches(msg, k.Up):
		return rows(-1)
	case key.Matches(msg, k.Down):
		return rows(1)
	case key.Matches(msg, k.PageUp):
		return rows(-page)
	case key.Matches(msg, k.PageDown):
		return rows(page)
	case key.Matches(msg, k.First):
		return s.do(func(ctx context.Context, c *logCursor) error { return c.toFirst(ctx) })
	case key.Matches(msg, k.Last):
		return s.do(func(ctx context.Context, c *logCursor) error { return c.toLast(ctx) })
	case key.Matches(msg, k.Search):
		return s.ask(searchPrompt)
	case key.Matches(msg, k.Time):
		return s.ask(timePrompt)
	case key.Matches(msg, k.Event) && s.loaded:
		log, ctx := s.log, s.ctx
		s.prompt, s.events, s.picker = eventPrompt, nil, newPicker("")
		return tea.Batch(s.picker.focus(), s.page.do(func() tea.Msg {
			events, err := log.Events(ctx)
			return logEventsMsg{s, events, err}
		}))
	case key.Matches(msg, k.Next, k.Previous):
		return s.searchOn(key.Matches(msg, k.Previous))
	}
	return nil
}

// ask begins a prompt.
func (s *scrollback) ask(what prompt) tea.Cmd {
	s.prompt, s.input = what, newInput("")
	s.input.CharLimit = transcript.MaxExpression
	return s.input.Focus()
}

// offer lists the events to which one may jump.
func (s *scrollback) offer(events []store.Event) {
	choices := make([]choice, len(events))
	for i, e := range events {
		choices[i] = choice{strconv.Itoa(i), s.page.clock(e.At) + "  " + eventText(e), e.User}
	}
	s.events = events
	s.picker.set(choices)
}

func (s *scrollback) pressPrompt(msg tea.KeyPressMsg) tea.Cmd {
	k := logPromptKeys
	switch {
	case key.Matches(msg, k.Cancel):
		s.prompt = noPrompt
		return nil
	case key.Matches(msg, k.Do):
		return s.answer()
	case key.Matches(msg, k.Expression) && s.prompt == searchPrompt:
		s.expression = !s.expression
		return nil
	case key.Matches(msg, k.Up, k.Down) && s.prompt == eventPrompt:
		by := 1
		if key.Matches(msg, k.Up) {
			by = -1
		}
		s.picker.move(by)
		return nil
	}
	return s.edit(msg)
}

// edit gives what is typed or pasted to the prompt.
func (s *scrollback) edit(msg tea.Msg) (cmd tea.Cmd) {
	switch s.prompt {
	case eventPrompt:
		return s.picker.update(msg)
	case searchPrompt, timePrompt:
		s.input, cmd = s.input.Update(msg)
	case noPrompt:
	}
	return cmd
}

// answer does what the prompt asks for.
func (s *scrollback) answer() tea.Cmd {
	switch s.prompt {
	case searchPrompt:
		return s.search(s.input.Value())
	case timePrompt:
		at, err := lab.ParseTime(s.input.Value(), s.page.now())
		if err != nil {
			s.page.complain(err)
			return nil
		}
		s.prompt = noPrompt
		if at.IsZero() {
			return nil
		}
		return s.do(func(ctx context.Context, c *logCursor) error { return c.toTime(ctx, at) })
	case eventPrompt:
		i, err := strconv.Atoi(s.picker.chosen)
		if err != nil || s.picker.none() {
			return nil // there is nothing to choose, or not yet
		}
		s.prompt = noPrompt
		event := s.events[i]
		return s.do(func(ctx context.Context, c *logCursor) error { return c.toEvent(ctx, event) })
	case noPrompt:
	}
	return nil
}

// search begins to look for a text, in which capitals matter if there are any,
// or for a regular expression. An empty one is the last that was looked for.
func (s *scrollback) search(text string) tea.Cmd {
	if text == "" {
		s.prompt = noPrompt
		if s.what == "" {
			return nil
		}
		return s.searchOn(false)
	}
	parse := transcript.Text
	if s.expression {
		parse = transcript.Expression
	}
	query, err := parse(text, strings.ToLower(text) == text)
	if err != nil {
		s.page.complain(err)
		return nil
	}
	s.prompt, s.query, s.what = noPrompt, query, strconv.Quote(text)
	what := s.what
	s.searching = true
	return s.do(func(ctx context.Context, c *logCursor) error { return c.search(ctx, query, what) })
}

// searchOn goes on from the match that is shown, or from the top of the view.
func (s *scrollback) searchOn(back bool) tea.Cmd {
	if s.what == "" {
		s.page.refuse("nothing is looked for yet: / does")
		return nil
	}
	query, what := s.query, s.what
	s.searching = true
	return s.do(func(ctx context.Context, c *logCursor) error { return c.searchOn(ctx, query, what, back) })
}
