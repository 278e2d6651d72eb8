package lab

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"provisioner/store"
)

const (
	minTerm = time.Minute
	maxTerm = 10 * 365 * 24 * time.Hour // beyond it lies a mistake
)

// warnings is how long before the end of a term its holder is warned: at those
// that lie in the second half of it.
var warnings = []time.Duration{24 * time.Hour, time.Hour, 10 * time.Minute}

// ParseTerm reads how long something lasts, as a person writes it: 90m, 4h,
// 3d, 2w, or several of these in a row (1d12h).
func ParseTerm(text string) (time.Duration, error) {
	rest, total := strings.ToLower(strings.TrimSpace(text)), time.Duration(0)
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	for first := true; first || rest != ""; first = false {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 1 || units[rest[end]] == 0 {
			return 0, fail(Invalid, "give a time such as 90m, 4h, 3d or 2w")
		}
		n, err := strconv.ParseUint(rest[:end], 10, 32)
		unit := units[rest[end]]
		if err != nil || time.Duration(n) > maxTerm/unit {
			return 0, fail(Invalid, "give a time of at most %s", TermText(maxTerm))
		}
		total += time.Duration(n) * unit
		rest = rest[end+1:]
	}
	if total > maxTerm {
		return 0, fail(Invalid, "give a time of at most %s", TermText(maxTerm))
	}
	return total, nil
}

// TermText writes how long something lasts as ParseTerm reads it, to the minute.
func TermText(d time.Duration) string {
	d = d.Round(time.Minute)
	text := ""
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}} {
		if n := d / unit.is; n > 0 {
			text += strconv.FormatInt(int64(n), 10) + unit.name
			d %= unit.is
		}
	}
	if text == "" {
		return "0m"
	}
	return text
}

// momentText is how a moment is written into the history.
func momentText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// expiry returns when a reservation that begins now ends, for who asks for that
// term; the zero time where it has none.
func (s Site) expiry(actor Actor, asked time.Duration, now time.Time) (time.Time, error) {
	switch {
	case asked == 0 && actor.IsAdmin():
		return time.Time{}, nil
	case asked == 0 && s.Term == 0 && s.MaxTerm == 0:
		return time.Time{}, nil
	case asked == 0 && s.Term == 0:
		asked = s.MaxTerm
	case asked == 0:
		asked = s.Term
	case asked < minTerm || asked > maxTerm:
		return time.Time{}, fail(Invalid, "a term is at least %s and at most %s", TermText(minTerm), TermText(maxTerm))
	case !actor.IsAdmin() && s.MaxTerm > 0 && asked > s.MaxTerm:
		return time.Time{}, fail(Invalid, "a machine can be had for %s at most, not for %s: ask an admin", TermText(s.MaxTerm), TermText(asked))
	}
	return now.Add(asked), nil
}

// Extend moves the end of the actor's term by a time; 0 by what the site has as
// a term, as far as its maximum lets it. An admin who does not hold the machine
// extends all its terms, beyond the maximum, too. It returns the new end, the
// latest of several.
func (l *Lab) Extend(ctx context.Context, actor Actor, name string, by time.Duration) (until time.Time, err error) {
	if by != 0 && (by < minTerm || by > maxTerm) {
		return until, fail(Invalid, "extend %s: give a time from %s to %s", name, TermText(minTerm), TermText(maxTerm))
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if len(m.Holders) == 0 {
			return fail(Conflict, "nobody holds it")
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		extended := false
		for _, h := range m.Holders {
			if m.HeldBy(actor.User.ID) && h.UserID != actor.User.ID {
				continue
			}
			end, err := l.extend(ctx, tx, actor, h, by)
			if errors.Is(err, errNoTerm) && !m.HeldBy(actor.User.ID) {
				continue
			}
			if err != nil {
				return err
			}
			if extended = true; end.After(until) {
				until = end
			}
		}
		if !extended {
			return errNoTerm
		}
		return nil
	})
	return until, wrap(err, "extend %s", name)
}

var errNoTerm = fail(Conflict, "it has no term that could be extended")

func (l *Lab) extend(ctx context.Context, tx *store.Tx, actor Actor, h store.Holder, by time.Duration) (time.Time, error) {
	r, err := tx.Reservation(ctx, h.ReservationID)
	if err != nil {
		return time.Time{}, err
	}
	site, err := readSite(ctx, tx)
	if err != nil {
		return time.Time{}, err
	}
	end, err := site.extended(actor, r, by, l.now())
	if err != nil {
		return end, err
	}
	r.ExpiresAt = end
	r.WarnedAt, r.OverAt = time.Time{}, time.Time{}
	if err := tx.UpdateReservation(ctx, r); err != nil {
		return end, err
	}
	return end, l.record(ctx, tx, actor, store.Event{Kind: EventExtended, Machine: r.Machine, Detail: r.User + ": until " + momentText(end)})
}

// extended returns when a reservation ends that is extended now.
func (s Site) extended(actor Actor, r store.Reservation, by time.Duration, now time.Time) (time.Time, error) {
	switch {
	case r.ExpiresAt.IsZero():
		return r.ExpiresAt, errNoTerm
	case r.Lender != nil && !actor.IsAdmin():
		return r.ExpiresAt, fail(Denied, "%s has lent it to you until %s: ask them", r.Lender.User, momentText(r.ExpiresAt))
	}
	step := by
	if step == 0 {
		if step = s.Term; step == 0 {
			step = s.MaxTerm
		}
		if step == 0 {
			return r.ExpiresAt, fail(Invalid, "say by how long: this site has no term of its own")
		}
	}
	end := now.Add(step)
	if r.ExpiresAt.After(now) {
		end = r.ExpiresAt.Add(step)
	}
	if s.MaxTerm == 0 || actor.IsAdmin() {
		return end, nil
	}
	last := r.CountedAt.Add(s.MaxTerm)
	switch {
	case !end.After(last):
		return end, nil
	case !last.After(r.ExpiresAt) || !last.After(now):
		return r.ExpiresAt, fail(Conflict, "a machine can be had for %s at most, and you have had it since %s: ask an admin",
			TermText(s.MaxTerm), momentText(r.CountedAt))
	case by != 0:
		return r.ExpiresAt, fail(Invalid, "a machine can be had for %s at most, which is until %s: ask an admin for more",
			TermText(s.MaxTerm), momentText(last))
	}
	return last, nil
}

// step is what is due to be done about a reservation.
type step int

const (
	stepNothing step = iota
	stepWarn         // its term ends soon
	stepOver         // its term is over: the grace begins
	stepEnd
)

// due says what is due to be done about a reservation, and if nothing, when
// something is; the zero time for never.
//
// Nobody loses a machine without having been told a grace before: a server
// that was down, or a clock that was set, does not shorten the grace. What was
// told in the future, by a clock that has been set back since, was not told.
func (s Site) due(r store.Reservation, now time.Time) (step, time.Time) {
	told := func(at time.Time) bool { return !at.IsZero() && !at.After(now) }
	switch {
	case r.ExpiresAt.IsZero():
		return stepNothing, time.Time{}
	case !now.Before(r.ExpiresAt) && (r.Lender != nil || s.Grace == 0):
		return stepEnd, now // who lent it has a grace of their own
	case !now.Before(r.ExpiresAt) && !told(r.OverAt):
		return stepOver, now
	case !now.Before(r.ExpiresAt):
		if end := r.OverAt.Add(s.Grace); now.Before(end) {
			return stepNothing, end
		}
		return stepEnd, now
	}
	next := r.ExpiresAt
	for _, before := range warnings {
		at := r.ExpiresAt.Add(-before)
		switch {
		case at.Before(r.StartedAt.Add(r.ExpiresAt.Sub(r.StartedAt) / 2)):
		case at.After(now):
			if at.Before(next) {
				next = at
			}
		case !told(r.WarnedAt) || r.WarnedAt.Before(at):
			return stepWarn, now
		}
	}
	return stepNothing, next
}
