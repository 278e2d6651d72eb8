package transcript

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tape is a log, and what the test knows of it: when each byte was printed.
type tape struct {
	*Folder
	t     *testing.T
	dir   string
	clock atomic.Int64 // milliseconds since 1970-01-01 UTC; the log may be written at any time
	text  []byte
	came  []came
}

// came is something that was printed at once.
type came struct {
	from, to Position
	at       time.Time
}

func newTape(t *testing.T, limits Limits) *tape {
	return (&tape{t: t, dir: t.TempDir()}).at(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), limits)
}

// at opens the folder of the log.
func (r *tape) at(now time.Time, limits Limits) *tape {
	r.t.Helper()
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { root.Close() })
	r.clock.Store(now.UnixMilli())
	r.Folder = New(root, limits, r.now)
	return r
}

// restarted is the log in a new process.
func (r *tape) restarted(limits Limits) *tape {
	return (&tape{t: r.t, dir: r.dir, text: r.text, came: r.came}).at(r.now(), limits)
}

func (r *tape) log() *Log { return r.Log("7", slog.New(slog.DiscardHandler)) }

func (r *tape) now() time.Time { return time.UnixMilli(r.clock.Load()) }

func (r *tape) advance(d time.Duration) { r.clock.Add(d.Milliseconds()) }

func (r *tape) record(text string) {
	r.t.Helper()
	if at := r.log().Append([]byte(text)); int(at) != len(r.text) {
		r.t.Fatalf("byte %d was appended at %d", len(r.text), at)
	}
	if len(text) > 0 {
		r.came = append(r.came, came{Position(len(r.text)), Position(len(r.text) + len(text)), r.now()})
	}
	r.text = append(r.text, text...)
}

// timeOf returns when a byte was printed.
func (r *tape) timeOf(p Position) time.Time {
	i, _ := slices.BinarySearchFunc(r.came, p, func(c came, p Position) int { return cmp.Compare(c.to, p+1) })
	return r.came[i].at
}

// play records a program: of every three bytes, the first says what is
// printed, the second what passes before, in 10 ms, and the third whether the
// disk is reached meanwhile.
func (r *tape) play(program []byte) {
	texts := []string{
		"", "\n", "a", "login: ", "\r\n", "Kernel panic - not syncing: \x1b[31mVFS\x1b[0m\r\n", "10 %\r20 %\r\n", "\x1b[2J\x1b[5;3HBoot\x1b[6;3HSetup\x1b[7;3H",
		"\xff\xfe\n", "übung\n", "\x1b]0;title\x07$ ls\b\b  \n", strings.Repeat("long", 100), strings.Repeat("x", 30<<10), "\x1b[", "\x1b", "12;1Hpanic",
	}
	for p := range slices.Chunk(program, 3) {
		if len(p) < 3 {
			return
		}
		r.advance(time.Duration(p[1]) * 10 * time.Millisecond)
		r.record(texts[int(p[0])%len(texts)])
		if p[2]%7 == 0 {
			r.advance(time.Millisecond) // what comes within one has no order
			r.log().Mark()
		}
		if p[2]%2 == 0 {
			r.log().Flush()
		}
	}
}

func (r *tape) excerpt(windows ...Window) *Excerpt {
	r.t.Helper()
	e, err := r.log().Snapshot().Excerpt(windows...)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// known returns the bytes of e, by the positions that e gives them.
func (r *tape) known(e *Excerpt) (text []byte) {
	r.t.Helper()
	block := make([]byte, 1000)
	for p := Position(0); ; {
		n, at, err := e.readAt(block, p)
		if errors.Is(err, io.EOF) {
			return text
		}
		if err != nil || at < p || n == 0 {
			r.t.Fatalf("at %d: %d bytes at %d, %v", p, n, at, err)
		}
		if want := r.text[at : int(at)+n]; !bytes.Equal(block[:n], want) {
			r.t.Fatalf("at %d: %q, want %q", at, block[:n], want)
		}
		text = append(text, block[:n]...)
		p = at + Position(n)
	}
}

// checkWindows checks that e has nothing from outside of the windows, and all
// that is half a second within them.
func (r *tape) checkWindows(e *Excerpt, windows ...Window) {
	r.t.Helper()
	r.known(e)
	for _, c := range r.came {
		within := slices.ContainsFunc(windows, func(w Window) bool { return w.Contains(c.at) })
		well := slices.ContainsFunc(windows, func(w Window) bool {
			return (w.Since.IsZero() || !c.at.Before(w.Since.Add(Granularity))) && (w.Until.IsZero() || !c.at.After(w.Until.Add(-Granularity)))
		})
		for _, p := range []Position{c.from, (c.from + c.to) / 2, c.to - 1} {
			if has := e.Next(p) == p && p < e.End(); has && !within || well && !has {
				r.t.Fatalf("windows %v: byte %d of %v: has it %t", windows, p, c.at, has)
			}
		}
	}
}

// checkPages checks that pages laid together are all of e, both ways.
func (r *tape) checkPages(e *Excerpt, lines int) {
	r.t.Helper()
	want := r.known(e)
	var back [][]byte
	for p := e.End(); ; {
		page, err := e.PageBefore(p, lines)
		if err != nil || page.To > p || int(page.To-page.From) != len(page.Text) || bytes.Count(page.Text, []byte("\n")) > lines {
			r.t.Fatalf("page of %d lines before %d: %d to %d, %d bytes, %v", lines, p, page.From, page.To, len(page.Text), err)
		}
		if len(page.Text) == 0 {
			break
		}
		back = append(back, page.Text)
		p = page.From
	}
	slices.Reverse(back)
	if got := bytes.Join(back, nil); !bytes.Equal(got, want) {
		r.t.Fatalf("pages of %d lines backwards:\n%q, want\n%q", lines, got, want)
	}
	var forth []byte
	for p := e.Start(); ; {
		page, err := e.PageAfter(p, lines)
		if err != nil || page.From < p || int(page.To-page.From) != len(page.Text) || bytes.Count(page.Text, []byte("\n")) > lines {
			r.t.Fatalf("page of %d lines at %d: %+v, %v", lines, p, page, err)
		}
		if len(page.Text) == 0 {
			break
		}
		forth = append(forth, page.Text...)
		p = page.To
	}
	if !bytes.Equal(forth, want) {
		r.t.Fatalf("pages of %d lines forwards:\n%q, want\n%q", lines, forth, want)
	}
}

// naive cuts what e has into lines, all of it at once.
func (r *tape) naive(e *Excerpt) (lines []Line) {
	var plain plainer
	for _, s := range e.spans {
		at := s.from
		for line := range bytes.Lines(r.text[s.from:s.to]) {
			for part := range slices.Chunk(line, blockSize) {
				for _, row := range plain.rows(part) {
					lines = append(lines, Line{Position: at + Position(row.offset), Text: string(bytes.ToValidUTF8(row.text, replacement))})
				}
				at += Position(len(part))
			}
		}
	}
	return lines
}

// checkSearch checks what is found from a position on and before it.
func (r *tape) checkSearch(e *Excerpt, query Query, from Position) {
	r.t.Helper()
	var want, got []string
	describe := func(l Line) string { return fmt.Sprintf("%d %q", l.Position, l.Text) }
	for _, l := range r.naive(e) {
		if _, _, found := query.Find(l); found && l.Position < from {
			want = append(want, describe(l))
		}
	}
	slices.Reverse(want)
	for _, l := range r.naive(e) {
		if _, _, found := query.Find(l); found && l.Position >= from {
			want = append(want, describe(l))
		}
	}
	for _, found := range []func(func(Match, error) bool){e.SearchBefore(r.t.Context(), query, from), e.Search(r.t.Context(), query, from)} {
		for m, err := range found {
			if err != nil {
				r.t.Fatal(err)
			}
			got = append(got, describe(m.Line))
			if off := r.timeOf(m.Position).Sub(m.At); off < 0 || off >= Granularity {
				r.t.Errorf("the line at %d is of %v; found as of %v", m.Position, r.timeOf(m.Position), m.At)
			}
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("around %d: found\n%s\nwant\n%s", from, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkTimes checks the chunks of e.
func (r *tape) checkTimes(e *Excerpt) {
	r.t.Helper()
	var all []byte
	for c, err := range e.Chunks(r.t.Context(), 0) {
		if err != nil {
			r.t.Fatal(err)
		}
		for _, p := range []Position{c.Position, c.Position + Position(len(c.Bytes)-1)} {
			if off := r.timeOf(p).Sub(c.At); off < 0 || off >= Granularity {
				r.t.Fatalf("byte %d is of %v, in a chunk of %v", p, r.timeOf(p), c.At)
			}
		}
		all = append(all, c.Bytes...)
	}
	if want := r.known(e); !bytes.Equal(all, want) {
		r.t.Fatalf("chunks: %q, want %q", all, want)
	}
}

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
	for range 10 {
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

// bigLog is 64 MiB of what a machine prints while it boots.
func bigLog(b *testing.B) *Excerpt {
	b.Helper()
	root, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	l := New(root, Limits{Total: 128 << 20}, func() time.Time { return now }).Log("1", slog.New(slog.DiscardHandler))
	for n, lines := 0, 0; n < 64<<20; now = now.Add(600 * time.Millisecond) {
		for range 60 {
			line := fmt.Appendf(nil, "[%12.6f] \x1b[32mOK\x1b[0m usb 1-%d: new high-speed device number %d\r\n", float64(lines)/100, lines%8, lines)
			if lines%2 == 0 {
				line = fmt.Appendf(nil, "[%12.6f] pci 0000:00:%02x.0: reg 0x10: [mem 0xfebf0000-0xfebf0fff]\r\n", float64(lines)/100, lines%256)
			}
			l.Append(line)
			n, lines = n+len(line), lines+1
		}
		l.Flush()
	}
	e, err := l.Snapshot().Excerpt(Window{})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func BenchmarkSearch64MiB(b *testing.B) {
	e := bigLog(b)
	for name, expression := range map[string]string{"text": "no such device", "text-in-any-case": "(?i)no such device", "expression": `number \d+ .*gone$`} {
		query, err := Expression(expression, false)
		if err != nil {
			b.Fatal(err)
		}
		for direction, search := range map[string]func() error{
			"forwards":  func() error { return failure(e.Search(b.Context(), query, 0)) },
			"backwards": func() error { return failure(e.SearchBefore(b.Context(), query, e.End())) },
		} {
			b.Run(name+"/"+direction, func(b *testing.B) {
				b.SetBytes(int64(e.End() - e.Start()))
				b.ReportAllocs()
				for b.Loop() {
					if err := search(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPageAtTheEndOf64MiB is a person who begins to scroll back: the
// excerpt since the machine is theirs, and its last page.
func BenchmarkPageAtTheEndOf64MiB(b *testing.B) {
	whole := bigLog(b)
	for name, window := range map[string]Window{"admin": {}, "holder": {Since: time.Unix(1, 0)}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := whole.log.Snapshot().Excerpt(window)
				if err != nil {
					b.Fatal(err)
				}
				if page, err := e.PageBefore(e.End(), 24); err != nil || bytes.Count(page.Text, []byte("\n")) != 24 {
					b.Fatalf("%d lines, %v", bytes.Count(page.Text, []byte("\n")), err)
				}
			}
		})
	}
}
