package console

import (
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

func newTerminal(t testing.TB, output string) *Terminal {
	t.Helper()
	terminal := New(func([]byte) {})
	t.Cleanup(terminal.Close)
	if _, err := terminal.Write([]byte(output)); err != nil {
		t.Fatal(err)
	}
	return terminal
}

func (v View) text() string {
	rows := make([]string, len(v.Rows))
	for i, row := range v.Rows {
		rows[i] = strings.TrimRight(ansi.Strip(row), " ")
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

func TestViewFollowsTheCursor(t *testing.T) {
	lines := make([]string, 20)
	for i := range lines {
		lines[i] = strings.Repeat(string(rune('a'+i)), 60)
	}
	terminal := newTerminal(t, strings.Join(lines, "\r\n"))
	v := terminal.View(40, 5)
	if want := strings.Repeat("t", 39); !strings.HasSuffix(v.text(), want) || v.CursorX != 39 || v.CursorY != 4 {
		t.Errorf("cursor at %d, %d of\n%s", v.CursorX, v.CursorY, v.text())
	}
	_, _ = terminal.Write([]byte("\x1b[H"))
	v = terminal.View(40, 5)
	if !strings.HasPrefix(v.text(), lines[0][:40]+"\n"+lines[1][:40]) || v.CursorX != 0 || v.CursorY != 0 {
		t.Errorf("cursor at %d, %d of\n%s", v.CursorX, v.CursorY, v.text())
	}
	if v := terminal.View(200, 100); len(v.Rows) != Rows {
		t.Errorf("%d rows", len(v.Rows))
	}
	if v := terminal.View(0, -3); len(v.Rows) != 0 {
		t.Errorf("%d rows", len(v.Rows))
	}
}

func TestWideCharactersAreNotHalved(t *testing.T) {
	v := newTerminal(t, "日本語\x1b[H").View(3, 1)
	if v.text() != "日" {
		t.Errorf("%q", v.text())
	}
}

func TestHiddenCursorIsHidden(t *testing.T) {
	if newTerminal(t, "\x1b[?25l").View(80, 25).CursorVisible {
		t.Error("it is shown")
	}
	if !newTerminal(t, "\x1b[?25l\x1b[?25h").View(80, 25).CursorVisible {
		t.Error("it is not shown")
	}
}

func TestWhatIsSplitBetweenWritesIsOneCharacter(t *testing.T) {
	text := strings.Repeat("ä日", 700)
	terminal := newTerminal(t, "\x1b[2J\x1b[H"+text)
	if got := terminal.View(80, 25).text(); strings.Contains(got, "\ufffd") || strings.Count(got, "日") < 500 {
		t.Errorf("%q", got)
	}
}

func TestQuestionsOfTheMachineAreAnswered(t *testing.T) {
	answers := make(chan string, 1)
	terminal := New(func(p []byte) { answers <- string(p) })
	defer terminal.Close()
	_, _ = terminal.Write([]byte("ab\x1b[6n"))
	if got := <-answers; got != "\x1b[1;3R" {
		t.Errorf("%q", got)
	}
}

// Any of these kept the emulator busy for hours.
func TestHugeCountsTakeNoTime(t *testing.T) {
	began := time.Now()
	for final := '@'; final <= '~'; final++ {
		newTerminal(t, "a\x1b[999999999"+string(final)+"\x1b[5;2147483647"+string(final)+"\x1b[65535"+string(final))
	}
	newTerminal(t, "e"+strings.Repeat("\u0301", 50_000))
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%v", took)
	}
}

func TestKeysAreThoseOfAnXterm(t *testing.T) {
	terminal := newTerminal(t, "")
	application := newTerminal(t, "\x1b[?1h")
	for _, c := range []struct {
		key  tea.Key
		want string
	}{
		{tea.Key{Code: 'a', Text: "a"}, "a"},
		{tea.Key{Code: 'a', ShiftedCode: 'A', Mod: tea.ModShift, Text: "A"}, "A"},
		{tea.Key{Code: 'é', Text: "é"}, "é"},
		{tea.Key{Code: 'c', Mod: tea.ModCtrl}, "\x03"},
		{tea.Key{Code: '[', Mod: tea.ModCtrl}, "\x1b"},
		{tea.Key{Code: '\\', Mod: tea.ModCtrl}, "\x1c"},
		{tea.Key{Code: tea.KeySpace, Mod: tea.ModCtrl}, "\x00"},
		{tea.Key{Code: tea.KeySpace, Text: " "}, " "},
		{tea.Key{Code: 'x', Mod: tea.ModAlt}, "\x1bx"},
		{tea.Key{Code: tea.KeyEnter}, "\r"},
		{tea.Key{Code: tea.KeyTab}, "\t"},
		{tea.Key{Code: tea.KeyTab, Mod: tea.ModShift}, "\x1b[Z"},
		{tea.Key{Code: tea.KeyBackspace}, "\x7f"},
		{tea.Key{Code: tea.KeyEscape}, "\x1b"},
		{tea.Key{Code: tea.KeyUp}, "\x1b[A"},
		{tea.Key{Code: tea.KeyUp, Mod: tea.ModCtrl | tea.ModShift}, "\x1b[1;6A"},
		{tea.Key{Code: tea.KeyEnd}, "\x1b[F"},
		{tea.Key{Code: tea.KeyF1}, "\x1bOP"},
		{tea.Key{Code: tea.KeyF2, Mod: tea.ModShift}, "\x1b[1;2Q"},
		{tea.Key{Code: tea.KeyF10}, "\x1b[21~"},
		{tea.Key{Code: tea.KeyDelete, Mod: tea.ModAlt}, "\x1b[3;3~"},
		{tea.Key{Code: tea.KeyPgDown}, "\x1b[6~"},
		{tea.Key{Code: tea.KeyKpEnter}, "\r"},
		{tea.Key{Code: tea.KeyLeftShift}, ""},
		{tea.Key{Code: tea.KeyMediaPlay}, ""},
	} {
		if got := string(terminal.Key(c.key)); got != c.want {
			t.Errorf("%v: %q, not %q", c.key, got, c.want)
		}
	}
	if got := string(application.Key(tea.Key{Code: tea.KeyHome})); got != "\x1bOH" {
		t.Errorf("home in application mode: %q", got)
	}
}

func TestPasteEndsItsOwnBracketOnly(t *testing.T) {
	if got := string(newTerminal(t, "\x1b[?2004h").Paste("a\x1b[201~b")); got != "\x1b[200~ab\x1b[201~" {
		t.Errorf("%q", got)
	}
	if got := string(newTerminal(t, "").Paste("a\r\nb\n")); got != "a\rb\r" {
		t.Errorf("%q", got)
	}
}

// FuzzTerminal has a machine print anything.
func FuzzTerminal(f *testing.F) {
	f.Add([]byte("login: \x1b[31mred\x1b[m\r\n"), 80, 24)
	f.Add([]byte("\x1b[?1049h\x1b[5;9r\x1bM\x1b[99L\x1b[3@\x1b[6n\x1bP+q\x1b\\\x1b]8;;x\a"), 40, 5)
	f.Add([]byte("\u009b31m\x9b\xff日e\u0301\u202e\x0e\x0fqx\x1b(0lqk"), 3, 100)
	f.Fuzz(func(t *testing.T, output []byte, width, height int) {
		terminal := New(func([]byte) {})
		defer terminal.Close()
		_, _ = terminal.Write(output)
		v := terminal.View(width, height)
		for _, row := range v.Rows {
			if w := ansi.StringWidthWc(row); w > max(width, 0) {
				t.Errorf("%d cells in a view of %d: %q", w, width, row)
			}
			if i := strings.IndexFunc(ansi.Strip(row), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q is not printable at %d", row, i)
			}
		}
	})
}
