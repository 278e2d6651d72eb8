package server

import (
	"io"
	"strings"
	"testing"
)

func TestQuestionStaysInSight(t *testing.T) {
	for name, test := range map[string]struct {
		between func(*screen)
		want    string
	}{
		"nothing came":         {func(*screen) {}, "[off? yes]\n[done]\n"},
		"a note came":          {func(s *screen) { s.note("joe is here") }, "[off? \n[joe is here]\n[off? yes]\n[done]\n"},
		"the machine printed":  {func(s *screen) { _, _ = io.WriteString(s, "ls\r\nboot") }, "[off? ls\r\nboot\n[off? yes]\n[done]\n"},
		"whole lines":          {func(s *screen) { _, _ = io.WriteString(s, "boot\r\n") }, "[off? boot\r\n[off? yes]\n[done]\n"},
		"it printed, and more": {func(s *screen) { _, _ = io.WriteString(s, "ls"); s.note("joe is here") }, "[off? ls\n[joe is here]\n[off? yes]\n[done]\n"},
	} {
		var shown strings.Builder
		s := &screen{machine: &shown, notes: &shown, both: true}
		s.ask("off?")
		test.between(s)
		s.answered("yes")
		s.note("done")
		if shown.String() != test.want {
			t.Errorf("%s: %q, want %q", name, shown.String(), test.want)
		}
	}
}
