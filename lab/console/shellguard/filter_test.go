package shellguard

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const cisco = 5771

func keysOf(sequences []Sequence) (keys []string) {
	for _, s := range sequences {
		keys = append(keys, s.Keys)
	}
	return keys
}

func TestLastKeyOfASequenceNeverReachesTheMachine(t *testing.T) {
	for name, tt := range map[string]struct {
		manufacturer uint32
		typed        []string
		passed       string
		refused      []string
	}{
		"iLO's way out":                {0, []string{"\x1b("}, "\x1b", []string{"ESC ("}},
		"typed slowly":                 {0, []string{"\x1b", "("}, "\x1b", []string{"ESC ("}},
		"tried again and again":        {0, []string{"\x1b", "(", "(", "((("}, "\x1b", []string{"ESC (", "ESC (", "ESC ("}},
		"after another ESC":            {0, []string{"\x1b\x1b("}, "\x1b\x1b", []string{"ESC ("}},
		"in the middle of a paste":     {0, []string{"ls\r\x1b(\x1b(help\r"}, "ls\r\x1b\x1bhelp\r", []string{"ESC ("}},
		"back to the system":           {0, []string{"\x1bQ"}, "\x1b", []string{"ESC Q"}},
		"power on":                     {0, []string{"\x1b^"}, "\x1b", []string{"ESC ^"}},
		"hard reset":                   {0, []string{"\x1bR\x1br\x1bR"}, "\x1bR\x1br\x1b", []string{"ESC R ESC r ESC R"}},
		"hard reset, key by key":       {0, []string{"\x1b", "R", "\x1b", "r", "\x1b", "R"}, "\x1bR\x1br\x1b", []string{"ESC R ESC r ESC R"}},
		"hard reset behind a shell":    {0, []string{"\x1bR\x1br\x1b(R"}, "\x1bR\x1br\x1b", []string{"ESC (", "ESC R ESC r ESC R"}},
		"basic mode":                   {0, []string{"\xa0\x20", "\x18\xc8\x81"}, "\xa0\x20\x18\x81", []string{"A0h 20h 18h C8h"}},
		"iDRAC's way out":              {dell, []string{"top\r\x1c\x1c"}, "top\r", []string{`Ctrl+\`}},
		"quit signal of other systems": {0, []string{"top\r\x1c\x1c"}, "top\r\x1c\x1c", nil},
		"nano on Cisco":                {cisco, []string{"\x18y\r"}, "\x18y\r", nil},
		"after another key":            {0, []string{"\x1b", "j("}, "\x1bj(", nil},
		"parentheses":                  {0, []string{"(Q^R)"}, "(Q^R)", nil},
		"arrow and function keys":      {dell, []string{"\x1b[A\x1bOB\x1b[15~\x1b[1;5C"}, "\x1b[A\x1bOB\x1b[15~\x1b[1;5C", nil},
		"Alt and a letter":             {dell, []string{"\x1bb\x1bf\x1b.\x1bR\x1br"}, "\x1bb\x1bf\x1b.\x1bR\x1br", nil},
		"VT100+ function keys":         {0, []string{"\x1b1\x1b9\x1b0\x1b!\x1b@"}, "\x1b1\x1b9\x1b0\x1b!\x1b@", nil},
		"ESC alone":                    {0, []string{"\x1b", ":wq\r"}, "\x1b:wq\r", nil},
		"UTF-8":                        {dell, []string{"à la (ÈÜ) 😀"}, "à la (ÈÜ) 😀", nil},
		"bracketed paste":              {dell, []string{"\x1b[200~f(x) = Q^R\x1b[201~"}, "\x1b[200~f(x) = Q^R\x1b[201~", nil},
		"nothing":                      {0, []string{""}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(tt.manufacturer)
			var passed []byte
			var refused []string
			for _, typed := range tt.typed {
				p, r := f.Pass([]byte(typed))
				passed = append(passed, p...)
				refused = append(refused, keysOf(r)...)
			}
			if string(passed) != tt.passed {
				t.Errorf("passed %q, want %q", passed, tt.passed)
			}
			if !slices.Equal(refused, tt.refused) {
				t.Errorf("refused %q, want %q", refused, tt.refused)
			}
		})
	}
}

func TestNothingIsAllocatedForOrdinaryKeys(t *testing.T) {
	f := New(dell)
	typed := []byte("\x1b[Avi main.go\r\x1b:%s/(a)/b/\r\x1b")
	allocs := testing.AllocsPerRun(1000, func() {
		if passed, refused := f.Pass(typed); &passed[0] != &typed[0] || refused != nil {
			t.Fatal("something else was passed than was typed")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestCallersBytesAreLeftAlone(t *testing.T) {
	typed := []byte("\x1b(\x1b(abc")
	before := slices.Clone(typed)
	New(0).Pass(typed)
	if !bytes.Equal(typed, before) {
		t.Errorf("%q became %q", before, typed)
	}
}

// TestDocumentation keeps docs/consoles.md in step with the table.
func TestDocumentation(t *testing.T) {
	var want strings.Builder
	want.WriteString("| keys | BMCs | what they would do | documented in |\n|---|---|---|---|\n")
	for _, s := range table {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", s.Keys, s.manufacturers(), s.Does, s.Source)
	}
	page, err := os.ReadFile("../../../docs/consoles.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/consoles.md lacks this table:\n%s", want.String())
	}
}

// FuzzFilter checks what the filter promises, against a plain search.
func FuzzFilter(f *testing.F) {
	for _, s := range table {
		f.Add([]byte(s.bytes), []byte{1}, uint32(dell))
		f.Add([]byte("x"+s.bytes+s.bytes[:len(s.bytes)-1]+s.bytes), []byte{2, 3}, uint32(0))
	}
	f.Add([]byte("\x1b[A\x1b[200~é(\x1b"), []byte{}, uint32(dell))
	f.Fuzz(func(t *testing.T, typed, cuts []byte, manufacturer uint32) {
		whole, refused := New(manufacturer).Pass(typed)
		sequences := Sequences(manufacturer)
		contains := func(p []byte) bool {
			return slices.ContainsFunc(sequences, func(s Sequence) bool { return bytes.Contains(p, []byte(s.bytes)) })
		}
		if contains(whole) {
			t.Errorf("%q lets %q pass", typed, whole)
		}
		if !contains(typed) && (!bytes.Equal(whole, typed) || refused != nil) {
			t.Errorf("%q holds no sequence, but became %q (%q)", typed, whole, keysOf(refused))
		}
		if contains(typed) && refused == nil {
			t.Errorf("%q holds a sequence, and nobody was told", typed)
		}

		chunked := New(manufacturer)
		var pieces []byte
		told := make(map[string]bool)
		for rest, i := typed, 0; len(rest) > 0; i++ {
			n := 1
			if i < len(cuts) {
				n = min(int(cuts[i]), len(rest))
			}
			passed, refused := chunked.Pass(rest[:n])
			pieces = append(pieces, passed...)
			for _, s := range refused {
				told[s.Keys] = true
			}
			rest = rest[n:]
		}
		if !bytes.Equal(pieces, whole) || len(told) != len(refused) {
			t.Errorf("%q in pieces passes %q (refused %v), at once %q (%q)", typed, pieces, told, whole, keysOf(refused))
		}
	})
}

func BenchmarkPass(b *testing.B) {
	f := New(dell)
	typed := bytes.Repeat([]byte("echo \x1b[A (some text) \r"), 100)
	b.SetBytes(int64(len(typed)))
	for b.Loop() {
		f.Pass(typed)
	}
}
