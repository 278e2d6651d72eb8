package server

import (
	"bytes"
	"slices"
	"testing"
)

func TestEscapesAreFoundAtTheStartOfALineOnly(t *testing.T) {
	for _, test := range []struct {
		typed string
		keys  string
		order order
	}{
		{"ls\r", "ls\r", noOrder},
		{"~.", "", leaveConsole},
		{"ls\r~.rest", "ls\r", leaveConsole},
		{"ls ~.", "ls ~.", noOrder},
		{"~~.", "~.", noOrder},
		{"~x", "~x", noOrder},
		{"~\r~.", "~\r", leaveConsole},
		{"~?~.", "", leaveConsole},
		{"~?", "", helpConsole},
		{"\n~.", "\n", leaveConsole},
	} {
		for _, size := range []int{len(test.typed), 1} { // pasted, and typed slowly
			e := escapes{lineStart: true}
			var keys []byte
			last := noOrder
			for chunk := range slices.Chunk([]byte(test.typed), size) {
				for len(chunk) > 0 && last != leaveConsole {
					var some []byte
					some, last, chunk = e.next(chunk)
					keys = append(keys, some...)
				}
			}
			if string(keys) != test.keys || last != test.order {
				t.Errorf("%q, %d at a time: %q, order %d", test.typed, size, keys, last)
			}
		}
	}
}

func FuzzEscapes(f *testing.F) {
	for _, seed := range []string{"ls\r~.", "~~~~", "~\r\n~?", "\x00\xff~."} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, typed []byte) {
		e := escapes{lineStart: true}
		keys, found, rest := e.next(typed)
		if !bytes.Contains(typed, []byte("~")) && (found != noOrder || !bytes.Equal(keys, typed)) {
			t.Errorf("%q became %q, order %d", typed, keys, found)
		}
		if len(keys)+len(rest) > len(typed) || !bytes.HasSuffix(typed, rest) {
			t.Errorf("%q became %q and %q", typed, keys, rest)
		}
	})
}
