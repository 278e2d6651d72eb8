package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

const (
	maxReasonTyped = 140 // what the lab takes
	maxTermTyped   = 20
)

func siteChanges(e store.Event) bool { return e.Kind == lab.EventSiteChanged }

// newTermLine asks for how long something lasts. Nothing is a good answer, too.
func newTermLine(label string) *field {
	f := newLine(label, "", maxTermTyped)
	f.check = func() string {
		if f.said() == "" {
			return ""
		}
		_, err := lab.ParseTerm(f.said())
		return reason(err)
	}
	return f
}

func newReasonLine() *field { return newLine("What for", "", maxReasonTyped) }

// said is what was typed, without the spaces around it.
func (f *field) said() string { return strings.TrimSpace(f.value()) }

// term is the time that was typed; 0: none was.
func (f *field) term() (time.Duration, error) {
	if f.said() == "" {
		return 0, nil
	}
	return lab.ParseTerm(f.said())
}

// suggest fills a line that nobody has typed into.
func (f *field) suggest(value string) {
	if f.value() == "" {
		f.input.SetValue(value)
		f.input.CursorEnd()
	}
}

// termHint says what a person may answer to for how long they want a machine.
func (a *app) termHint(site lab.Site) string {
	hint := "such as 90m, 4h, 3d or 2w"
	switch {
	case a.actor.IsAdmin():
		return hint + "; nothing: without an end"
	case site.MaxTerm > 0:
		hint += ", at most " + lab.TermText(site.MaxTerm)
	}
	if site.Term == 0 && site.MaxTerm == 0 {
		hint += "; nothing: without an end"
	}
	return hint
}

// suggestTerm has a line begin with the term that the person would get.
func (a *app) suggestTerm(f *field, site lab.Site) {
	if usual := max(site.Term, 0); usual > 0 && !a.actor.IsAdmin() {
		f.suggest(lab.TermText(usual))
	}
	f.hint = a.termHint(site)
}

// newReserveForm asks for how long and what for somebody takes a machine. s is
// told that they have.
func newReserveForm(a *app, s screen, machine string) *formPage {
	term, why := newTermLine("For"), newReasonLine()
	return &formPage{
		app: a, title: "Take " + machine, subject: machine, fields: []*field{term, why},
		button: func() string { return "take " + machine + forText(term) },
		busy:   "Taking " + machine + " ...",
		load: func(ctx context.Context) (func(), error) {
			site, err := a.lab.Site(ctx, a.actor)
			return func() { a.suggestTerm(term, site) }, err
		},
		changes: siteChanges,
		send: func(ctx context.Context) error {
			lasts, err := term.term()
			if err != nil {
				return err
			}
			_, err = a.lab.ReserveAny(ctx, a.actor, lab.ReserveRequest{Machine: machine, For: lasts, Reason: why.said()})
			return err
		},
		sent: func() tea.Cmd { return s.update(tookMsg{name: machine}) },
	}
}

// forText is the answer to for how long, as the end of a sentence.
func forText(term *field) string {
	if term.said() == "" {
		return ""
	}
	return " for " + term.said()
}

// newExtendForm asks by how long a term goes on.
func newExtendForm(a *app, m lab.Machine) *formPage {
	by := newTermLine("By")
	var end time.Time
	return &formPage{
		app: a, title: "Extend the term of " + m.Name, note: leftText(a.until(m), a.now()) + " left", subject: m.Name, fields: []*field{by},
		button: func() string {
			if by.said() == "" {
				return "extend it"
			}
			return "extend it by " + by.said()
		},
		busy: "Extending it ...",
		load: func(ctx context.Context) (func(), error) {
			site, err := a.lab.Site(ctx, a.actor)
			return func() {
				by.hint = "such as 90m, 4h, 3d or 2w"
				if usual := site.Term; usual > 0 {
					by.suggest(lab.TermText(usual))
				}
				if site.MaxTerm > 0 && !a.actor.IsAdmin() {
					by.hint += "; a machine can be had for " + lab.TermText(site.MaxTerm) + " in all"
				}
			}, err
		},
		changes: siteChanges,
		send: func(ctx context.Context) error {
			lasts, err := by.term()
			if err != nil {
				return err
			}
			end, err = a.lab.Extend(ctx, a.actor, m.Name, lasts)
			return err
		},
		sent: func() tea.Cmd {
			a.say(m.Name + " is held until " + a.clock(end))
			return nil
		},
	}
}

// newLendForm asks to whom a machine is lent.
func newLendForm(a *app, m lab.Machine) *formPage {
	to, lasts, why := newChoice("To", ""), newTermLine("For"), newReasonLine()
	to.lacks = "there is nobody to lend it to"
	to.lacking = []string{"There is nobody else who could have it."}
	lasts.hint = "such as 90m, 4h or 3d; nothing: as long as it is yours"
	why.hint = "nothing: what you have it for"
	var end time.Time
	return &formPage{
		app: a, title: "Lend " + m.Name, subject: m.Name, fields: []*field{to, lasts, why},
		button: func() string { return "lend " + m.Name + " to " + to.value() + forText(lasts) },
		busy:   "Lending it ...",
		load: func(ctx context.Context) (func(), error) {
			accounts, err := a.lab.Users(ctx, a.actor)
			accounts = slices.DeleteFunc(accounts, func(u store.Account) bool { return u.Disabled || m.HeldBy(u.ID) })
			return func() {
				choices := make([]choice, len(accounts))
				for i, u := range accounts {
					choices[i] = choice{value: u.Name, label: u.Name}
				}
				to.picker.set(choices)
			}, err
		},
		changes: func(e store.Event) bool {
			return e.Kind == lab.EventUserAdded || e.Kind == lab.EventUserChanged || e.Kind == lab.EventUserRemoved
		},
		send: func(ctx context.Context) error {
			term, err := lasts.term()
			if err != nil {
				return err
			}
			end, err = a.lab.Lend(ctx, a.actor, m.Name, to.value(), term, why.said())
			return err
		},
		sent: func() tea.Cmd {
			sentence := m.Name + " is lent to " + to.value()
			if !end.IsZero() {
				sentence += " until " + a.clock(end)
			}
			a.say(sentence)
			return nil
		},
	}
}
