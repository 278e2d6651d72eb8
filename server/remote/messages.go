// Package remote runs a command line on a server, over a WebSocket (RFC 6455):
// what its ends say to each other, and the client's end. The commands are those
// that there are over ssh, and what they print is the same.
//
// The client begins with a [Start]. What it sends then are bytes of standard
// input, as binary messages, never more than it has been allowed to by
// [Reply.Window]; and [Request]s, as text. The server sends bytes as binary
// messages, of which the first byte says where they go ([Stdout], [Stderr]), and
// [Reply]s as text; the last one has the exit code.
package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Path is where a server is asked, below its address.
const Path = "/api/v1/command"

const (
	// MaxMessage is how long a message may be, in bytes.
	MaxMessage = 64 << 10

	// Chunk is how many bytes of a stream are sent in one message, at most.
	Chunk = 16 << 10

	maxArgs         = 1000
	maxTerminalName = 64   // bytes
	maxSide         = 1000 // of a terminal, in cells
)

// Where bytes go that the server sends: the first byte of a binary message.
const (
	Stdout = 1
	Stderr = 2
)

// Start is the client's first message, as JSON.
type Start struct {
	Args     []string  `json:"args"`               // without a program's name
	Terminal *Terminal `json:"terminal,omitempty"` // which the client has put into raw mode; nil: there is none
}

// Terminal is the client's terminal.
type Terminal struct {
	Name string `json:"name"` // what TERM says
	Size
}

// Size is the size of a terminal, in cells.
type Size struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Request is what a client sends later, as JSON.
type Request struct {
	End    bool  `json:"end,omitempty"` // of standard input
	Resize *Size `json:"resize,omitempty"`
}

// Reply is what a server sends, as JSON. An empty one keeps proxies from taking
// the connection for dead.
type Reply struct {
	Window int  `json:"window,omitempty"` // how many bytes more of standard input may be sent
	Exit   *int `json:"exit,omitempty"`   // the command has ended, with that code
}

// ParseStart reads what a stranger sent as a [Start].
func ParseStart(message []byte) (s Start, err error) {
	if err := json.Unmarshal(message, &s); err != nil {
		return s, fmt.Errorf("this is no command: %w", err)
	}
	if len(s.Args) > maxArgs {
		return s, fmt.Errorf("a command has at most %d words", maxArgs)
	}
	if t := s.Terminal; t != nil {
		if len(t.Name) > maxTerminalName || !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, unicode.IsControl) {
			return s, errors.New("this is no name of a terminal")
		}
		t.Size = t.bounded()
	}
	return s, nil
}

// ParseRequest reads what a stranger sent as a [Request].
func ParseRequest(message []byte) (r Request, err error) {
	if err := json.Unmarshal(message, &r); err != nil {
		return r, fmt.Errorf("this is no request: %w", err)
	}
	if r.Resize != nil {
		*r.Resize = r.Resize.bounded()
	}
	return r, nil
}

// bounded is a size that a terminal may have.
func (s Size) bounded() Size {
	return Size{Width: max(1, min(s.Width, maxSide)), Height: max(1, min(s.Height, maxSide))}
}
