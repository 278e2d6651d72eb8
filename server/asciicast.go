package server

import (
	"bufio"
	"encoding/json"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"provisioner/lab/console/transcript"
	"provisioner/tui/console"
)

// asciicastHeader is the first line of an asciicast v2 file
// (https://docs.asciinema.org/manual/asciicast/v2/).
type asciicastHeader struct {
	Version   int     `json:"version"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	Timestamp int64   `json:"timestamp,omitempty"`       // in seconds since 1970-01-01 UTC
	Idle      float64 `json:"idle_time_limit,omitempty"` // in seconds
	Title     string  `json:"title"`
}

// writeAsciicast writes what a console has printed in the format of asciinema.
// Times that are not known are those of what came before.
func writeAsciicast(w io.Writer, title string, idle time.Duration, chunks iter.Seq2[transcript.Chunk, error]) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	header := asciicastHeader{Version: 2, Width: console.Columns, Height: console.Rows, Idle: idle.Seconds(), Title: title}
	var began time.Time
	var elapsed time.Duration
	var text runeStream
	write := func(s string) error {
		if s == "" {
			return nil
		}
		return lines.Encode([]any{json.Number(strconv.FormatFloat(elapsed.Seconds(), 'f', 6, 64)), "o", s})
	}
	first := true
	for c, err := range chunks {
		if err != nil {
			return err
		}
		if first {
			first, began = false, c.At
			if !began.IsZero() {
				header.Timestamp = began.Unix()
			}
			if err := lines.Encode(header); err != nil {
				return err
			}
		}
		if began.IsZero() {
			began = c.At
		}
		elapsed = max(elapsed, c.At.Sub(began)) // a clock may have been set back
		if err := write(text.next(c.Bytes)); err != nil {
			return err
		}
	}
	if first {
		if err := lines.Encode(header); err != nil {
			return err
		}
	}
	if err := write(text.rest()); err != nil {
		return err
	}
	return out.Flush()
}

// runeStream makes valid UTF-8 of bytes that come in pieces. A rune that the
// end of a piece has cut waits for its rest.
type runeStream struct{ held []byte }

func (s *runeStream) next(p []byte) string {
	b := slices.Concat(s.held, p)
	end := len(b)
	for i := 1; i <= min(utf8.UTFMax-1, len(b)); i++ {
		if begin := len(b) - i; utf8.RuneStart(b[begin]) {
			if !utf8.FullRune(b[begin:]) {
				end = begin
			}
			break
		}
	}
	text := strings.ToValidUTF8(string(b[:end]), "\uFFFD")
	s.held = b[end:]
	return text
}

// rest is for what never came to its end.
func (s *runeStream) rest() string { return strings.ToValidUTF8(string(s.held), "\uFFFD") }
