package pattern

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLinesAsAPersonSeesThem(t *testing.T) {
	for name, tt := range map[string]struct {
		printed string
		want    []string // the last one is not finished
	}{
		"colours":                    {"\x1b[1;31mKernel \x1b[0mpanic\x1b[K\r\n", []string{"Kernel panic", ""}},
		"serial line ends":           {"one\r\ntwo\r\r\nthree\n", []string{"one", "two", "three", ""}},
		"empty lines":                {"\r\n\r\n\n", []string{""}},
		"progress bar":               {"\r 10%\r 20%\r100%\r\ndone\r\n", []string{" 10%", " 20%", "100%", "done", ""}},
		"prompt":                     {"\r\nweb-07 login: ", []string{"web-07 login: "}},
		"cursor goes elsewhere":      {"left\x1b[5;40Hright\x1b[Anext", []string{"left", "right", "next"}},
		"cursor goes right":          {"a\x1b[3Cb", []string{"a   b"}},
		"cursor goes to a column":    {"ab\x1b[5Gc\x1b[2Gd", []string{"ab  c", "d"}},
		"cursor goes far":            {"a\x1b[99999999999Cb", []string{"a" + strings.Repeat(" ", maxGap) + "b"}},
		"backspace":                  {"lopin\b\b\bgin\b \b", []string{"logi"}},
		"backspace over é":           {"é\b\b\bx", []string{"x"}},
		"tabulator":                  {"a\tb", []string{"a b"}},
		"screen is erased":           {"old\x1b[2Jnew\x1b[J!", []string{"old", "new!"}},
		"terminal is reset":          {"old\x1bcnew", []string{"old", "new"}},
		"window's title":             {"a\x1b]0;Kernel panic\x07b\x1b]2;x\x1b\\c", []string{"abc"}},
		"title that never ends":      {"a\x1b]0;noise\r\nKernel panic", []string{"a", "Kernel panic"}},
		"string that never ends":     {"\x1bP" + strings.Repeat("x", maxString) + "seen", []string{"seen"}},
		"sequence that never ends":   {"\x1b[" + strings.Repeat("0;", maxString/2) + "seen", []string{"seen"}},
		"sequence that was given up": {"a\x1b[12\x18b", []string{"ab"}},
		"character sets":             {"\x1b(0lqk\x1b(B ok", []string{"lqk ok"}},
		"bells and nulls":            {"a\x00\x07\x0e\x0fb\x7f", []string{"ab"}},
		"other character sets":       {"Gr\xfc\xdfe \x9b1m", []string{"Gr\xfc\xdfe \x9b1m"}},
		"long line":                  {strings.Repeat("x", maxLine+3), []string{strings.Repeat("x", maxLine), "xxx"}},
	} {
		t.Run(name, func(t *testing.T) {
			var atOnce, inPieces collector
			if got := atOnce.of(tt.printed); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			var got []string
			for i := range len(tt.printed) {
				all := inPieces.of(tt.printed[i : i+1])
				got = append(got, all[:len(all)-1]...)
			}
			if got = append(got, string(inPieces.line)); !slices.Equal(got, tt.want) {
				t.Errorf("byte by byte %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMatchSaysWhatAndWhere(t *testing.T) {
	set := newSet(t, Pattern{"oom", "Out of memory: Killed process"})
	var s Scanner
	const before = "Rebooting.\r\n\x1b[0m"
	const line = "[   61.000000] Out of memory: Killed process 1234 (java)\a"
	if got := s.Scan(set, []byte(before+line[:30]), 1000, noon); got != nil {
		t.Errorf("half a line matches %+v", got)
	}
	got := s.Scan(set, []byte(line[30:]+"\r\n"), 1000+int64(len(before))+30, noon)
	want := []Match{{"oom", line[:len(line)-1], 1000 + int64(len(before))}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMatchIsFitToBeShown(t *testing.T) {
	set := newSet(t, Pattern{"needle", "needle"})
	for printed, want := range map[string]string{
		"   needle  \n":                            "needle",
		"│ needle │\n":                             "needle",
		"needle \u202eevil\u202c \xff\xfe\n":       "needle \ufffdevil\ufffd \ufffd\ufffd",
		"needle" + strings.Repeat("é", 200) + "\n": "needle" + strings.Repeat("é", 97),
		strings.Repeat("x", 1000) + "needle\n":     strings.Repeat("x", 194) + "needle",
		strings.Repeat("é", 500) + "needle" + strings.Repeat("y", 500) + "\n": strings.Repeat("é", 20) + "needle" + strings.Repeat("y", 154),
	} {
		var s Scanner
		got := s.Scan(set, []byte(printed), 0, noon)
		if len(got) != 1 || got[0].Line != want {
			t.Errorf("%.60q: %+v, want %q", printed, got, want)
		}
	}
}

// step is what a console prints, how long after the step before, and what is reported.
type step struct {
	after   time.Duration
	printed string
	want    []string
}

func TestPatternsAreReportedOnce(t *testing.T) {
	const (
		prompt = "\r\nweb-07 login: "
		panics = "\r\n[    1.482391] Kernel panic - not syncing: Attempted to kill init!\r\n"
		boots  = "\r\n[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)\r\n"
	)
	for name, steps := range map[string][]step{
		"a getty that is asked again and again": {
			{0, prompt, []string{LoginPrompt}},
			{30 * time.Second, prompt + prompt, nil},
			{30 * time.Second, prompt, nil},
			{50 * time.Second, prompt, nil},
			{time.Minute, prompt, []string{LoginPrompt}},
		},
		"a panic that is told in many words": {
			{0, panics, []string{KernelPanic}},
			{time.Second, "[    1.492391] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---\r\n", nil},
			{5 * time.Minute, panics, nil},
		},
		"a machine that panics each time it starts": {
			{0, panics, []string{KernelPanic}},
			{10 * time.Second, boots + panics, []string{KernelPanic}},
			{10 * time.Second, boots + panics + prompt, []string{KernelPanic, LoginPrompt}},
		},
		"a machine that is up again after a panic": {
			{0, prompt, []string{LoginPrompt}},
			{time.Second, panics, []string{KernelPanic}},
			{time.Second, prompt, []string{LoginPrompt}},
		},
		"a site's own": {
			{0, "disk full\r\n", []string{"disk"}},
			{time.Second, "disk full\r\ndisk full\r\n", nil},
			{time.Minute, "disk full\r\n", []string{"disk"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := newSet(t, Pattern{"disk", "disk full"})
			var s Scanner
			now := noon
			for i, step := range steps {
				now = now.Add(step.after)
				if got := namesOf(s.Scan(set, []byte(step.printed), 0, now)); !slices.Equal(got, step.want) {
					t.Errorf("step %d: %q, want %q", i, got, step.want)
				}
			}
		})
	}
}

func TestConsoleThatPrintsOnlyMatchesIsReportedRarely(t *testing.T) {
	set := newSet(t)
	var s Scanner
	flood := []byte("Linux version 6.1.0\npanic: at the disco\nNo bootable device.\nlogin: \n")
	reported := 0
	for range 1000 {
		reported += len(s.Scan(set, flood, 0, noon))
	}
	if reported != budget {
		t.Errorf("%d matches were reported, want %d", reported, budget)
	}
	if want := 3*1000 - budget; s.Dropped() != want {
		t.Errorf("%d matches were dropped, want %d", s.Dropped(), want)
	}
	if got := s.Scan(set, flood, 0, noon.Add(budgetPeriod)); len(got) == 0 {
		t.Error("nothing was reported a minute later")
	}
	every := Scanner{EveryMatch: true}
	if got := len(every.Scan(set, flood, 0, noon)) + len(every.Scan(set, flood, 0, noon)); got != 6 {
		t.Errorf("%d of 6 matches, where all were asked for", got)
	}
}

func TestPatternsOfASiteChangeUnderAScanner(t *testing.T) {
	var s Scanner
	if got := s.Scan(newSet(t), []byte("disk "), 0, noon); got != nil {
		t.Errorf("%+v", got)
	}
	with := newSet(t, Pattern{"disk", "^disk full"})
	if got := namesOf(s.Scan(with, []byte("full\n"), 5, noon)); !slices.Equal(got, []string{"disk"}) {
		t.Errorf("%q", got)
	}
	if got := s.Scan(newSet(t), []byte("disk full\n"), 10, noon.Add(time.Hour)); got != nil {
		t.Errorf("%+v", got)
	}
}

func TestIdleScannerHoldsNoMemory(t *testing.T) {
	set := newSet(t)
	var s Scanner
	s.Scan(set, []byte(strings.Repeat("x", 3000)+"\r\n"), 0, noon)
	if s.lines.line != nil || s.seen != nil {
		t.Errorf("it holds %d bytes and %v", cap(s.lines.line), s.seen)
	}
	s.Scan(set, []byte("web-07 login: "), 0, noon)
	if n := cap(s.lines.line); n > 32 {
		t.Errorf("it holds %d bytes for a prompt", n)
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, expression, why string }{
		{"", "x", "a name has up to 64"},
		{"-x", "x", "a name has up to 64"},
		{"a\x1b", "x", "a name has up to 64"},
		{strings.Repeat("a", 65), "x", "a name has up to 64"},
		{"Kernel Panic", "x", "built in"},
		{"ok", "", "is empty"},
		{"ok", strings.Repeat("x", maxExpression+1), "1025 bytes, and 1024 are possible"},
		{"ok", "x*", "matches the empty line"},
		{"ok", "^", "matches the empty line"},
		{"ok", "abc[z-a]", "invalid character class range at character 5: `z-a`"},
		{"ok", "é(?<x", "at character 2"},
		{"ok", "(abc", "missing closing )"},
		{"ok", "a{1001}", "invalid repeat count at character 2: `{1001}`"},
		{"ok", "x{1000}y{1000}z{1000}", "steps"},
		{"ok", "\xff", "invalid UTF-8"},
	} {
		p := Pattern{tt.name, tt.expression}
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%q %.20q: %v, want %q", tt.name, tt.expression, err, tt.why)
		}
		if _, err := New([]Pattern{p}); err == nil {
			t.Errorf("%q %.20q was taken into a set", tt.name, tt.expression)
		}
	}
	many := make([]Pattern, MaxPatterns+1)
	for i := range many {
		many[i] = Pattern{fmt.Sprintf("p%d", i), "xyz"}
	}
	if _, err := New(many); err == nil {
		t.Errorf("%d patterns were taken", len(many))
	}
	if set := newSet(t, many[:MaxPatterns]...); len(set.rules) > maxRules {
		t.Errorf("%d rules, and there is room for %d", len(set.rules), maxRules)
	}
}

func TestLiteralsOfExpressions(t *testing.T) {
	for expression, want := range map[string][]string{
		"Kernel panic":            {"kernel panic"},
		"^a+Oops: [0-9]+ SMP":     {"oops: "},
		"(error|warning): x":      {"error", "warning"}, // the longest that each has
		"(?:disk|ab) full":        {" full"},
		"(?i)task stuck":          {"tuc"}, // k and s have other forms
		"(?i)Out of memory: Kill": {"out of memory: "},
		"x{2}(?:needle)+y*":       {"needle"},
		"(?:needle)*":             nil,
		"[a-z]+":                  nil,
		"ab":                      nil,
		"needle|":                 nil,
		"Gerät überhitzt":         {"berhitzt"},
	} {
		got := requiredLiterals(expression)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}

// FuzzLines checks that lines are bounded, and the same however they come.
func FuzzLines(f *testing.F) {
	for _, lines := range consoles(f) {
		for _, line := range lines {
			f.Add([]byte(line.text), []byte{3, 1, 7})
		}
	}
	f.Add([]byte("\x1b[10;10Ha\x1b[5Cb\x1b[2Gc\r\x1b[K\td\b\b\b\x1b]0;t\x07"), []byte{1, 1, 2})
	f.Fuzz(func(t *testing.T, printed, cuts []byte) {
		var atOnce, inPieces collector
		want := atOnce.of(string(printed))
		var got []string
		for rest, i := string(printed), 0; len(rest) > 0; i++ {
			n := 1
			if i < len(cuts) {
				n = min(int(cuts[i]), len(rest))
			}
			all := inPieces.of(rest[:n])
			got = append(got, all[:len(all)-1]...)
			rest = rest[n:]
		}
		if got = append(got, string(inPieces.line)); !slices.Equal(got, want) {
			t.Errorf("%q in pieces is %q, at once %q", printed, got, want)
		}
		for _, line := range want {
			if len(line) > maxLine || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q gives the line %q", printed, line)
			}
		}
	})
}

// FuzzScanner checks that whatever a machine prints, a scanner reports what is
// fit to be shown, and where it is.
func FuzzScanner(f *testing.F) {
	for _, lines := range consoles(f) {
		var all strings.Builder
		for _, line := range lines {
			all.WriteString(line.text)
		}
		f.Add([]byte(all.String()), uint8(100))
	}
	set := newSet(f, Pattern{"any", "[^a]"})
	f.Fuzz(func(t *testing.T, printed []byte, piece uint8) {
		if len(printed) > 4<<10 {
			return // longer ones only take longer
		}
		s := Scanner{EveryMatch: true}
		const start = 1 << 40
		at := int64(start)
		for chunk := range slices.Chunk(printed, int(piece)+1) {
			for _, m := range s.Scan(set, chunk, at, noon) {
				if len(m.Line) > maxText || !utf8.ValidString(m.Line) || strings.ContainsFunc(m.Line, func(r rune) bool { return r < ' ' }) {
					t.Errorf("%q reports the line %q", printed, m.Line)
				}
				if m.Position < start || m.Position >= at+int64(len(chunk)) {
					t.Errorf("%q reports the position %d", printed, m.Position-start)
				}
			}
			at += int64(len(chunk))
		}
	})
}

// FuzzLiterals checks that no line that an expression matches is passed over.
func FuzzLiterals(f *testing.F) {
	f.Add("(?i)out of (memory|disk)", "OUT OF DIS\u212a")
	f.Add("(?:a|Bcd)+(?:efg){2,}", "Bcdefgefg")
	f.Add(`\bneedle\b.*x?`, "a needle")
	f.Fuzz(func(t *testing.T, expression, line string) {
		re, err := Pattern{"p", expression}.compile()
		if err != nil {
			return
		}
		var finder finder
		literals := requiredLiterals(expression)
		finder.add(0, literals)
		candidates := finder.candidates([]byte(line))
		if re.MatchString(line) && !slices.Contains(slices.Collect(candidates.all()), 0) {
			t.Errorf("%q matches %q, but is passed over: it is to hold one of %q", expression, line, literals)
		}
	})
}

// BenchmarkTyping is the cost of what is printed in single bytes, as an echo is.
func BenchmarkTyping(b *testing.B) {
	set := newSet(b, Pattern{"own", "(?i)failure"})
	var s Scanner
	s.Scan(set, []byte(strings.Repeat("x", maxPrompt-1)), 0, noon)
	b.SetBytes(2)
	for b.Loop() {
		s.Scan(set, []byte("x"), 0, noon)
		s.Scan(set, []byte("\b"), 0, noon)
	}
}

// BenchmarkScan is the cost of what an ordinary console prints: 115200 baud are 11,520 bytes a second.
func BenchmarkScan(b *testing.B) {
	var boot strings.Builder
	for i := range 200 {
		fmt.Fprintf(&boot, "[    %d.%06d] usb 1-%d: New USB device found, idVendor=1d6b, idProduct=0002, bcdDevice= 6.01\r\n", i/50, i*4999, i%8)
		fmt.Fprintf(&boot, "[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39msystemd-journald.service\x1b[0m - Journal Service (error: 0, login: none).\r\n")
	}
	printed := []byte(boot.String())
	for _, own := range []int{0, MaxPatterns} {
		site := make([]Pattern, own)
		for i := range site {
			site[i] = Pattern{fmt.Sprintf("p%d", i), fmt.Sprintf("(?i)failure number %d of (disk|fan) \\d+", i)}
		}
		b.Run(fmt.Sprintf("site patterns %d", own), func(b *testing.B) {
			set := newSet(b, site...)
			var s Scanner
			b.SetBytes(int64(len(printed)))
			b.ReportAllocs()
			for b.Loop() {
				s.Scan(set, printed, 0, noon)
			}
		})
	}
}
