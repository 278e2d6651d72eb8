package lab

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"provisioner/lab/console/pattern"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

const (
	// foundDepth is how many matches wait to be kept. A console waits for none.
	foundDepth = 256

	// foundBatch is how many are kept at once.
	foundBatch = 64

	// patternSeparator is between a pattern and the line that it has found.
	patternSeparator = ": "

	// lastFound is how long what was found last may take to be kept when the lab ends.
	lastFound = time.Second
)

// patterns is what is looked for in the output of all consoles, and what was found.
type patterns struct {
	set     atomic.Pointer[pattern.Set]
	found   chan foundPattern
	dropped atomic.Int64 // matches that were too many
}

// foundPattern is a match, and whose and when it was.
type foundPattern struct {
	pattern.Match
	machine string
	at      time.Time
}

// ConsolePattern is a pattern that is looked for in the output of all consoles.
type ConsolePattern struct {
	Name       string
	Expression string // RE2; empty: it is built in
	Finds      string // what it finds, of one that is built in
}

// BuiltIn reports whether a pattern is no site's own.
func (p ConsolePattern) BuiltIn() bool { return p.Expression == "" }

// ConsolePatterns returns what is looked for in the output of all consoles,
// what is built in first. Whoever may log in may see it.
func (l *Lab) ConsolePatterns(ctx context.Context, _ Actor) ([]ConsolePattern, error) {
	var all []ConsolePattern
	for _, b := range pattern.BuiltIn() {
		all = append(all, ConsolePattern{Name: b.Name, Finds: b.Finds})
	}
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		site, err := tx.ConsolePatterns(ctx)
		for _, p := range site {
			all = append(all, ConsolePattern{Name: p.Name, Expression: p.Expression})
		}
		return err
	})
	return all, wrap(err, "list patterns")
}

// AddConsolePattern looks for a regular expression (RE2) in the output of all
// consoles from now on. Only an admin may. What it finds is in the machines'
// histories: see [Lab.MachineEvents].
func (l *Lab) AddConsolePattern(ctx context.Context, actor Actor, name, expression string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "add pattern %q: only an admin may", name)
	}
	if err := (pattern.Pattern{Name: name, Expression: expression}).Check(); err != nil {
		return fail(Invalid, "add pattern %q: %w", name, err)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		site, err := tx.ConsolePatterns(ctx)
		switch {
		case err != nil:
			return err
		case len(site) >= pattern.MaxPatterns:
			return fail(Conflict, "there are %d patterns already, and no more are possible: remove one", len(site))
		}
		err = tx.AddConsolePattern(ctx, store.ConsolePattern{Name: name, Expression: expression, CreatedAt: l.now()})
		if errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is a pattern of that name already: remove it first")
		}
		if err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventPatternAdded, Detail: name + ": " + expression})
	})
	return wrap(err, "add pattern %s", name)
}

// RemoveConsolePattern looks for a site's own pattern no more. Only an admin
// may. What it has found stays in the machines' histories.
func (l *Lab) RemoveConsolePattern(ctx context.Context, actor Actor, name string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "remove pattern %q: only an admin may", name)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveConsolePattern(ctx, name); err != nil {
			return notFound(err, "pattern of this site's own", name)
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventPatternRemoved, Detail: name})
	})
	return wrap(err, "remove pattern %q", name)
}

// TryPatterns calls found for each line of a console's output that matches a
// pattern, however often it does. It blocks until r ends. Only an admin may.
func (l *Lab) TryPatterns(ctx context.Context, actor Actor, r io.Reader, found func(pattern.Match) error) error {
	if !actor.IsAdmin() {
		return fail(Denied, "try patterns: only an admin may")
	}
	set, err := l.readPatterns(ctx)
	if err != nil {
		return wrap(err, "try patterns")
	}
	scanner := pattern.Scanner{EveryMatch: true}
	piece := make([]byte, 32<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(r, piece)
		for _, m := range scanner.Scan(set, piece[:n], at, time.Time{}) {
			if err := found(m); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fail(Unavailable, "try patterns: %w", err)
		case ctx.Err() != nil:
			return wrap(ctx.Err(), "try patterns")
		}
	}
}

// readPatterns compiles what the store has. A pattern that an earlier release
// has taken and this one does not is left out, and the log says so.
func (l *Lab) readPatterns(ctx context.Context) (*pattern.Set, error) {
	var site []pattern.Pattern
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.ConsolePatterns(ctx)
		for _, row := range rows {
			site = append(site, pattern.Pattern{Name: row.Name, Expression: row.Expression})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	site = slices.DeleteFunc(site, func(p pattern.Pattern) bool {
		err := p.Check()
		if err != nil {
			l.log.Error("pattern is not looked for; remove it and add another", "pattern", p.Name, "error", err)
		}
		return err != nil
	})
	return pattern.New(site)
}

// loadPatterns has all consoles look for what the store has.
func (l *Lab) loadPatterns(ctx context.Context) error {
	set, err := l.readPatterns(ctx)
	if err != nil {
		return err
	}
	l.patterns.set.Store(set)
	return nil
}

// newPatternScanner returns what is told the output of a machine's console, in
// its order and by one goroutine at a time. It never blocks.
func (l *Lab) newPatternScanner(machine string) func(p []byte, at transcript.Position) {
	var scanner pattern.Scanner
	return func(p []byte, at transcript.Position) {
		set := l.patterns.set.Load()
		if set == nil {
			return // Run has not begun
		}
		now, before := l.now(), scanner.Dropped()
		for _, m := range scanner.Scan(set, p, int64(at), now) {
			select {
			case l.patterns.found <- foundPattern{m, machine, now}:
			default:
				l.patterns.dropped.Add(1)
			}
		}
		l.patterns.dropped.Add(int64(scanner.Dropped() - before))
	}
}

// keepFound keeps what was found as events, until ctx ends.
func (l *Lab) keepFound(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFound)
			defer cancel()
			l.keepBatch(last, nil)
			for len(l.patterns.found) > 0 && last.Err() == nil {
				l.keepBatch(last, nil)
			}
			return
		case first := <-l.patterns.found:
			l.keepBatch(ctx, []foundPattern{first})
		}
	}
}

// keepBatch keeps what was found, and what else waits, in one transaction.
func (l *Lab) keepBatch(ctx context.Context, batch []foundPattern) {
	for more := true; more && len(batch) < foundBatch; {
		select {
		case next := <-l.patterns.found:
			batch = append(batch, next)
		default:
			more = false
		}
	}
	if len(batch) > 0 {
		err := l.write(ctx, func(tx *store.Tx) error {
			for _, f := range batch {
				err := tx.AddEvent(ctx, store.Event{
					At: f.at, Kind: EventConsolePattern, Machine: f.machine,
					Detail: f.Pattern + patternSeparator + f.Line, LogPosition: f.Position,
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			l.log.Error("patterns that were found are not kept", "patterns", len(batch), "error", err)
		}
	}
	if n := l.patterns.dropped.Swap(0); n > 0 {
		l.log.Warn("consoles printed more that matches a pattern than is kept", "dropped", n)
	}
}
