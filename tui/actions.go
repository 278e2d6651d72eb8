package tui

import (
	"context"
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// reason is why something cannot be done; empty: it can.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// about says what the things to do are done with.
func about(subject string, items []menuItem) []menuItem {
	for i := range items {
		items[i].subject = subject
	}
	return items
}

// pressAction takes the key of something to do, and the one that lists them all.
func (a *app) pressAction(msg tea.KeyPressMsg, title string, items []menuItem) tea.Cmd {
	if key.Matches(msg, actionsKey) {
		a.menu = &menu{title: title, items: items}
		return nil
	}
	i := slices.IndexFunc(items, func(i menuItem) bool { return key.Matches(msg, i.key) })
	switch {
	case i < 0:
		return nil
	case items[i].why == "":
		return items[i].do()
	case items[i].subject != "":
		a.refuse(items[i].subject + ": " + items[i].why)
	default:
		a.refuse(items[i].why)
	}
	return nil
}

// doneMsg is how a call has ended.
type doneMsg struct {
	what string // as a sentence, where it went well
	err  error
}

// act makes a call that changes something, for a screen. It is not cancelled
// by leaving that: what was asked for is asked for.
func (a *app) act(s screen, doing, done string, call func(context.Context) error) tea.Cmd {
	a.say(doing)
	return func() tea.Msg { return reply{s, doneMsg{done, call(a.ctx)}} }
}

func (a *app) done(msg doneMsg) {
	a.complain(msg.err)
	if msg.err == nil {
		a.say(msg.what)
	}
}

// askMsg is a question for which something had to be looked up.
type askMsg struct {
	of   screen
	text string
	yes  func() tea.Cmd
	err  error // why it is not asked
}

// answer asks the question, unless its person does something else meanwhile:
// a key that was meant for that must not be the answer.
func (a *app) answer(msg askMsg) {
	switch {
	case msg.err != nil:
		a.complain(msg.err)
	case a.top() == msg.of && a.asking == nil && a.menu == nil && !a.helping:
		a.ask(msg.text, msg.yes)
	}
}
