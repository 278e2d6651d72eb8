package server

import (
	"fmt"
	"io"
	"sync"
)

// screen is where a person sees what a machine prints and what we have to say.
// The machine's bytes go to standard output as they are, ours to standard
// error. It is safe for concurrent use.
type screen struct {
	machine io.Writer
	notes   io.Writer
	both    bool // a terminal shows them on one screen

	mu      sync.Mutex
	midLine bool   // a note would begin in the middle of a line
	open    string // the question that waits for its answer; empty: none
	torn    bool   // the machine has printed behind it
}

func newScreen(in *invocation) *screen {
	return &screen{machine: in.stdout, notes: in.notes, both: in.terminal != nil}
}

// Write shows what the machine prints.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.both && len(p) > 0 {
		s.midLine = p[len(p)-1] != '\n'
		s.torn = s.open != ""
	}
	return s.machine.Write(p)
}

// note says something, on a line of its own.
func (s *screen) note(text string) { s.print("[" + text + "]\n") }

// print shows lines of ours. A question that waits is shown again below them.
func (s *screen) print(lines string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.printLocked(lines)
	if s.open != "" {
		s.askLocked()
	}
}

// ask shows a question, whose line goes on with its answer.
func (s *screen) ask(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = text
	s.askLocked()
}

func (s *screen) askLocked() {
	s.printLocked("[" + s.open + " ")
	s.midLine, s.torn = true, false
}

// answered ends the line of the question that waits.
func (s *screen) answered(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.torn {
		s.askLocked()
	}
	s.open, s.midLine = "", false
	_, _ = fmt.Fprintf(s.notes, "%s]\n", text)
}

// printLocked writes lines. That the client has gone is noticed elsewhere.
func (s *screen) printLocked(lines string) {
	if s.midLine {
		lines = "\n" + lines
	}
	s.midLine = false
	_, _ = io.WriteString(s.notes, lines)
}
