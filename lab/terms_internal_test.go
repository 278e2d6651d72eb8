package lab

import (
	"testing"
	"time"

	"provisioner/store"
)

func TestTermsAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "4h": 4 * time.Hour, "3d": 72 * time.Hour, "2w": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, " 1H ": time.Hour, //nolint:gocritic // white space is what it tries
	} {
		if got, err := ParseTerm(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "4", "h", "-4h", "4x", "4h-", "99999999999999999999h", "4294967295w", "3650d3650d", "1.5h", "\xff", "4h "[:2] + "\x00"} {
		if got, err := ParseTerm(text); err == nil || CodeOf(err) != Invalid {
			t.Errorf("%q: %v, %v; want it refused", text, got, err)
		}
	}
	for _, d := range []time.Duration{time.Minute, time.Hour, 25 * time.Hour, 49*time.Hour + 3*time.Minute} {
		if got, err := ParseTerm(TermText(d)); err != nil || got != d {
			t.Errorf("%v is written %q, and read as %v, %v", d, TermText(d), got, err)
		}
	}
}

func FuzzParseTerm(f *testing.F) {
	for _, text := range []string{"4h", "1d12h", "99999999w", "4", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseTerm(text)
		if err != nil {
			return
		}
		if d < 0 || d > maxTerm {
			t.Fatalf("%q is %v", text, d)
		}
		if again, err := ParseTerm(TermText(d)); err != nil || again != d {
			t.Fatalf("%q is %v, written %q, and read as %v, %v", text, d, TermText(d), again, err)
		}
	})
}

func TestWhatIsDueAboutATerm(t *testing.T) {
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	site := Site{Grace: time.Hour}
	at := start.Add
	four := store.Reservation{StartedAt: start, ExpiresAt: at(4 * time.Hour)} // warned 1 h and 10 min before
	with := func(change func(*store.Reservation)) store.Reservation {
		r := four
		change(&r)
		return r
	}
	warned := with(func(r *store.Reservation) { r.WarnedAt = at(3*time.Hour + time.Minute) })
	over := with(func(r *store.Reservation) { r.OverAt = at(4*time.Hour + time.Minute) })
	lent := with(func(r *store.Reservation) { r.Lender = &store.Lender{} })
	for what, test := range map[string]struct {
		site Site
		r    store.Reservation
		now  time.Duration
		want step
		next time.Duration // where nothing is due; negative: never
	}{
		"no term":                            {site, store.Reservation{StartedAt: start}, 1000 * time.Hour, stepNothing, -1},
		"at its beginning":                   {site, four, 0, stepNothing, 3 * time.Hour},
		"an hour before its end":             {site, four, 3 * time.Hour, stepWarn, 0},
		"warned":                             {site, warned, 3*time.Hour + 2*time.Minute, stepNothing, 3*time.Hour + 50*time.Minute},
		"ten minutes before its end":         {site, warned, 3*time.Hour + 55*time.Minute, stepWarn, 0},
		"both warnings missed":               {site, four, 3*time.Hour + 59*time.Minute, stepWarn, 0},
		"warned by a clock that was ahead":   {site, with(func(r *store.Reservation) { r.WarnedAt = at(50 * time.Hour) }), 3*time.Hour + time.Minute, stepWarn, 0},
		"its end":                            {site, warned, 4 * time.Hour, stepOver, 0},
		"long after it, and nobody was told": {site, four, 500 * time.Hour, stepOver, 0},
		"in its grace":                       {site, over, 4*time.Hour + 2*time.Minute, stepNothing, 5*time.Hour + time.Minute},
		"after its grace":                    {site, over, 5*time.Hour + time.Minute, stepEnd, 0},
		"told by a clock that was ahead":     {site, with(func(r *store.Reservation) { r.OverAt = at(50 * time.Hour) }), 5 * time.Hour, stepOver, 0},
		"without a grace":                    {Site{}, four, 4 * time.Hour, stepEnd, 0},
		"a loan":                             {site, lent, 4 * time.Hour, stepEnd, 0},
		"too short for warnings":             {site, store.Reservation{StartedAt: start, ExpiresAt: at(15 * time.Minute)}, 14 * time.Minute, stepNothing, 15 * time.Minute},
		"a day before the end of two":        {site, store.Reservation{StartedAt: start, ExpiresAt: at(48 * time.Hour)}, 24 * time.Hour, stepWarn, 0},
	} {
		got, next := test.site.due(test.r, at(test.now))
		if got != test.want {
			t.Errorf("%s: step %d, want %d", what, got, test.want)
		}
		if test.want == stepNothing && (test.next < 0) != next.IsZero() || test.want == stepNothing && test.next > 0 && !next.Equal(at(test.next)) {
			t.Errorf("%s: next at %v, want after %v", what, next, test.next)
		}
	}
}

func TestHowFarATermCanBeExtended(t *testing.T) {
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	site := Site{Term: 4 * time.Hour, MaxTerm: 10 * time.Hour}
	user, admin := Actor{User: store.User{ID: 1, Role: store.RoleUser}}, Actor{User: store.User{ID: 2, Role: store.RoleAdmin}}
	r := store.Reservation{StartedAt: start.Add(time.Hour), CountedAt: start, ExpiresAt: start.Add(4 * time.Hour)}
	for what, test := range map[string]struct {
		site  Site
		actor Actor
		by    time.Duration
		now   time.Duration
		want  time.Duration // since start; 0: refused
	}{
		"by what the site has":            {site, user, 0, time.Hour, 8 * time.Hour},
		"by a time":                       {site, user, 30 * time.Minute, time.Hour, 4*time.Hour + 30*time.Minute},
		"in the grace, from now":          {site, user, time.Hour, 4*time.Hour + 30*time.Minute, 5*time.Hour + 30*time.Minute},
		"up to the maximum":               {site, user, 6 * time.Hour, time.Hour, 10 * time.Hour},
		"beyond the maximum":              {site, user, 7 * time.Hour, time.Hour, 0},
		"beyond the maximum, as an admin": {site, admin, 70 * time.Hour, time.Hour, 74 * time.Hour},
		"as far as the maximum lets it":   {Site{Term: 8 * time.Hour, MaxTerm: 10 * time.Hour}, user, 0, time.Hour, 10 * time.Hour},
		"at the maximum":                  {Site{Term: time.Hour, MaxTerm: 4 * time.Hour}, user, 0, time.Hour, 0},
		"where the site has no term":      {Site{}, user, 0, time.Hour, 0},
		"where there is no maximum":       {Site{}, user, 1000 * time.Hour, time.Hour, 1004 * time.Hour},
	} {
		got, err := test.site.extended(test.actor, r, test.by, start.Add(test.now))
		if (err == nil) != (test.want != 0) || err == nil && !got.Equal(start.Add(test.want)) {
			t.Errorf("%s: until %v, %v; want %v", what, got.Sub(start), err, test.want)
		}
	}
}
