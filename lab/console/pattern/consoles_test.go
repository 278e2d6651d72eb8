package pattern

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// printed is a line that a real system printed, and the pattern that it is to match.
type printed struct {
	pattern string // empty: none
	text    string // as it came, line end included where it had one
}

// consoles reads testdata/consoles: one line each, `pattern<TAB>text`, in which
// \e is ESC, \r a carriage return, and \c at the end a line that has no end.
func consoles(t testing.TB) map[string][]printed {
	t.Helper()
	names, err := filepath.Glob("testdata/consoles/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no consoles: %v", err)
	}
	all := make(map[string][]printed)
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" || line[0] == '#' {
				continue
			}
			pattern, text, ok := strings.Cut(line, "\t")
			if !ok {
				t.Fatalf("%s: no tabulator in %q", name, line)
			}
			text = strings.NewReplacer(`\e`, "\x1b", `\r`, "\r").Replace(text)
			if !strings.HasSuffix(text, `\c`) {
				text += "\r\n"
			}
			all[filepath.Base(name)] = append(all[filepath.Base(name)], printed{pattern, strings.TrimSuffix(text, `\c`)})
		}
	}
	return all
}

func newSet(t testing.TB, site ...Pattern) *Set {
	t.Helper()
	set, err := New(site)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func namesOf(matches []Match) (names []string) {
	for _, m := range matches {
		names = append(names, m.Pattern)
	}
	return names
}

func TestRealConsoles(t *testing.T) {
	set := newSet(t)
	tested := make(map[string]bool)
	for name, lines := range consoles(t) {
		t.Run(name, func(t *testing.T) {
			for _, line := range lines {
				var want []string
				if line.pattern != "" {
					want = []string{line.pattern}
					tested[line.pattern] = true
				}
				var atOnce, inPieces Scanner
				if got := namesOf(atOnce.Scan(set, []byte(line.text), 0, noon)); !slices.Equal(got, want) {
					t.Errorf("%q: %q, want %q", line.text, got, want)
				}
				// Byte by byte, what goes on after a prompt was a prompt for a moment.
				var got []string
				for _, b := range []byte(line.text) {
					for _, m := range inPieces.Scan(set, []byte{b}, 0, noon) {
						if want != nil || m.Line == strings.TrimSpace(line.text) {
							got = append(got, m.Pattern)
						}
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%q, byte by byte: %q, want %q", line.text, got, want)
				}
			}
		})
	}
	for _, b := range BuiltIn() {
		if !tested[b.Name] {
			t.Errorf("no console shows a %s", b.Name)
		}
	}
}

// TestCaptures reads what machines in QEMU have printed, from power on to the end.
func TestCaptures(t *testing.T) {
	set := newSet(t)
	for name, want := range map[string][]string{
		"linux-crash.log":        {LoginPrompt, KernelPanic}, // echo c >/proc/sysrq-trigger, behind busybox's getty
		"linux-without-root.log": {KernelPanic},
		"grub-rescue.log":        {BootFailure}, // the error, and then the prompt
		"seabios-ipxe.log":       {BootFailure}, // of iPXE; SeaBIOS's own comes at once
		"ovmf-shell.log":         nil,           // nothing to boot but its own shell
	} {
		printed, err := os.ReadFile(filepath.Join("testdata/captures", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []int{1, 17, 255, len(printed)} {
			var s Scanner
			var got []string
			at := 0
			for chunk := range slices.Chunk(printed, piece) {
				for _, m := range s.Scan(set, chunk, int64(at), noon) {
					got = append(got, m.Pattern)
					if !strings.HasPrefix(string(printed[m.Position:]), m.Line[:3]) {
						t.Errorf("%s: %+v is not there", name, m)
					}
				}
				at += len(chunk)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s in pieces of %d: %q, want %q", name, piece, got, want)
			}
		}
	}
}

// TestEveryRuleHasAConsole keeps rules out that nobody has seen at work.
func TestEveryRuleHasAConsole(t *testing.T) {
	set := newSet(t)
	used := make(map[*rule]bool)
	for _, lines := range consoles(t) {
		for _, line := range lines {
			var l collector
			for _, text := range l.of(line.text) {
				for _, f := range set.matching([]byte(text), true) {
					used[f.rule] = true
				}
				for i := range set.rules {
					if r := &set.rules[i]; line.pattern == r.name && r.re.MatchString(text) {
						used[r] = true
					}
				}
			}
		}
	}
	for i := range set.rules {
		if r := &set.rules[i]; !used[r] {
			t.Errorf("no console shows %s by %s", r.name, r.re)
		}
	}
}

// collector collects lines, the last one finished or not.
type collector struct{ lines }

func (l *collector) of(text string) (all []string) {
	l.read([]byte(text), 0, func(l *lines) { all = append(all, string(l.line)) })
	return append(all, string(l.line))
}

// TestDocumentation keeps docs/consoles.md in step with what is built in.
func TestDocumentation(t *testing.T) {
	want := "| pattern | finds |\n|---|---|\n"
	for _, b := range BuiltIn() {
		want += "| " + b.Name + " | " + b.Finds + " |\n"
	}
	page, err := os.ReadFile("../../../docs/consoles.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/consoles.md lacks this table:\n%s", want)
	}
}
