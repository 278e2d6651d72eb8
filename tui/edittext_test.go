package tui

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatIsTypedCanBeTakenBack(t *testing.T) {
	text := newEditText("one\n\ttwo\r\nthree", 1000)
	text.move(place{1, 1})
	for _, r := range "abc" {
		text.insert(string(r))
	}
	text.insert("\n")
	text.insert("x")
	if got := text.String(); got != "one\n\tabc\nxtwo\r\nthree" || text.cursor != (place{2, 1}) {
		t.Errorf("%q, %v", got, text.cursor)
	}
	text.remove(text.previous(text.cursor))
	text.remove(text.previous(text.cursor))
	for text.undo() {
	}
	if got := text.String(); got != "one\n\ttwo\r\nthree" {
		t.Errorf("all undone: %q", got)
	}
	for text.redo() {
	}
	if got := text.String(); got != "one\n\tabctwo\r\nthree" {
		t.Errorf("all done again: %q", got)
	}
	text.undo()
	text.insert("!")
	if text.redo() {
		t.Error("what was undone is there after something else was done")
	}
}

func TestTypedWordIsOneEdit(t *testing.T) {
	text := newEditText("", 1000)
	for _, r := range "first" {
		text.insert(string(r))
	}
	text.insert("\n")
	for _, r := range "second" {
		text.insert(string(r))
	}
	text.undo()
	if got := text.String(); got != "first\n" {
		t.Errorf("%q", got)
	}
	for range 3 {
		text.remove(text.previous(text.cursor))
	}
	text.undo()
	if got := text.String(); got != "first\n" {
		t.Errorf("%q", got)
	}
}

func TestTextHasALimit(t *testing.T) {
	text := newEditText("1234", 6)
	if text.insert("567") || !text.insert("56") || text.insert("7") {
		t.Errorf("%q", text.String())
	}
	text.remove(place{0, 1})
	if text.size != len(text.String()) {
		t.Errorf("size %d of %q", text.size, text.String())
	}
}

func TestCursorMovesByCharactersWordsAndLines(t *testing.T) {
	text := newEditText("a\tb e\u0301x\n{{ hostname }}\n\n日本", 1000)
	text.move(place{0, 4})
	if p := text.next(text.cursor); p != (place{0, 7}) || text.previous(p) != text.cursor {
		t.Errorf("a letter with an accent: %v", p)
	}
	text.move(place{1, 0})
	text.move(text.nextWord())
	if text.cursor != (place{1, 11}) {
		t.Errorf("next word: %v", text.cursor)
	}
	text.move(text.previousWord())
	if text.cursor != (place{1, 3}) {
		t.Errorf("previous word: %v", text.cursor)
	}
	text.moveLines(-1)
	if text.cursor != (place{0, 1}) {
		t.Errorf("up into a tab: %v", text.cursor)
	}
	text.moveLines(3)
	if text.cursor != (place{3, 3}) {
		t.Errorf("down to wide characters: %v", text.cursor)
	}
	text.moveLines(-1)
	text.moveLines(-1)
	if text.cursor != (place{1, 3}) {
		t.Errorf("back in the same column: %v", text.cursor)
	}
	for text.next(text.cursor) != text.cursor {
		text.move(text.next(text.cursor))
	}
	if text.cursor != (place{3, 6}) {
		t.Errorf("end: %v", text.cursor)
	}
}

func TestTextIsFoundFromTheCursorOn(t *testing.T) {
	text := newEditText("disk\nDISK\nno\ndisks disk", 1000)
	var found []place
	for range 5 {
		p, ok := text.find("Disk")
		if !ok {
			t.Fatal("not found")
		}
		text.move(p)
		found = append(found, p)
	}
	want := []place{{1, 0}, {3, 0}, {3, 6}, {0, 0}, {1, 0}}
	for i := range want {
		if found[i] != want[i] {
			t.Errorf("found at %v, want %v", found, want)
			break
		}
	}
	if _, ok := text.find("network"); ok {
		t.Error("found what is not there")
	}
}

func TestWindowOfALineIsAsWideAsItIs(t *testing.T) {
	const line = "a\t日本\x1b[31mé"
	for first := range 20 {
		for width := range 12 {
			shown := shownFrom(line, first, width)
			if w := widths.StringWidth(shown); w > width || strings.ContainsAny(shown, "\x1b\t") {
				t.Errorf("%d cells from %d: %q has %d", width, first, shown, w)
			}
		}
	}
	if shown := shownFrom(line, 9, 4); shown != " 本·" {
		t.Errorf("%q", shown)
	}
}

// FuzzEditText types and deletes at random: nothing is lost, and all of it can
// be taken back.
func FuzzEditText(f *testing.F) {
	f.Add("one\ntwo", []byte("abc\x01\x02\n\x03\x04\x05\x06\x07"))
	f.Add("日本\n\t\r\n", []byte{8, 8, 1, 1, 4, 4, 9, 9, 2, 3, 'x'})
	f.Fuzz(func(t *testing.T, begin string, keys []byte) {
		text := newEditText(begin, 1<<16)
		for _, k := range keys {
			switch k {
			case 1:
				text.move(text.previous(text.cursor))
			case 2:
				text.move(text.next(text.cursor))
			case 3:
				text.moveLines(-1)
			case 4:
				text.moveLines(1)
			case 5:
				text.remove(text.previous(text.cursor))
			case 6:
				text.remove(text.next(text.cursor))
			case 7:
				text.undo()
			case 8:
				text.redo()
			case 9:
				text.move(text.nextWord())
			case 11:
				text.remove(text.previousWord())
			default:
				text.insert(string(rune(k)))
			}
			if c := text.cursor; c.line >= len(text.lines) || c.at > len(text.line()) {
				t.Fatalf("cursor %v in %q", c, text.lines)
			}
			if text.size != len(text.String()) {
				t.Fatalf("size %d of %q", text.size, text.String())
			}
			if w := widths.StringWidth(shownFrom(text.line(), 3, 20)); utf8.ValidString(begin) && w > 20 {
				t.Fatalf("%d cells of %q", w, text.line())
			}
		}
		for text.undo() {
		}
		if text.String() != begin {
			t.Fatalf("%q, and was %q", text.String(), begin)
		}
	})
}
