package server

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"provisioner/lab"
	"provisioner/store/storetest"
)

// FuzzCommandLine reads, and completes, lines that anybody with an account may
// send. A line is a text with a NUL between the words.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{
		"reserve\x00--query\x00(= arch arm64)\x00--for\x004h\x00--wait", "provision\x00web-01\x00--kernel=", "image\x00--j", "run\x00--state\x00",
		"power\x00web-01\x00", "preseed\x00set\x00x\x00--no-p", "events\x00-f\x00--after\x00-1", "complete\x00--at\x003\x00--\x00show\x00--", "--help\x00", "", "-\x00--\x00-",
	} {
		f.Add(line)
	}
	db, err := storetest.Open(f.Context(), filepath.Join(f.TempDir(), "test.db"))
	if err != nil {
		f.Fatal(err)
	}
	l, err := lab.New(lab.Config{Store: db, DataDir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := errors.Join(l.Close(), db.Close()); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, "\x00")
		in := &invocation{ctx: t.Context(), lab: l, commandLine: commandLine{actor: lab.Local}, out: io.Discard, notes: io.Discard}
		parser, err := newParser(&commands{}, kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}), kong.Bind(in))
		if err != nil {
			t.Fatal(err)
		}
		last := words[len(words)-1]
		if _, err := candidates(in, parser.Model.Node, words[:len(words)-1], last); err != nil {
			t.Errorf("complete %q: %v", words, err)
		}
		_, _ = parser.Parse(words) // an error is as good as a command
	})
}
