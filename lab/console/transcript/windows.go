package transcript

import (
	"errors"
	"math"
	"slices"
	"time"
)

// within returns what was printed in any of these windows, in its order.
func (e *Excerpt) within(windows []Window) ([]span, error) {
	if slices.Contains(windows, Window{}) {
		if begin := e.begin(); begin < e.end() {
			return []span{{begin, e.end()}}, nil
		}
		return nil, nil
	}
	s := newSifter(windows)
	s.enter(e.end())
	disk := e.onDisk.position()
	for _, c := range slices.Backward(e.rest.came) {
		s.add(c.at, disk+Position(c.offset))
	}
	for _, seg := range slices.Backward(e.segments) {
		if !s.reachesBack() {
			break
		}
		if err := e.sift(s, seg); err != nil {
			return nil, err
		}
	}
	slices.Reverse(s.spans)
	return s.spans, nil
}

// begin returns where the oldest byte is that the log still has.
func (e *Excerpt) begin() Position {
	if len(e.segments) > 0 {
		return Position(e.segments[0].start)
	}
	return e.onDisk.position()
}

// sift gives the records of a segment to s, the newest first.
func (e *Excerpt) sift(s *sifter, seg segment) (err error) {
	s.enter(Position(seg.start + seg.size))
	index, err := e.log.folder.root.Open(e.log.file(seg.start, indexSuffix))
	switch {
	case gone(err): // bytes without times
		s.addUnknown(Position(seg.start))
		return nil
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	limit := seg.size
	buffer := make([]byte, 256*recordSize)
	for end := seg.index - seg.index%recordSize; end > 0 && s.reachesBack(); {
		begin := max(0, end-int64(len(buffer)))
		b := buffer[:end-begin]
		if _, err := index.ReadAt(b, begin); err != nil {
			if cut(err) { // shorter than it was
				s.unclear = true
				end = begin
				continue
			}
			return err
		}
		for i := len(b) - recordSize; i >= 0; i -= recordSize {
			r, ok := parseRecord(b[i:])
			switch {
			case !ok:
				s.unclear = true
			case r.offset <= limit: // else of bytes that are not there, or that others took the place of
				s.add(r.at, Position(seg.start+r.offset))
				limit = r.offset
			}
		}
		end = begin
	}
	s.addUnknown(Position(seg.start))
	return nil
}

// sifter finds out which pieces of a log are within windows of time. It is
// given them the newest first, so that it knows of each what came after it: a
// clock that was set back must not make a piece newer than those behind it.
type sifter struct {
	windows []bounds
	least   int64    // the oldest time seen
	over    int64    // when the next piece was over, as what is behind it says, in milliseconds
	end     Position // of the next piece
	unclear bool     // records that were of a part of the next piece are damaged
	spans   []span   // found, the newest first
}

// bounds is a Window in milliseconds since 1970-01-01 UTC.
type bounds struct{ since, until int64 }

func newSifter(windows []Window) *sifter {
	s := &sifter{least: math.MaxInt64, over: math.MaxInt64}
	for _, w := range windows {
		b := bounds{math.MinInt64, math.MaxInt64}
		if !w.Since.IsZero() {
			b.since = ceilMillis(w.Since)
		}
		if !w.Until.IsZero() {
			b.until = w.Until.UnixMilli()
		}
		s.windows = append(s.windows, b)
	}
	return s
}

// ceilMillis is for a bound from below: records are rounded down.
func ceilMillis(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// farAway is a time that is as good as any behind it, in milliseconds: a sum
// with it does not overflow.
const farAway = 1 << 60

// enter says where the next piece ends: at the end of a file.
func (s *sifter) enter(end Position) { s.end, s.unclear = end, false }

// reachesBack reports whether anything older may be within a window.
func (s *sifter) reachesBack() bool {
	return slices.ContainsFunc(s.windows, func(b bounds) bool { return b.since <= s.least })
}

// add sifts the piece that begins there and came at that time.
func (s *sifter) add(at int64, from Position) {
	at = min(max(at, -farAway), farAway)
	s.least = min(s.least, at)
	over := int64(math.MaxInt64)
	if !s.unclear {
		over = at + Granularity.Milliseconds()
	}
	if s.over >= at { // else the clock was set back
		over = min(over, s.over)
	}
	s.over = at
	if from < s.end { // else it is a mark, and certainly came behind the next
		s.over++
		s.keep(from, s.least, max(over, at+1))
	}
	s.unclear = false
}

// addUnknown sifts a piece of which only is known that it came before what is
// behind it.
func (s *sifter) addUnknown(from Position) {
	s.keep(from, math.MinInt64, s.over)
}

func (s *sifter) keep(from Position, since, over int64) {
	to := s.end
	if from >= to {
		return
	}
	s.end = from
	if !slices.ContainsFunc(s.windows, func(b bounds) bool { return b.since <= since && over <= b.until }) {
		return
	}
	if n := len(s.spans); n > 0 && s.spans[n-1].from == to {
		s.spans[n-1].from = from
		return
	}
	s.spans = append(s.spans, span{from, to})
}
