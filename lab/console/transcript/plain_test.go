package transcript

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLinesReadAsTheyLookedOnTheScreen(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                     {""},
		"\r\n":                                 {""},
		"login: ":                              {"login: "},
		"a\tb\r\n":                             {"a\tb"},
		"\x1b[0;32m  OK  \x1b[0m started":      {"  OK   started"},
		"10 %\r20 %\r100 %\r\n":                {"100 %"},
		"long line\rshort":                     {"shortline"},
		"long line\r\x1b[Kshort":               {"short"},
		"long line\x1b[2K\rshort":              {"short"},
		"passsword\b \b\b \b\b \b":             {"passsw   "},
		"$ ls\b\b  ":                           {"$   "},
		"\x1b]0;root@web-07\x07# ":             {"# "},
		"\x1b]0;root@web-07\x1b\\# ":           {"# "},
		"\x1b(B\x1b)0text\x1b=":                {"text"},
		"\x1b[2J\x1b[1;1HBoot\x1b[5;20HSetup ": {"Boot", "Setup "},
		"\x1b[4CX\x1b[1GY\x1b[2DZ":             {"Z   X"},
		"a\x1bDb\x1bMc":                        {"a", "b", "c"},
		"a\vb\fc":                              {"a", "b", "c"},
		"\x07bell\x00":                         {"bell"},
		"\xc2\x9bnot a sequence":               {"not a sequence"},
		"\x1b":                                 {""},
		"x\x1b[":                               {"x"},
		"x\x1b[31":                             {"x"},
		"x\x1b]0;never ends":                   {"x"},
		"\x1b[99999999999999999999Cx":          {strings.Repeat(" ", maxColumn) + "x"},
		"\x1b[\x07x":                           {"x"},
		"übung \x1b[1m€":                       {"übung €"},
	} {
		var p plainer
		var got []string
		for _, r := range p.rows([]byte(line)) {
			got = append(got, string(r.text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[2J\x1b[1;1HBoot\x1b[5;20HSetup", "10 %\r20 %", "\x1b]0;t\x07\b\b\xff\xc2\x85", "\x1b[500C\x1b[500C\x1b[500Cx\x1b[1J\x1b[2K"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var p plainer
		original := bytes.Clone(line)
		rows := p.rows(line)
		last, total := -1, 0
		for _, r := range rows {
			if r.offset <= last || r.offset > 0 && r.offset >= len(line) {
				t.Fatalf("row at %d after %d, of %d bytes", r.offset, last, len(line))
			}
			last = r.offset
			total += len(r.text)
			for i := 0; i < len(r.text); {
				c, size := utf8.DecodeRune(r.text[i:])
				if i += size; c < ' ' && c != '\t' || c >= 0x7f && c < 0xa0 {
					t.Fatalf("%q has %q", r.text, c)
				}
			}
		}
		// A byte is at most a rune of three, or a part of a sequence that moves the cursor.
		if len(rows) == 0 || total > 3*len(line)+maxColumn*(bytes.Count(line, []byte{escape})+1) || !bytes.Equal(line, original) {
			t.Fatalf("%d rows of %d bytes from %d", len(rows), total, len(line))
		}
	})
}

func TestExpressionsThatAreWrongSayWhere(t *testing.T) {
	for expression, want := range map[string]string{
		"(a":                      "missing closing ) in \"(a\"",
		"ab**":                    "invalid nested repetition operator at character 3: \"**\"",
		"übung [z-a]":             "invalid character class range at character 8: \"z-a\"",
		`\8`:                      "invalid escape sequence in \"\\\\8\"",
		strings.Repeat("a", 2000): "has 2000 bytes; 1024 are the most",
	} {
		if _, err := Expression(expression, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", expression, err, want)
		}
	}
	if _, err := Text("a\xff", true); err == nil {
		t.Error("a text that is not UTF-8 is no error")
	}
}
