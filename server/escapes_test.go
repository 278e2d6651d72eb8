package server

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// parse gives chunks to a parser one after the other. It returns the machine's
// keys, and the escapes as they were found, each with what the machine had got
// until then.
func parse(chunks ...[]byte) (keys []byte, found []string) {
	e := escapes{table: consoleEscapes, lineStart: true}
	for _, chunk := range chunks {
		for len(chunk) > 0 {
			some, escape, rest := e.next(chunk)
			keys = append(keys, some...)
			if escape != nil {
				found = append(found, escape.keys+" after "+string(keys))
			}
			chunk = rest
		}
	}
	return keys, found
}

func TestEscapesAreFoundAtTheStartOfALineOnly(t *testing.T) {
	for _, test := range []struct {
		typed string
		keys  string
		found []string
	}{
		{"ls\r", "ls\r", nil},
		{"~.", "", []string{". after "}},
		{"ls\r~.rest", "ls\rrest", []string{". after ls\r"}},
		{"ls ~.", "ls ~.", nil},
		{"~~.", "~.", nil},
		{"~~~.", "~~.", nil},
		{"~/bin/x\r", "~/bin/x\r", nil},
		{"~\r~.", "~\r", []string{". after ~\r"}},
		{"~?~.", "", []string{"h? after ", ". after "}},
		{"~b~B", "", []string{"bB after ", "bB after "}},
		{"~wls", "ls", []string{"w after "}},
		{"\n~t", "\n", []string{"t after \n"}},
		{"~", "", nil},
	} {
		for _, size := range []int{len(test.typed), 1} { // pasted, and typed slowly
			keys, found := parse(slices.Collect(slices.Chunk([]byte(test.typed), size))...)
			if string(keys) != test.keys || !slices.Equal(found, test.found) {
				t.Errorf("%q, %d at a time: %q, %q", test.typed, size, keys, found)
			}
		}
	}
}

func TestEscapesAreListedAndMeanOneThing(t *testing.T) {
	help, seen := escapeHelp(consoleEscapes), "~\r\n"
	for _, e := range consoleEscapes {
		for _, key := range e.keys {
			if strings.ContainsRune(seen, key) {
				t.Errorf("~%c has two meanings", key)
			}
			seen += string(key)
			if !strings.Contains(help, "~"+string(key)) {
				t.Errorf("~%c is not listed", key)
			}
		}
		if !strings.Contains(help, e.help) {
			t.Errorf("%q is not listed", e.help)
		}
	}
}

// TestDocumentation keeps docs/consoles.md in step with the escapes.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/consoles.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "    " + strings.ReplaceAll(strings.TrimSpace(escapeHelp(consoleEscapes)), "\n", "\n    ") + "\n"
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/consoles.md lacks this list:\n%s", want)
	}
}

// doubled is what has to be typed so that the machine gets p.
func doubled(p []byte) (typed []byte) {
	lineStart := true
	for _, b := range p {
		if lineStart && b == '~' {
			typed = append(typed, '~')
		}
		typed = append(typed, b)
		lineStart = b == '\r' || b == '\n'
	}
	return typed
}

func FuzzEscapes(f *testing.F) {
	for _, seed := range []string{"ls\r~.", "~~~~", "~\r\n~?", "\x00\xff~.", "~pry~w", "\r~\r~\n~~\r~b"} {
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, typed []byte, size uint8) {
		chunks := slices.Collect(slices.Chunk(typed, int(size)+1))
		keys, found := parse(typed)
		if inChunks, foundInChunks := parse(chunks...); !bytes.Equal(keys, inChunks) || !slices.Equal(found, foundInChunks) {
			t.Errorf("%q is %q and %q; in chunks %q and %q", typed, keys, found, inChunks, foundInChunks)
		}
		if !bytes.Contains(typed, []byte("~")) && !bytes.Equal(keys, typed) {
			t.Errorf("%q became %q", typed, keys)
		}
		keys, found = parse(slices.Collect(slices.Chunk(doubled(typed), int(size)+1))...)
		if len(found) > 0 || !bytes.Equal(keys, typed) {
			t.Errorf("%q, each ~ that begins a line doubled, became %q and %q", typed, keys, found)
		}
	})
}
