package transcript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x03\x20\x01\x05\x30\x00\x06\x60\x01\x07\x05\x00"), uint16(30), uint16(100), uint8(3), uint16(40))
	f.Add([]byte("\x0c\x00\x00\x0c\x01\x00\x0c\x02\x01\x05\x60\x00\x01\x01\x00\x0c\x40\x01\x0c\x00\x01\x0c\x00\x01\x05\x60\x00"), uint16(10), uint16(200), uint8(1), uint16(40000))
	f.Add([]byte("\x0d\x10\x00\x0f\x20\x01\x0e\x30\x00\x0f\x60\x01\x08\x05\x00\x09\x05\x00\x0a\xff\x00"), uint16(10), uint16(20), uint8(2), uint16(7))
	f.Fuzz(func(t *testing.T, program []byte, since, length uint16, lines uint8, at uint16) {
		if len(program) > 300 {
			return
		}
		r := newTape(t, Limits{Segment: 40 << 10})
		began := r.now()
		r.play(program)
		window := Window{Since: began.Add(time.Duration(since) * 10 * time.Millisecond)}
		window.Until = window.Since.Add(time.Duration(length) * 10 * time.Millisecond)
		later := Window{Since: window.Until.Add(time.Second)}
		panics, err := Expression("p[aeiou]nic|^Setup|longlong", false)
		if err != nil {
			t.Fatal(err)
		}
		for _, windows := range [][]Window{{{}}, {{Since: window.Since}}, {window}, {window, later}, {later, {Until: window.Since}}} {
			e := r.excerpt(windows...)
			r.checkWindows(e, windows...)
			r.checkPages(e, int(lines)+1)
			r.checkTimes(e)
			r.checkSearch(e, panics, Position(at))
		}
	})
}

func TestExcerptsOfRandomLogs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		program := make([]byte, 3*random.IntN(100))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		r := newTape(t, Limits{Segment: 20 << 10})
		began := r.now()
		r.play(program)
		whole := r.excerpt(Window{})
		if got := r.known(whole); !bytes.Equal(got, r.text) {
			t.Fatalf("%d bytes of %d", len(got), len(r.text))
		}
		letters, err := Text("PANIC", true)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			w := Window{Since: began.Add(rand.N(r.now().Sub(began) + time.Second))}
			w.Until = w.Since.Add(rand.N(r.now().Sub(began) + time.Second))
			for _, e := range []*Excerpt{whole, r.excerpt(w)} {
				r.checkPages(e, 1+random.IntN(30))
				r.checkTimes(e)
				r.checkSearch(e, letters, Position(random.IntN(len(r.text)+1)))
			}
			r.checkWindows(r.excerpt(w), w)
			if text, err := io.ReadAll(r.log().Read(From{Since: w.Since})); err != nil || !bytes.Equal(text, r.known(r.excerpt(Window{Since: w.Since}))) {
				t.Fatalf("a reader since %v has %d bytes, %v", w.Since, len(text), err)
			}
		}
	}
}

func TestPositionsAndTimes(t *testing.T) {
	r := newTape(t, Limits{Segment: 60})
	began := r.now()
	for i := range 20 {
		r.record(fmt.Sprintf("line %02d\n", i))
		r.log().Flush()
		r.advance(time.Minute)
	}
	r.record("not on disk")
	after := func(m int) time.Time { return began.Add(time.Duration(m) * time.Minute) }
	e := r.excerpt(Window{Since: after(5), Until: after(10)}, Window{Since: after(15)})
	if e.Start() != 5*8 || e.End() != Position(len(r.text)) {
		t.Errorf("from %d to %d", e.Start(), e.End())
	}
	for m, want := range map[int]Position{0: 40, 5: 40, 6: 48, 9: 72, 10: 120, 12: 120, 19: 152, 20: 160, 21: e.End()} {
		if p, err := e.PositionAt(after(m)); err != nil || p != want {
			t.Errorf("at minute %d: position %d, %v; want %d", m, p, err, want)
		}
	}
	for p, want := range map[Position]int{0: 5, 40: 5, 47: 5, 48: 6, 79: 9, 80: 15, 100: 15, 159: 19, 160: 20, e.End(): 20, 1000: 20} {
		if at, err := e.TimeAt(p); err != nil || !at.Equal(after(want)) {
			t.Errorf("at %d: %v, %v; want %v", p, at, err, after(want))
		}
	}
	none := r.excerpt()
	if at, err := none.TimeAt(0); err != nil || !at.IsZero() || none.Start() != none.End() {
		t.Errorf("of nothing: %v, %v", at, err)
	}
	if p, err := none.PositionAt(began); err != nil || p != none.End() {
		t.Errorf("in nothing: %d, %v", p, err)
	}
	if page, err := none.PageBefore(none.End(), 5); err != nil || len(page.Text) > 0 {
		t.Errorf("of nothing: %+v, %v", page, err)
	}
}

// When a machine changes hands, neither of the two loses half a second.
func TestWindowsAreExactWhereTheLogIsMarked(t *testing.T) {
	for _, flush := range []bool{false, true} {
		r := newTape(t, Limits{Segment: 20})
		var marked time.Time
		for i, text := range []string{"of ada", "of ada, too", "of grace", "of grace, too"} {
			if i == 2 {
				r.log().Mark()
				r.log().Mark() // by another one's reservation
				marked = r.now()
			}
			r.record(text)
			if flush {
				r.log().Flush()
			}
			r.advance(10 * time.Millisecond)
		}
		for _, q := range []*tape{r, r.restarted(Limits{Segment: 20})} {
			if q != r && !flush {
				continue // nothing was on disk
			}
			before, after := Window{Until: marked}, Window{Since: marked}
			if got := string(q.known(q.excerpt(before))); got != "of adaof ada, too" {
				t.Errorf("flush %t: before: %q", flush, got)
			}
			if got := string(q.known(q.excerpt(after))); got != "of graceof grace, too" {
				t.Errorf("flush %t: after: %q", flush, got)
			}
			q.checkTimes(q.excerpt(Window{}))
		}
	}
}

func TestPositionsStayAsTheyAre(t *testing.T) {
	limits := Limits{Segment: 60, Total: 300}
	r := newTape(t, limits)
	for i := range 50 {
		r.record(fmt.Sprintf("line %02d\n", i))
		r.log().Flush()
		r.advance(time.Minute)
	}
	r.known(r.excerpt(Window{}))
	second := r.restarted(limits)
	second.record("after a restart\n")
	second.known(second.excerpt(Window{}))

	second.log().Flush()
	second.advance(100 * 24 * time.Hour)
	if err := second.dropAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := second.excerpt(Window{}); e.Start() != e.End() || int(e.End()) != len(second.text) {
		t.Errorf("after all was dropped: %d to %d", e.Start(), e.End())
	}
	third := second.restarted(limits)
	third.record("after everything was dropped, and a restart\n")
	if text := third.known(third.excerpt(Window{})); !strings.HasPrefix(string(text), "after everything") {
		t.Errorf("%q", text)
	}
}

// Whatever is missing in the middle: the rest is read, and nothing fails.
func TestWhatIsDroppedMeanwhileIsPassedOver(t *testing.T) {
	r := newTape(t, Limits{Segment: 60})
	for i := range 40 {
		r.record(fmt.Sprintf("line %02d\n", i))
		r.log().Flush()
		r.advance(time.Minute)
	}
	e := r.excerpt(Window{Since: r.now().Add(-30 * time.Minute)})
	for i, s := range e.segments {
		if i%3 != 1 || i == len(e.segments)-1 {
			continue
		}
		for _, suffix := range []string{indexSuffix, bytesSuffix} {
			if err := r.root.Remove(r.log().file(s.start, suffix)); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := e.segments[len(e.segments)-1]
	if err := os.Truncate(r.dir+"/"+r.log().file(left.start, bytesSuffix), 3); err != nil {
		t.Fatal(err)
	}
	text := string(r.known(e))
	if n := strings.Count(text, "line"); n < 15 || n > 25 {
		t.Errorf("%d lines are left: %q", n, text)
	}
	r.checkPages(e, 2)
	r.checkTimes(e)
	all, err := Text("line", false)
	if err != nil {
		t.Fatal(err)
	}
	var forth, back []Position
	for m, err := range e.Search(t.Context(), all, 0) {
		forth = append(forth, m.Position)
		if err != nil {
			t.Fatal(err)
		}
	}
	for m, err := range e.SearchBefore(t.Context(), all, e.End()) {
		back = append(back, m.Position)
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(back)
	if len(forth) < 15 || !slices.Equal(forth, back) {
		t.Errorf("found forwards at %v, backwards at %v", forth, back)
	}
	for p := range e.End() {
		if _, err := e.LinesBefore(p, 3); err != nil {
			t.Fatal(err)
		}
		if _, err := e.TimeAt(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	r := newTape(t, Limits{})
	r.record("line\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := r.excerpt(Window{})
	everything, err := Text("", false)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"search": failure(e.Search(ctx, everything, 0)), "backwards": failure(e.SearchBefore(ctx, everything, e.End())),
		"lines": failure(e.Lines(ctx, 0)), "chunks": failure(e.Chunks(ctx, 0)),
	} {
		if !errors.Is(err, ctx.Err()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func failure[T any](all func(func(T, error) bool)) (failed error) {
	for _, err := range all {
		failed = err
	}
	return failed
}
