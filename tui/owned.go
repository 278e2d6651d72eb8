package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
)

// owned is an image or a preseed: its owner and admins decide what becomes of it.
type owned struct {
	kind, name   string
	good, public bool
	may          error // why the person may not change it; nil: they may

	change func(ctx context.Context, good, public *bool) error
	use    func(context.Context) (use, error)
	remove func(ctx context.Context, forget bool) error
}

// use is what uses something.
type use struct {
	says string // as the end of a sentence
	now  bool   // it stays, whoever wants it gone
	once bool   // machines remember it
}

// actions is what can be done with it; s is told how it went.
func (o owned) actions(a *app, s screen) []menuItem {
	k := ownedKeys
	why := reason(o.may)
	good, public := !o.good, !o.public
	goodKey, publicKey := named(k.KnownGood, "mark as known good"), named(k.Public, "make public")
	goodDone, publicDone := "known good", "public: everybody may boot it"
	if !good {
		goodKey, goodDone = named(k.KnownGood, "mark as not known good any more"), "not known good any more"
	}
	if !public {
		publicKey, publicDone = named(k.Public, "make private"), "private: its owner and admins may boot it"
	}
	change := func(done string, good, public *bool) func() tea.Cmd {
		return func() tea.Cmd {
			return a.act(s, "Changing "+o.name+" ...", o.name+" is "+done, func(ctx context.Context) error {
				return o.change(ctx, good, public)
			})
		}
	}
	return about(o.name, []menuItem{
		{key: goodKey, why: why, do: change(goodDone, &good, nil)},
		{key: publicKey, why: why, do: change(publicDone, nil, &public)},
		{key: k.Delete, why: why, do: func() tea.Cmd {
			return func() tea.Msg { return reply{s, o.askDelete(a, s)} }
		}},
	})
}

// askDelete looks at what uses it before it asks.
func (o owned) askDelete(a *app, s screen) askMsg {
	used, err := o.use(a.ctx)
	if err != nil {
		return askMsg{err: err}
	}
	text := "Delete the " + o.kind + " " + o.name + "? It cannot be had back."
	switch {
	case used.now, used.once && !a.actor.IsAdmin():
		return askMsg{err: errors.New(o.name + " stays: " + used.says)}
	case used.once:
		text = "Delete the " + o.kind + " " + o.name + ", and have machines forget it? Now " + used.says + "."
	}
	return askMsg{of: s, text: text, yes: func() tea.Cmd {
		return a.act(s, "Deleting "+o.name+" ...", o.name+" is deleted", func(ctx context.Context) error {
			return o.remove(ctx, used.once)
		})
	}}
}

// visibility says who may boot what has an owner.
func (t *theme) visibility(public bool) string {
	if public {
		return t.good.Render("✓ public") + ": everybody may boot it"
	}
	return "private: its owner and admins may boot it"
}

// knownGood says whether something has worked.
func (t *theme) knownGood(good bool) string {
	if good {
		return t.good.Render("✓ known good")
	}
	return "not known"
}

func mark(yes bool) string {
	if yes {
		return "✓"
	}
	return ""
}

// ownedWords are what a filter finds such things by, beside their names.
func ownedWords(good, public bool) []string {
	words := []string{"private"}
	if public {
		words[0] = "public"
	}
	if good {
		words = append(words, "known good")
	}
	return words
}

// ownerText is the name of an owner, which stands out where it is the person's.
func (a *app) ownerText(id int64, name string) string {
	if id != 0 && id == a.actor.User.ID {
		return a.theme.mine.Render(name)
	}
	return name
}

// date is a day where the person is.
func (a *app) date(at time.Time) string { return at.In(a.now().Location()).Format(time.DateOnly) }

// runChanges are the events that change what runs install.
var runChanges = map[string]bool{lab.EventProvision: true, lab.EventProvisionEnded: true}
