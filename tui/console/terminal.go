// Package console is the terminal that a machine's serial port is connected
// to: it turns the machine's output into rows of cells, and a person's keys
// into what the machine expects.
//
// The emulation is that of github.com/charmbracelet/x/vt. Only this package
// knows of it.
package console

import (
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// The size of a machine's screen. A serial port cannot be told the size of a
// window, and what machines assume is this.
const (
	Columns = 80
	Rows    = 25
)

const (
	// writeSize is how much of the output the emulator is given at once. It
	// ends a grapheme cluster at the end of a write, so that no cell grows
	// beyond this, whatever a machine prints.
	writeSize = 256

	// maxParameter is the largest number in a control sequence that is acted
	// on. The emulator would count to any number, for hours.
	maxParameter = 999
	maxRepeat    = 2 * Columns
)

// Terminal is the screen of one machine. It is safe for concurrent use.
type Terminal struct {
	mu          sync.Mutex
	screen      *vt.Emulator
	hidden      bool // the cursor
	application bool // cursor keys, DECCKM
	bracketed   bool // paste
	answer      func([]byte)
}

// New returns an empty terminal. Machines ask terminals what they are and
// where their cursor is; answer is called with what should be sent to them, by
// a goroutine of the terminal. It must not block. Close the terminal.
func New(answer func([]byte)) *Terminal {
	t := &Terminal{answer: answer}
	t.start()
	return t
}

func (t *Terminal) start() {
	screen := vt.NewEmulator(Columns, Rows)
	screen.SetScrollbackSize(1) // its default takes 86 MB, and none is shown
	screen.SetCallbacks(vt.Callbacks{
		CursorVisibility: func(visible bool) { t.hidden = !visible },
		EnableMode:       func(m ansi.Mode) { t.setMode(m, true) },
		DisableMode:      func(m ansi.Mode) { t.setMode(m, false) },
	})
	for final := '@'; final <= '~'; final++ {
		screen.RegisterCsiHandler(int(final), func(params ansi.Params) bool { return excessive(final, params) })
	}
	t.screen = screen
	t.hidden, t.application, t.bracketed = false, false, false
	// The emulator's Write waits until its answers are read. Ends when Close
	// or a restart closes the pipe.
	go func() {
		buffer := make([]byte, writeSize)
		for {
			n, err := screen.Read(buffer)
			if err != nil {
				return
			}
			t.answer(append([]byte(nil), buffer[:n]...))
		}
	}()
}

func (t *Terminal) stop() {
	// Not screen.Close, which races with Read.
	_ = t.screen.InputPipe().(io.Closer).Close()
}

// excessive reports whether a control sequence asks for more than any screen
// has; those are not acted on.
func excessive(final rune, params ansi.Params) bool {
	limit := maxParameter
	switch final {
	case 'b', 'I', 'Z': // repeat, tabs
		limit = maxRepeat
	case 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'a', 'd', 'e', 'f', 'h', 'l', 'm', 't', '`':
		return false // moves, which end at the edge, and numbers that are no counts
	}
	for _, p := range params {
		if p.Param(0) > limit {
			return true
		}
	}
	return false
}

func (t *Terminal) setMode(m ansi.Mode, on bool) {
	switch m {
	case ansi.ModeCursorKeys:
		t.application = on
	case ansi.ModeBracketedPaste:
		t.bracketed = on
	}
}

// Write shows output of the machine. Whatever the bytes are, it never fails.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		n := min(writeSize, len(rest))
		if n < len(rest) {
			n = wholeRunes(rest[:n])
		}
		t.writeLocked(rest[:n])
		rest = rest[n:]
	}
	return len(p), nil
}

// wholeRunes returns how much of p ends with a whole rune, or all of it.
func wholeRunes(p []byte) int {
	for i := 1; i < utf8.UTFMax && i < len(p); i++ {
		if start := len(p) - i; utf8.RuneStart(p[start]) {
			if !utf8.FullRune(p[start:]) {
				return start
			}
			break
		}
	}
	return len(p)
}

// writeLocked begins a new screen where the emulator gives up: machines print
// garbage, when their baud rate is wrong for example, and one of them must not
// end the session of a person, let alone the server.
func (t *Terminal) writeLocked(p []byte) {
	defer func() {
		if recover() != nil {
			t.stop()
			t.start()
		}
	}()
	_, _ = t.screen.Write(p)
}

// Close ends the terminal's goroutine.
func (t *Terminal) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
}

// View is a part of a screen, ready to be shown.
type View struct {
	Rows             []string // styled; none is wider than was asked for
	CursorX, CursorY int      // in Rows
	CursorVisible    bool
}

// View returns the part of the screen that fits into width and height cells
// and has the cursor in it.
func (t *Terminal) View(width, height int) View {
	t.mu.Lock()
	defer t.mu.Unlock()
	width, height = min(max(width, 0), Columns), min(max(height, 0), Rows)
	cursor := t.screen.CursorPosition()
	left := max(0, cursor.X-width+1)
	top := max(0, cursor.Y-height+1)
	v := View{
		Rows:    make([]string, 0, height),
		CursorX: cursor.X - left, CursorY: cursor.Y - top, CursorVisible: !t.hidden,
	}
	line := make(uv.Line, 0, Columns)
	for y := top; y < top+height; y++ {
		line = line[:0]
		for x := left; x < left+width; x++ {
			cell := uv.EmptyCell
			if c := t.screen.CellAt(x, y); c != nil && !c.IsZero() {
				cell = printable(*c)
			} else if c != nil && x > left {
				continue // the right half of a wide character
			}
			if cell.Width > left+width-x {
				cell = uv.EmptyCell // its other half is not in the view
			}
			line = append(line, cell)
		}
		v.Rows = append(v.Rows, line.Render())
	}
	return v
}

// printable returns a cell as it may be drawn on a person's terminal: without
// links, and without characters that a terminal acts on instead of printing
// them (C1 controls) or that change how others are read (bidirectional marks).
func printable(c uv.Cell) uv.Cell {
	c.Link = uv.Link{}
	if c.Width < 1 || strings.IndexFunc(c.Content, unprintable) >= 0 {
		c.Content, c.Width = " ", max(1, c.Width)
		c.Content = strings.Repeat(" ", c.Width)
	}
	return c
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
