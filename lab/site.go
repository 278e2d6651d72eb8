package lab

import (
	"context"

	"provisioner/store"
)

// Site is what admins have decided for all machines.
type Site struct {
	// ConsolesOnDemand has consoles connected only while somebody watches them
	// or a run goes on, instead of always; what is printed meanwhile is not
	// logged. A machine may have it otherwise.
	ConsolesOnDemand bool

	// ConsolesInsist has a console taken from another program for the sake of
	// its log, too, and not only by people and runs. It is done with patience,
	// a minute and more apart, and kept in the machine's history each time.
	ConsolesInsist bool
}

// The names of the settings, and the values other than the default.
const (
	settingConsoles       = "consoles"
	settingConsolesInsist = "consoles-insist"

	valueYes = "yes"
)

func readSite(ctx context.Context, tx *store.Tx) (s Site, err error) {
	mode, err := tx.Setting(ctx, settingConsoles)
	if err != nil {
		return s, err
	}
	insist, err := tx.Setting(ctx, settingConsolesInsist)
	s.ConsolesOnDemand = mode == string(store.ConsoleOnDemand)
	s.ConsolesInsist = insist == valueYes
	return s, err
}

// keeps reports whether a machine's console is connected always.
func (s Site) keeps(m store.Machine) bool {
	if m.Console == store.ConsoleDefault {
		return !s.ConsolesOnDemand
	}
	return m.Console == store.ConsoleAlways
}

// Site returns what is decided for all machines. Whoever may log in may know.
func (l *Lab) Site(ctx context.Context, _ Actor) (s Site, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		s, err = readSite(ctx, tx)
		return err
	})
	return s, wrap(err, "read the site's settings")
}

// ChangeSite has change decide something else for all machines. Only an admin
// may. It takes effect at once.
func (l *Lab) ChangeSite(ctx context.Context, actor Actor, change func(*Site)) error {
	if !actor.IsAdmin() {
		return fail(Denied, "change the site's settings: only an admin may")
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		s, err := readSite(ctx, tx)
		if err != nil {
			return err
		}
		change(&s)
		mode, insist := store.ConsoleAlways, ""
		if s.ConsolesOnDemand {
			mode = store.ConsoleOnDemand
		}
		if s.ConsolesInsist {
			insist = valueYes
		}
		if err := tx.SetSetting(ctx, settingConsoles, string(mode)); err != nil {
			return err
		}
		if err := tx.SetSetting(ctx, settingConsolesInsist, insist); err != nil {
			return err
		}
		detail := "consoles " + string(mode)
		if s.ConsolesInsist {
			detail += ", taken from other programs"
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventSiteChanged, Detail: detail})
	})
	return wrap(err, "change the site's settings")
}
