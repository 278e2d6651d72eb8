package transcript

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
