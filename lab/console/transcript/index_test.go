package transcript

import (
	"bytes"
	"testing"
	"time"
)

func TestIndexSaysWhereATimeBegins(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	index := func(records ...record) (b []byte) {
		for _, r := range records {
			b = appendRecord(b, at(r.at).UnixMilli(), r.offset)
		}
		return b
	}
	damaged := index(record{1, 0}, record{2, 10}, record{3, 20})
	damaged[recordSize+3] ^= 0x40
	for name, test := range map[string]struct {
		index  []byte
		since  int64
		offset int64
		whole  bool
	}{
		"all of it":                   {index(record{1, 0}, record{2, 10}), 1, 0, true},
		"a part":                      {index(record{1, 0}, record{2, 10}), 2, 10, false},
		"nothing":                     {index(record{1, 0}, record{2, 10}), 3, 100, false},
		"no record at all":            {nil, 1, 100, false},
		"a record that never had any": {index(record{1, 0}, record{2, 10}, record{3, 10}), 3, 10, false},
		"a torn record":               {index(record{1, 0}, record{2, 10})[:20], 2, 100, false},
		"a damaged record":            {damaged, 2, 20, false},
		"a clock that was set back":   {index(record{1, 0}, record{9, 10}, record{2, 20}, record{3, 30}), 3, 30, false},
		"an offset beyond the bytes":  {index(record{1, 0}, record{2, 1000}), 2, 100, false},
		"offsets that fall":           {index(record{1, 0}, record{2, 50}, record{3, 10}), 2, 50, false},
		"a first record in the midst": {index(record{2, 10}), 1, 10, false},
	} {
		offset, whole, err := offsetSince(bytes.NewReader(test.index), 100, at(test.since))
		if err != nil || offset != test.offset || whole != test.whole {
			t.Errorf("%s: offset %d, whole %t, %v", name, offset, whole, err)
		}
	}
}

func FuzzIndex(f *testing.F) {
	good := appendRecord(appendRecord(nil, 1000, 0), 2000, 10)
	f.Add(good, int64(100), int64(1500))
	f.Add(good[:20], int64(5), int64(2000))
	f.Add(append([]byte("garbage, not a record"), good...), int64(100), int64(0))
	f.Fuzz(func(t *testing.T, index []byte, size, since int64) {
		size &= 1<<40 - 1
		bound := time.UnixMilli(since)
		offset, whole, err := offsetSince(bytes.NewReader(index), size, bound)
		if err != nil || offset < 0 || offset > size || whole && offset != 0 {
			t.Fatalf("offset %d, whole %t, %v", offset, whole, err)
		}
		// Whatever the rest of the index is: what a later record says is from before is never shown.
		before := appendRecord(index[:len(index)/recordSize*recordSize:len(index)/recordSize*recordSize], bound.UnixMilli()-1, min(size, 1<<32-1))
		if offset, whole, err = offsetSince(bytes.NewReader(before), size, bound); size < 1<<32 && bound.UnixMilli() > -1<<62 && (err != nil || whole || offset != size) {
			t.Fatalf("with a record from before: offset %d of %d, whole %t, %v", offset, size, whole, err)
		}
		if r, end, ok, err := lastRecord(bytes.NewReader(index), int64(len(index)), size); err != nil || end%recordSize != 0 || ok && (r.offset >= size || end > int64(len(index))) {
			t.Fatalf("last record %+v ends at %d: %t, %v", r, end, ok, err)
		}
	})
}
