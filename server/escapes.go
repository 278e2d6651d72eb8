package server

import (
	"context"
	"fmt"
	"strings"
)

// escape is something that a person asks of us, not of the machine: `~` at the
// start of a line, and a key (as cu, rlogin and ssh have it).
type escape struct {
	keys string // any of them
	help string
	do   func(*keyboard, context.Context) error
}

// consoleEscapes are the escapes of a console, as [escapeHelp] lists them.
var consoleEscapes = []escape{
	{".", "leave", (*keyboard).leave},
	{"w", "who is here", (*keyboard).who},
	{"a", "ask for the keyboard, where somebody else types", (*keyboard).ask},
	{"t", "take the keyboard, and the console from another program", (*keyboard).take},
	{"g", "give the keyboard away, to who has asked for it first", (*keyboard).give},
	{"bB", "send BREAK", (*keyboard).sendBreak},
	{"p", "power: on, off, reset ... (one more key says which)", (*keyboard).power},
	{"n", "boot from the network next time", (*keyboard).netboot},
	{"h?", "this list", (*keyboard).help},
}

// escapeHelp lists escapes for people.
func escapeHelp(table []escape) string {
	var b strings.Builder
	b.WriteString("Escapes, at the start of a line:\n")
	for _, e := range table {
		_, _ = fmt.Fprintf(&b, "  %-7s %s\n", "~"+strings.Join(strings.Split(e.keys, ""), " ~"), e.help)
	}
	b.WriteString("  ~~      the character ~\n" +
		"An ssh client with a terminal has escapes of its own, and takes these first: its\n" +
		"~. leaves, too, its ~B sends BREAK, and its ~? is another list. `ssh -e none`\n" +
		"leaves them all to the console.\n")
	return b.String()
}

// escapes finds the escapes of a table in what a person types. All other bytes
// are the machine's, whatever they are; `~~` at the start of a line is one `~`.
type escapes struct {
	table     []escape
	lineStart bool // the next key is the first of a line
	tilde     bool // it was `~`, and is kept back
}

// next returns what is meant for the machine up to the next escape, the escape,
// and what was typed after it. With nil there was none.
func (e *escapes) next(typed []byte) (keys []byte, found *escape, rest []byte) {
	keys = make([]byte, 0, len(typed)+1)
	for i, key := range typed {
		if e.tilde {
			e.tilde = false
			if found := e.find(key); found != nil {
				return keys, found, typed[i+1:]
			}
			if key != '~' {
				keys = append(keys, '~')
			}
		} else if e.lineStart && key == '~' {
			e.tilde = true
			continue
		}
		keys = append(keys, key)
		e.lineStart = key == '\r' || key == '\n'
	}
	return keys, nil, nil
}

func (e *escapes) find(key byte) *escape {
	for i := range e.table {
		if strings.IndexByte(e.table[i].keys, key) >= 0 {
			return &e.table[i]
		}
	}
	return nil
}
