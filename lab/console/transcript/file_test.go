package transcript

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

func TestFileHasWhatTheExcerptHas(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 6 {
		program := make([]byte, 3*random.IntN(100))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		r := newTape(t, Limits{Segment: 20 << 10})
		began := r.now()
		r.play(program)
		w := Window{Since: began.Add(rand.N(r.now().Sub(began) + time.Second))}
		w.Until = w.Since.Add(rand.N(r.now().Sub(began) + time.Second))
		later := Window{Since: w.Until.Add(3 * time.Second)}
		for _, e := range []*Excerpt{r.excerpt(Window{}), r.excerpt(w), r.excerpt(w, later), r.excerpt()} {
			want, err := io.ReadAll(e.Reader(e.Start()))
			if err != nil {
				t.Fatal(err)
			}
			f := e.File()
			if f.Size() != int64(len(want)) {
				t.Errorf("%d bytes, and not %d", f.Size(), len(want))
			}
			for range 20 {
				from := rand.Int64N(f.Size() + 1)
				b := make([]byte, rand.Int64N(f.Size()-from+1))
				if n, err := f.ReadAt(b, from); n != len(b) || err != nil || !bytes.Equal(b, want[from:][:n]) {
					t.Fatalf("%d bytes of %d from %d: %v", n, len(b), from, err)
				}
			}
			if got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d: %v", len(got), len(want), err)
			}
		}
	}
}

func TestFileEndsWhereItsLogIsDropped(t *testing.T) {
	r := newTape(t, Limits{Segment: 10, Total: 1 << 20})
	for range 5 {
		r.record("0123456789")
		r.log().Flush()
	}
	f := r.excerpt(Window{}).File()
	b := make([]byte, 50)
	if n, err := f.ReadAt(b, 0); n != 50 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if n, err := f.ReadAt(b, 20); n != 30 || !errors.Is(err, io.EOF) || !bytes.Equal(b[:3], []byte("012")) {
		t.Errorf("from the middle: %d bytes, %v", n, err)
	}
	if _, err := f.ReadAt(b, -1); err == nil {
		t.Error("an offset below 0 is read")
	}
	if err := r.root.Remove(r.log().file(0, bytesSuffix)); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(b, 0); n != 0 || !errors.Is(err, errDropped) {
		t.Errorf("what was dropped: %d bytes, %v", n, err)
	}
}
