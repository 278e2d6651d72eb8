package transcript

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"
)

// segmentOf100 makes the log of a machine that has printed 100 bytes, and whose
// index is this.
func segmentOf100(t testing.TB, index []byte) *Log {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	l := &Log{folder: New(root, Limits{}, time.Now), name: "7", end: place{0, 100}}
	if err := root.Mkdir("7", 0o700); err != nil {
		t.Fatal(err)
	}
	for suffix, content := range map[string][]byte{bytesSuffix: make([]byte, 100), indexSuffix: index} {
		if err := root.WriteFile(l.file(0, suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func indexOf(records ...record) (b []byte) {
	for _, r := range records {
		b = appendRecord(b, r.at*1000, r.offset)
	}
	return b
}

func damagedIn(index []byte, n int) []byte {
	index[n*recordSize+3] ^= 0x40
	return index
}

func TestIndexSaysWhatIsWithinAWindow(t *testing.T) {
	const none = 0
	for name, test := range map[string]struct {
		index        []byte
		since, until int64 // seconds
		want         []span
	}{
		"all of it":                    {indexOf(record{1, 0}, record{2, 10}), 1, none, []span{{0, 100}}},
		"a part":                       {indexOf(record{1, 0}, record{2, 10}), 2, none, []span{{10, 100}}},
		"nothing":                      {indexOf(record{1, 0}, record{2, 10}), 3, none, nil},
		"no record at all":             {nil, 1, none, nil},
		"no record, and until":         {nil, none, 9, nil},
		"a record that never had any":  {indexOf(record{1, 0}, record{2, 10}, record{3, 10}), 3, none, []span{{10, 100}}},
		"a torn record":                {indexOf(record{1, 0}, record{2, 10})[:20], 2, none, nil},
		"a damaged record":             {damagedIn(indexOf(record{1, 0}, record{2, 10}, record{3, 20}), 1), 2, none, []span{{20, 100}}},
		"a clock that was set back":    {indexOf(record{1, 0}, record{9, 10}, record{2, 20}, record{3, 30}), 3, none, []span{{30, 100}}},
		"an offset beyond the bytes":   {indexOf(record{1, 0}, record{2, 1000}), 2, none, nil},
		"bytes that were made again":   {indexOf(record{1, 0}, record{2, 50}, record{3, 10}), 3, none, []span{{10, 100}}},
		"a first record in the midst":  {indexOf(record{2, 10}), 1, none, []span{{10, 100}}},
		"the beginning":                {indexOf(record{1, 0}, record{2, 10}), none, 2, []span{{0, 10}}},
		"a middle":                     {indexOf(record{1, 0}, record{2, 10}, record{3, 20}), 2, 3, []span{{10, 20}}},
		"the last piece, too":          {indexOf(record{1, 0}, record{2, 10}), none, 3, []span{{0, 100}}},
		"bytes before any record":      {indexOf(record{2, 10}), none, 3, []span{{0, 100}}},
		"a damaged record before till": {damagedIn(indexOf(record{1, 0}, record{2, 10}, record{3, 20}), 1), 1, 2, nil},
		"the same, where it may hide":  {damagedIn(indexOf(record{1, 0}, record{2, 10}, record{3, 20}), 1), 1, 3, nil},
		"a damaged record, and after":  {damagedIn(indexOf(record{1, 0}, record{2, 10}, record{3, 20}), 1), 1, 4, []span{{0, 100}}},
	} {
		var w Window
		if test.since != none {
			w.Since = time.Unix(test.since, 0)
		}
		if test.until != none {
			w.Until = time.Unix(test.until, 0)
		}
		e, err := segmentOf100(t, test.index).Snapshot().Excerpt(w)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.spans, test.want) {
			t.Errorf("%s: %v, want %v", name, e.spans, test.want)
		}
	}
}

func TestHalfASecondAcrossABoundIsLeftOut(t *testing.T) {
	index := appendRecord(appendRecord(appendRecord(nil, 1000, 0), 1400, 10), 3000, 20)
	for _, test := range []struct {
		since, until int64 // milliseconds
		want         []span
	}{
		{1000, 1400, nil},
		{1000, 1401, []span{{0, 10}}}, // the next piece began before
		{1001, 1899, nil},
		{1001, 1900, []span{{10, 20}}},
		{2000, 3499, nil},
		{2000, 3500, []span{{20, 100}}},
	} {
		e, err := segmentOf100(t, index).Snapshot().Excerpt(Window{time.UnixMilli(test.since), time.UnixMilli(test.until)})
		if err != nil || !slices.Equal(e.spans, test.want) {
			t.Errorf("from %d to %d: %v, %v", test.since, test.until, e.spans, err)
		}
	}
	// Half a millisecond counts as well.
	e, err := segmentOf100(t, index).Snapshot().Excerpt(Window{Since: time.UnixMilli(1000).Add(time.Nanosecond)})
	if err != nil || !slices.Equal(e.spans, []span{{10, 100}}) {
		t.Errorf("a nanosecond later: %v, %v", e.spans, err)
	}
}

func FuzzIndex(f *testing.F) {
	good := indexOf(record{1, 0}, record{2, 10}, record{4, 60})
	f.Add(good, int64(1500), int64(2500), int64(30))
	f.Add(good[:20], int64(2000), int64(9000), int64(0))
	f.Add(append([]byte("garbage, not a record"), good...), int64(0), int64(0), int64(99))
	f.Add(damagedIn(good, 1), int64(1000), int64(1700), int64(10))
	f.Fuzz(func(t *testing.T, index []byte, since, until, offset int64) {
		const size = 100
		window := Window{time.UnixMilli(since), time.UnixMilli(until)}
		e, err := segmentOf100(t, index).Snapshot().Excerpt(window)
		if err != nil {
			t.Fatal(err)
		}
		end := Position(0)
		for _, s := range e.spans {
			if s.from < end || s.to <= s.from || s.to > size {
				t.Fatalf("spans %v", e.spans)
			}
			end = s.to
		}
		// Whatever the rest of the index is: what a later record says is from before is never shown.
		if older := window.Since.UnixMilli() - 1; older < since {
			before := appendRecord(slices.Clone(index[:len(index)/recordSize*recordSize]), older, size)
			if e, err := segmentOf100(t, before).Snapshot().Excerpt(Window{Since: window.Since}); err != nil || len(e.spans) > 0 {
				t.Fatalf("with a record from before: %v, %v", e.spans, err)
			}
		}
		offset &= size - 1
		records, err := recordsOf(bytes.NewReader(index), int64(len(index)), offset, offset+20)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range records {
			if r.offset >= offset+20 || i > 0 && (r.offset <= offset || r.offset < records[i-1].offset) {
				t.Fatalf("records of %d to %d: %v", offset, offset+20, records)
			}
		}
		if r, end, ok, err := lastRecord(bytes.NewReader(index), int64(len(index)), size); err != nil || end%recordSize != 0 || ok && (r.offset >= size || end > int64(len(index))) {
			t.Fatalf("last record %+v ends at %d: %t, %v", r, end, ok, err)
		}
	})
}
