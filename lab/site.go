package lab

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

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

	// Term is for how long a machine is had by who does not say for how long,
	// MaxTerm for how long at most, counted from its beginning; 0: for ever.
	// Neither is for admins, nor for what they assign.
	Term, MaxTerm time.Duration

	// Grace is how long after the end of a term, or after having been told
	// that it is idle, a machine is still its holder's.
	Grace time.Duration

	// IdleAfter is after how long without power, a run, or anybody at its
	// console a machine is released; 0: never.
	IdleAfter time.Duration

	// Release is what becomes of a machine that nobody holds any more, and
	// nobody waits for.
	Release ReleasePolicy

	// ProxyJump lets people reach the machines that they hold through this
	// server (ssh -J); see [Lab.OpenTunnel].
	ProxyJump bool
}

// ReleasePolicy is what is done to a machine that was given back.
type ReleasePolicy string

const (
	ReleaseLeave    ReleasePolicy = "leave" // nothing
	ReleasePowerOff ReleasePolicy = "power-off"
)

// What a site has that has decided nothing.
const (
	defaultTerm    = 7 * 24 * time.Hour
	defaultMaxTerm = 30 * 24 * time.Hour
	defaultGrace   = time.Hour
)

// The names of the settings, and the values other than the default.
const (
	settingConsoles       = "consoles"
	settingConsolesInsist = "consoles-insist"
	settingTerm           = "term"
	settingMaxTerm        = "max-term"
	settingGrace          = "grace"
	settingIdleAfter      = "idle-after"
	settingRelease        = "release"
	settingProxyJump      = "proxy-jump"

	valueYes = "yes"
)

func readSite(ctx context.Context, tx *store.Tx) (s Site, err error) {
	settings, err := tx.Settings(ctx)
	if err != nil {
		return s, err
	}
	s.ConsolesOnDemand = settings[settingConsoles] == string(store.ConsoleOnDemand)
	s.ConsolesInsist = settings[settingConsolesInsist] == valueYes
	s.ProxyJump = settings[settingProxyJump] == valueYes
	s.Term, s.MaxTerm, s.Grace, s.Release = defaultTerm, defaultMaxTerm, defaultGrace, ReleaseLeave
	for name, value := range s.durations() {
		if settings[name] == "" {
			continue
		}
		if *value, err = time.ParseDuration(settings[name]); err != nil {
			return s, wrap(err, "the setting %s", name)
		}
	}
	if release := settings[settingRelease]; release != "" {
		s.Release = ReleasePolicy(release)
	}
	return s, nil
}

// durations returns the settings that are times, by their names.
func (s *Site) durations() map[string]*time.Duration {
	return map[string]*time.Duration{
		settingTerm: &s.Term, settingMaxTerm: &s.MaxTerm, settingGrace: &s.Grace, settingIdleAfter: &s.IdleAfter,
	}
}

// check says what is wrong with the settings.
func (s *Site) check() error {
	for name, value := range s.durations() {
		if *value < 0 || *value > maxTerm {
			return fail(Invalid, "%s: give a time from 0 to %s", name, TermText(maxTerm))
		}
	}
	switch {
	case s.Term != 0 && s.Term < minTerm, s.MaxTerm != 0 && s.MaxTerm < minTerm:
		return fail(Invalid, "a term is at least %s", TermText(minTerm))
	case s.MaxTerm != 0 && s.Term > s.MaxTerm:
		return fail(Invalid, "the usual term, %s, is longer than the maximum, %s", TermText(s.Term), TermText(s.MaxTerm))
	case s.IdleAfter != 0 && s.IdleAfter < minIdle:
		return fail(Invalid, "a machine is idle after %s at least", TermText(minIdle))
	case s.Release != ReleaseLeave && s.Release != ReleasePowerOff:
		return fail(Invalid, "release %q: it is one of %s and %s", s.Release, ReleaseLeave, ReleasePowerOff)
	}
	return nil
}

// minIdle keeps a site from releasing what was turned off for a moment.
const minIdle = 30 * time.Minute

// keep keeps the settings.
func (s *Site) keep(ctx context.Context, tx *store.Tx) error {
	mode := store.ConsoleAlways
	if s.ConsolesOnDemand {
		mode = store.ConsoleOnDemand
	}
	values := map[string]string{settingConsoles: string(mode), settingRelease: string(s.Release), settingConsolesInsist: "", settingProxyJump: ""}
	for name, on := range map[string]bool{settingConsolesInsist: s.ConsolesInsist, settingProxyJump: s.ProxyJump} {
		if on {
			values[name] = valueYes
		}
	}
	for name, value := range s.durations() {
		values[name] = value.String()
	}
	for name, value := range values {
		if err := tx.SetSetting(ctx, name, value); err != nil {
			return err
		}
	}
	return nil
}

// differences says for the history what has been decided anew.
func (s Site) differences(before Site) string {
	var words []string
	if s.ConsolesOnDemand != before.ConsolesOnDemand || s.ConsolesInsist != before.ConsolesInsist {
		text := "consoles " + string(store.ConsoleAlways)
		if s.ConsolesOnDemand {
			text = "consoles " + string(store.ConsoleOnDemand)
		}
		if s.ConsolesInsist {
			text += ", taken from other programs"
		}
		words = append(words, text)
	}
	old := before.durations()
	now := s.durations()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if *now[name] != *old[name] {
			words = append(words, name+" "+TermText(*now[name]))
		}
	}
	if s.Release != before.Release {
		words = append(words, "release "+string(s.Release))
	}
	if s.ProxyJump != before.ProxyJump {
		text := "no connections to machines"
		if s.ProxyJump {
			text = "connections to machines by their holders"
		}
		words = append(words, text)
	}
	return strings.Join(words, ", ")
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
		before := s
		change(&s)
		if err := s.check(); err != nil {
			return err
		}
		if err := s.keep(ctx, tx); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventSiteChanged, Detail: s.differences(before)})
	})
	return wrap(err, "change the site's settings")
}
