package pattern

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxPrompt is how long a line can be that is looked at before it is finished, in bytes.
	maxPrompt = 256

	// maxText is how much of a line a match shows, in bytes.
	maxText = 200

	// A console that prints nothing but what we look for is reported so often at most.
	budget       = 10
	budgetPeriod = time.Minute
)

// Match is a pattern that was found in the output of a console.
type Match struct {
	Pattern  string // its name
	Line     string // printable, at most 200 bytes, without the control sequences
	Position int64  // of the beginning of the line, counted as Scan was told
}

// Scanner reads the output of one console. The zero value is ready for use; it
// needs next to no memory while nothing is printed. It is not safe for
// concurrent use.
//
// A pattern that was found is not reported again before it has been absent for
// a while, a minute or, for what is wrong with a kernel, ten. It may come again
// at once when the machine starts anew, and a login prompt as soon as something
// else was reported. A console is reported ten times a minute at most.
type Scanner struct {
	// EveryMatch has all lines reported that match, whatever was reported before.
	EveryMatch bool

	lines lines
	seen  map[string]sighting // by pattern, of those that may have to be absent first

	period   time.Time // when the last one began
	reported int       // in it
	dropped  int       // in all
}

// sighting is when a pattern was found last.
type sighting struct {
	at     time.Time
	prompt bool
}

// Scan reads what was printed, and returns what is to be reported of it. The
// position is of the first byte of p; now is when p was printed. How the output
// is divided into calls makes a difference only to lines that are not finished:
// these are looked at at the end of each call.
func (s *Scanner) Scan(set *Set, p []byte, position int64, now time.Time) (matches []Match) {
	pooled := set.lines.Get().(*[]byte) // which holds nothing else
	s.lines.line = append((*pooled)[:0], s.lines.line...)
	s.lines.read(p, position, func(l *lines) {
		matches = s.report(matches, set.matching(l.line, true), l, now)
	})
	if n := len(s.lines.line); 0 < n && n <= maxPrompt {
		matches = s.report(matches, set.matching(s.lines.line, false), &s.lines, now)
	}
	*pooled = s.lines.line
	s.lines.line = nil
	if len(*pooled) > 0 {
		s.lines.line = slices.Clone(*pooled)
	}
	set.lines.Put(pooled)
	return matches
}

// Dropped returns how many matches were not reported because there were too many.
func (s *Scanner) Dropped() int { return s.dropped }

func (s *Scanner) report(matches []Match, found []located, l *lines, now time.Time) []Match {
	for _, f := range found {
		if f.rule.boot {
			clear(s.seen)
			continue
		}
		if !s.EveryMatch && !s.due(f.rule, now) {
			continue
		}
		matches = append(matches, Match{Pattern: f.rule.name, Line: excerpt(l.line, f.start, f.end), Position: l.at})
	}
	return matches
}

// due reports whether a rule that was found is to be reported.
func (s *Scanner) due(r *rule, now time.Time) bool {
	last, again := s.seen[r.name]
	if s.seen == nil {
		s.seen = make(map[string]sighting)
	}
	s.seen[r.name] = sighting{now, r.prompt}
	if again && now.Sub(last.at) < r.quiet {
		return false
	}
	if now.Sub(s.period) >= budgetPeriod {
		s.period, s.reported = now, 0
	}
	if s.reported++; s.reported > budget {
		s.dropped++
		return false
	}
	if !r.prompt {
		for name, other := range s.seen {
			if other.prompt {
				delete(s.seen, name)
			}
		}
	}
	return true
}

// excerpt returns the part of a line where a match is, for people.
func excerpt(line []byte, start, end int) string {
	const before = 40 // what is shown of what led to a match far to the right
	if end > maxText {
		line = line[max(0, min(start-before, len(line)-maxText)):]
		for len(line) > 0 && !utf8.RuneStart(line[0]) {
			line = line[1:]
		}
	}
	var b strings.Builder
	for _, r := range strings.TrimFunc(string(line[:min(len(line), 2*maxText)]), isFrame) {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > maxText {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isFrame reports whether a character is part of a dialog's frame, or no character at all.
func isFrame(r rune) bool {
	return unicode.IsSpace(r) || 0x2500 <= r && r < 0x2580 // box drawing
}
