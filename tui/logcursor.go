package tui

import (
	"context"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

const (
	// linesAhead and bytesAhead bound what is read from the top of a view on:
	// more than any window shows, so that a larger one needs no reading.
	linesAhead = maxHeight
	bytesAhead = 256 << 10
)

// spot is the upper edge of a view of a log.
type spot struct {
	at   transcript.Position // of a line
	skip int                 // how many of its rows are above the edge
}

func (s spot) after(other spot) bool {
	return s.at > other.at || s.at == other.at && s.skip > other.skip
}

// logCursor moves a view through a log. It reads as much of the log as it needs
// for that, and is for one goroutine at a time.
type logCursor struct {
	log           *lab.ConsoleLog
	width, height int // of the view, in cells
	top           spot
	target        transcript.Position // of the line that was looked for; -1: none
	note          string              // what is to be said of where it went
	refusal       string              // why it did not go there
}

// lines returns the lines from the top of the view on.
func (c *logCursor) lines(ctx context.Context) (lines []transcript.Line, err error) {
	size := 0
	for line, err := range c.log.Lines(ctx, c.top.at) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
		if size += len(line.Text); len(lines) == linesAhead || size > bytesAhead {
			break
		}
	}
	return lines, nil
}

// down moves by rows, and ends where the last page is. From there it goes on
// with what was printed meanwhile.
func (c *logCursor) down(ctx context.Context, rows int) error {
	last, err := c.last(ctx)
	if err == nil && !last.after(c.top) {
		if err = c.refresh(ctx); err == nil {
			last, err = c.last(ctx)
		}
	}
	if err != nil {
		return err
	}
	to, left := last, c.top.skip+rows
	for line, err := range c.log.Lines(ctx, c.top.at) {
		if err != nil {
			return err
		}
		n := len(logRows(line.Text, c.width))
		if left < n {
			to = spot{line.Position, left}
			break
		}
		left -= n
	}
	if to.after(last) {
		to = last
	}
	c.top = to
	return nil
}

// up moves by rows, and ends at the first one.
func (c *logCursor) up(ctx context.Context, rows int) (err error) {
	c.top, err = c.above(ctx, c.top, rows)
	return err
}

// above is the spot that many rows above another one, or the first one.
func (c *logCursor) above(ctx context.Context, from spot, rows int) (spot, error) {
	if rows <= from.skip {
		return spot{from.at, from.skip - rows}, nil
	}
	rows -= from.skip
	to := spot{at: from.at}
	for line, err := range c.log.SearchBefore(ctx, transcript.Query{}, from.at) { // each line matches
		if err != nil {
			return from, err
		}
		n := len(logRows(line.Text, c.width))
		if n >= rows {
			return spot{line.Position, n - rows}, nil
		}
		rows -= n
		to = spot{at: line.Position}
	}
	return to, nil
}

// last is the view that ends with the log.
func (c *logCursor) last(ctx context.Context) (spot, error) {
	return c.above(ctx, spot{at: c.log.End()}, c.height)
}

func (c *logCursor) toFirst(context.Context) error {
	c.top = spot{at: c.log.Start()}
	return nil
}

// toLast goes to the end of the log as it is by now.
func (c *logCursor) toLast(ctx context.Context) error {
	if err := c.refresh(ctx); err != nil {
		return err
	}
	last, err := c.last(ctx)
	c.top = last
	return err
}

func (c *logCursor) refresh(ctx context.Context) error {
	fresh, err := c.log.Refresh(ctx)
	if err == nil {
		c.log = fresh
	}
	return err
}

// show goes to the line that has the byte at a position, and puts it below
// that many rows.
func (c *logCursor) show(ctx context.Context, p transcript.Position, rows int) error {
	for line, err := range c.log.Lines(ctx, p) {
		if err != nil {
			return err
		}
		p = line.Position
		break
	}
	to, err := c.above(ctx, spot{at: p}, rows)
	if err != nil {
		return err
	}
	last, err := c.last(ctx)
	if to.after(last) {
		to = last
	}
	c.top, c.target = to, p
	return err
}

// context is how many rows are shown above a line that was looked for.
func (c *logCursor) context() int { return c.height / 3 }

// search goes to the first match from the top of the view on; if there is none,
// to the last one before.
func (c *logCursor) search(ctx context.Context, q transcript.Query, what string) error {
	from := c.top.at
	for match, err := range c.log.Search(ctx, q, from) {
		if err != nil {
			return err
		}
		return c.show(ctx, match.Position, c.context())
	}
	for match, err := range c.log.SearchBefore(ctx, q, from) {
		if err != nil {
			return err
		}
		c.note = "below there is no " + what + "; this is the last one"
		return c.show(ctx, match.Position, c.context())
	}
	c.refusal = "there is no " + what + " in what you may read of the log"
	return nil
}

// searchOn goes to the next match, or with back to the one before: seen from
// the line that was looked for, or from the top of the view where that is
// elsewhere.
func (c *logCursor) searchOn(ctx context.Context, q transcript.Query, what string, back bool) error {
	from, err := c.eye(ctx)
	if err != nil {
		return err
	}
	matches, where := c.log.Search(ctx, q, from+1), "below; N looks above"
	if back {
		matches, where = c.log.SearchBefore(ctx, q, from), "above; n looks below"
	}
	for match, err := range matches {
		if err != nil {
			return err
		}
		return c.show(ctx, match.Position, c.context())
	}
	c.refusal = "there is no more " + what + " " + where
	return nil
}

// eye is the line that a person looks at.
func (c *logCursor) eye(ctx context.Context) (transcript.Position, error) {
	rows := -c.top.skip
	for line, err := range c.log.Lines(ctx, c.top.at) {
		switch {
		case err != nil:
			return 0, err
		case line.Position == c.target:
			return c.target, nil
		}
		if rows += len(logRows(line.Text, c.width)); rows >= c.height {
			break
		}
	}
	return c.top.at, nil
}

// toTime goes to the first line of a time, or of what came next.
func (c *logCursor) toTime(ctx context.Context, at time.Time) error {
	p, err := c.log.PositionAt(at)
	if err != nil {
		return err
	}
	if p == c.log.End() {
		c.note = "nothing was printed since then"
	}
	return c.show(ctx, p, 0)
}

func (c *logCursor) toEvent(ctx context.Context, e store.Event) error {
	p, err := c.log.PositionOf(e)
	if err != nil {
		return err
	}
	return c.show(ctx, p, c.context())
}

// logRows are the rows of a line in a view of that width, one at least. They
// make up the printable text of the line.
func logRows(text string, width int) []string {
	return strings.Split(widths.Hardwrap(printed(text), max(1, width), true), "\n")
}
