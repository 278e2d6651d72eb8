package transcript

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Window is a span of time: since one moment, and before another. A field that
// is zero is no bound; the zero Window is everything.
type Window struct{ Since, Until time.Time }

// Contains reports whether a moment is within the window.
func (w Window) Contains(at time.Time) bool {
	return (w.Since.IsZero() || !at.Before(w.Since)) && (w.Until.IsZero() || at.Before(w.Until))
}

// Both returns the time that is within both windows.
func (w Window) Both(other Window) Window {
	if other.Since.After(w.Since) {
		w.Since = other.Since
	}
	if w.Until.IsZero() || !other.Until.IsZero() && other.Until.Before(w.Until) {
		w.Until = other.Until
	}
	return w
}

// Excerpt is what a log had when the excerpt was taken, as far as it was
// printed within some windows of time. What is outside of them cannot be
// reached by any of its methods. Positions are those of the whole log.
//
// Times are known for pieces of up to [Granularity]. A piece is within a window
// where all of it certainly is: unless the log was marked there ([Log.Mark]), the
// first or last half second of a window may be missing, and nothing of its
// neighbours is there.
//
// An Excerpt never changes, keeps no file open, and is safe for concurrent use.
// It has in memory a few words for each segment, and what was not on disk yet.
// Segments that are dropped while it is read are passed over.
type Excerpt struct {
	snapshot
	segments []segment // what is on disk, the oldest first
	spans    []span    // what may be read, in its order
}

// snapshot is where a log has come to.
type snapshot struct {
	log    *Log
	onDisk place // where the files end
	rest   batch // what comes behind them
}

// span is a part of a log.
type span struct{ from, to Position }

// Snapshot is what a log has at one moment. Who is to find out what somebody
// may read takes it before: what is printed meanwhile is not in it.
type Snapshot struct{ snapshot }

// Snapshot returns what the log has now. It does not wait for the disk.
func (l *Log) Snapshot() Snapshot { return Snapshot{l.snapshot()} }

// Excerpt returns what of it was printed in any of these windows; nothing where
// there are none. It reads the index of as much of the log as the windows reach
// back, but none of the log itself.
func (s Snapshot) Excerpt(windows ...Window) (*Excerpt, error) {
	e := &Excerpt{snapshot: s.snapshot}
	if err := e.locate(windows); err != nil {
		return nil, fmt.Errorf("read console log: %w", err)
	}
	return e, nil
}

func (l *Log) snapshot() snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := snapshot{log: l, onDisk: l.end}
	for _, b := range []batch{l.writing, l.pending} {
		for _, c := range b.came {
			s.rest.came = append(s.rest.came, record{c.at, c.offset + int64(len(s.rest.bytes))})
		}
		s.rest.bytes = append(s.rest.bytes, b.bytes...)
	}
	return s
}

func (s snapshot) end() Position { return s.onDisk.position() + Position(len(s.rest.bytes)) }

// locate finds the files, and what in them is within the windows.
func (e *Excerpt) locate(windows []Window) (err error) {
	all, err := e.log.segments()
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.start > e.onDisk.start {
			break // began after the snapshot
		}
		s.size = max(0, min(s.size, int64(e.onDisk.position())-s.start))
		if n := len(e.segments); n > 0 { // somebody may have written to it
			before := &e.segments[n-1]
			before.size = min(before.size, s.start-before.start)
		}
		e.segments = append(e.segments, s)
	}
	e.spans, err = e.within(windows)
	return err
}

// Start returns where the first byte is that may be read; End where there is none.
func (e *Excerpt) Start() Position {
	if len(e.spans) == 0 {
		return e.End()
	}
	return e.spans[0].from
}

// End returns where the last byte is that may be read, and one more; of an
// Excerpt without any, where the log ended.
func (e *Excerpt) End() Position {
	if n := len(e.spans); n > 0 {
		return e.spans[n-1].to
	}
	return e.end()
}

// PositionAt returns the position of the first byte that was certainly printed
// at that time or later; End where there is none. It reads the index only.
func (e *Excerpt) PositionAt(at time.Time) (Position, error) {
	spans, err := e.within([]Window{{Since: at}})
	if err != nil {
		return 0, fmt.Errorf("read console log: %w", err)
	}
	if len(spans) == 0 {
		return e.End(), nil
	}
	return e.Next(spans[0].from), nil
}

// Next returns the position of the first byte at p or behind it that may be
// read; End where there is none.
func (e *Excerpt) Next(p Position) Position {
	if i := e.spanAfter(p); i < len(e.spans) {
		return max(p, e.spans[i].from)
	}
	return e.End()
}

// spanAfter returns the index of the first span that has something at p or
// behind it.
func (e *Excerpt) spanAfter(p Position) int {
	i, _ := slices.BinarySearchFunc(e.spans, p, func(s span, p Position) int {
		if s.to <= p {
			return -1
		}
		return 1
	})
	return i
}

// segmentOf returns the index of the last segment that begins at p or before
// it; -1 where there is none.
func (e *Excerpt) segmentOf(p Position) int {
	i, found := slices.BinarySearchFunc(e.segments, int64(p), func(s segment, p int64) int { return cmp.Compare(s.start, p) })
	if found {
		return i
	}
	return i - 1
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
