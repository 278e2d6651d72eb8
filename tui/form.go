package tui

import (
	"context"
	"slices"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"provisioner/store"
)

// field is one question of a form: a list to choose from, or a line to type
// into.
type field struct {
	label   string
	picker  *picker // nil: a line
	input   textinput.Model
	hint    string        // below the line
	lacking []string      // below a list that has nothing to choose
	lacks   string        // why one cannot go on without; empty: one can
	check   func() string // what is wrong with the line; nil: nothing can be
}

func newChoice(label, chosen string) *field {
	p := newPicker(chosen)
	return &field{label: label, picker: &p}
}

func newLine(label, value string, limit int) *field {
	f := &field{label: label, input: newInput("")}
	f.input.CharLimit = limit
	f.input.SetValue(clean(value))
	return f
}

// value is what was chosen or typed.
func (f *field) value() string {
	if f.picker != nil {
		return f.picker.chosen
	}
	return f.input.Value()
}

func (f *field) focus() tea.Cmd {
	if f.picker != nil {
		return f.picker.focus()
	}
	return f.input.Focus()
}

func (f *field) leave() {
	if f.picker != nil {
		f.picker.leave()
	}
	f.input.Blur()
}

// update takes what is typed or pasted.
func (f *field) update(msg tea.Msg) (cmd tea.Cmd) {
	if f.picker != nil {
		return f.picker.update(msg)
	}
	f.input, cmd = f.input.Update(msg)
	return cmd
}

// amiss is why one cannot go on to the next question.
func (f *field) amiss() string {
	switch {
	case f.picker != nil && len(f.picker.choices) == 0:
		return f.lacks
	case f.picker != nil && f.picker.none():
		return "nothing matches " + f.picker.filter.Value()
	case f.picker == nil && f.check != nil:
		return f.check()
	}
	return ""
}

// formPage asks questions, one after the other, and then does something with
// the answers. Where that fails, they stay to be mended.
type formPage struct {
	*app
	ctx    context.Context //nolint:containedctx // of the screen
	cancel context.CancelFunc

	title   string
	note    string // at the right of the title
	subject string // in the header
	fields  []*field
	button  func() string // what the last enter does
	busy    string        // said while it is being done
	load    func(context.Context) (fill func(), err error)
	changes func(store.Event) bool // what there is to choose from
	send    func(context.Context) error
	sent    func() tea.Cmd // once it has been done, and the form has closed

	at      int // len(fields): the button
	loaded  bool
	problem string // why it cannot begin, or was not done
	sending bool
}

type (
	formLoadedMsg struct {
		fill func()
		err  error
	}
	formSentMsg struct{ err error }
)

func (f *formPage) start() tea.Cmd {
	f.ctx, f.cancel = context.WithCancel(f.app.ctx)
	return tea.Batch(f.fields[0].focus(), f.reload())
}

func (f *formPage) close() { f.cancel() }

func (f *formPage) reload() tea.Cmd {
	return func() tea.Msg {
		fill, err := f.load(f.ctx)
		return reply{f, formLoadedMsg{fill, err}}
	}
}

func (f *formPage) happened(events []store.Event, lost bool) tea.Cmd {
	if lost || slices.ContainsFunc(events, f.changes) {
		return f.reload()
	}
	return nil
}

func (f *formPage) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case formLoadedMsg:
		f.loaded = true
		if msg.err != nil {
			f.problem = msg.err.Error()
			return nil
		}
		msg.fill()
	case formSentMsg:
		f.sending = false
		if msg.err != nil {
			f.problem = msg.err.Error()
			return nil
		}
		f.pop()
		return f.sent()
	case tea.KeyPressMsg:
		return f.press(msg)
	case tea.PasteMsg:
		return f.edit(msg)
	}
	return nil
}

// field is the question that has the keyboard; nil: the button has it.
func (f *formPage) field() *field {
	if f.at < len(f.fields) {
		return f.fields[f.at]
	}
	return nil
}

func (f *formPage) press(msg tea.KeyPressMsg) tea.Cmd {
	k, now := formKeys, f.field()
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case f.sending:
		return nil // the lab is asked; its answer comes
	case key.Matches(msg, k.Cancel):
		if now != nil && now.picker != nil && now.picker.filter.Value() != "" {
			now.picker.filter.Reset()
			now.picker.list()
			return nil
		}
		f.pop()
	case key.Matches(msg, k.Next):
		if now == nil && msg.Code != tea.KeyTab {
			return f.submit()
		}
		return f.next()
	case key.Matches(msg, k.Previous):
		if f.at > 0 {
			return f.focus(f.at - 1)
		}
	case key.Matches(msg, k.Up, k.Down):
		by := 1
		if key.Matches(msg, k.Up) {
			by = -1
		}
		if now != nil && now.picker != nil {
			now.picker.move(by)
			return nil
		}
		if by < 0 && f.at > 0 {
			return f.focus(f.at - 1)
		}
		if by > 0 {
			return f.next()
		}
	default:
		return f.edit(msg)
	}
	return nil
}

// edit gives what is typed or pasted to the question that has the keyboard.
func (f *formPage) edit(msg tea.Msg) tea.Cmd {
	if now := f.field(); now != nil && !f.sending {
		return now.update(msg)
	}
	return nil
}

func (f *formPage) next() tea.Cmd {
	now := f.field()
	if now == nil || !f.loaded {
		return nil
	}
	if amiss := now.amiss(); amiss != "" {
		f.refuse(amiss)
		return nil
	}
	return f.focus(f.at + 1)
}

func (f *formPage) focus(to int) tea.Cmd {
	if before := f.field(); before != nil {
		before.leave()
	}
	f.at, f.problem = to, ""
	if now := f.field(); now != nil {
		return now.focus()
	}
	return nil
}

func (f *formPage) submit() tea.Cmd {
	f.sending, f.problem = true, ""
	return func() tea.Msg { return reply{f, formSentMsg{f.send(f.ctx)}} }
}

func (f *formPage) help() keySection { return formHelp() }

func (f *formPage) full() bool { return false }

func (f *formPage) status() string { return f.theme.strong.Render(clean(f.subject)) }
