package pattern

import "unicode/utf8"

const (
	// maxLine is the length from which a line is looked at as it is, in bytes.
	maxLine = 4 << 10

	// maxString bounds how much a string in a control sequence can hide, in
	// bytes: line noise begins some that never end.
	maxString = 1 << 10

	// maxGap is how far the cursor may go to the right within a line.
	maxGap = 80
)

// state is where in a control sequence (ECMA-48 §5) the output stands.
type state uint8

const (
	ground       state = iota
	escape             // after ESC
	intermediate       // in ESC and intermediate bytes, such as the choice of a character set
	control            // in a control sequence, after CSI
	text               // in a string, such as a window's title
)

// lines puts lines together as a person sees them. It is no terminal: what is
// drawn elsewhere on the screen is a line of its own, and what is overwritten
// after a carriage return was a line.
type lines struct {
	line []byte // what the line is so far
	at   int64  // where the line begins

	state  state
	number uint16 // the first parameter of the control sequence
	params bool   // its first parameter is complete
	cr     bool   // the cursor is at the beginning of the line
	length uint16 // of the string
}

// read reads what was printed, which began at a position, and calls finished for
// each line that it ends.
func (l *lines) read(p []byte, at int64, finished func(*lines)) {
	for i := 0; i < len(p); {
		if l.state != ground {
			l.sequence(p[i], finished)
			i++
			continue
		}
		n := 0
		for n < len(p)-i && printable[p[i+n]] {
			n++
		}
		if n > 0 {
			l.print(p[i:i+n], at+int64(i), finished)
			i += n
			continue
		}
		l.control(p[i], at+int64(i), finished)
		i++
	}
}

// printable is true of what is no control character of C0. The second half is
// UTF-8, or some other character set.
var printable = func() (table [256]bool) {
	for i := range table {
		table[i] = i >= 0x20 && i != 0x7f
	}
	return table
}()

func (l *lines) print(p []byte, at int64, finished func(*lines)) {
	if l.cr {
		l.end(finished)
	}
	for len(p) > 0 {
		if len(l.line) == 0 {
			l.at = at
		}
		n := min(len(p), maxLine-len(l.line))
		l.line = append(l.line, p[:n]...)
		p, at = p[n:], at+int64(n)
		if len(l.line) == maxLine {
			l.end(finished)
		}
	}
}

// end ends the line, where there is one.
func (l *lines) end(finished func(*lines)) {
	l.cr = false
	if len(l.line) > 0 {
		finished(l)
		l.line = l.line[:0]
	}
}

// control heeds a control character of C0.
func (l *lines) control(b byte, at int64, finished func(*lines)) {
	switch b {
	case '\n', '\v', '\f':
		l.end(finished)
	case '\r':
		l.cr = true
	case '\t':
		l.print([]byte{' '}, at, finished)
	case '\b':
		l.back()
	case 0x1b:
		l.state = escape
	}
}

// back moves the cursor to the left: what was there will be overwritten.
func (l *lines) back() {
	if n := len(l.line); n > 0 && !l.cr {
		_, size := utf8.DecodeLastRune(l.line)
		l.line = l.line[:n-size]
	}
}

// sequence reads a byte of a control sequence.
func (l *lines) sequence(b byte, finished func(*lines)) {
	switch b {
	case 0x1b:
		l.state = escape // which ends a string as well
		return
	case 0x18, 0x1a: // CAN and SUB
		l.state = ground
		return
	case '\n': // no sequence has it; this one was noise
		l.state = ground
		l.end(finished)
		return
	}
	switch l.state {
	case escape:
		l.escape(b, finished)
	case intermediate:
		if b >= 0x30 {
			l.state = ground
		}
	case control:
		l.parameter(b, finished)
	case text:
		if l.length++; b == 0x07 || l.length >= maxString {
			l.state = ground
		}
	case ground:
	}
}

func (l *lines) escape(b byte, finished func(*lines)) {
	l.state = ground
	switch b {
	case '[':
		l.state, l.number, l.params, l.length = control, 0, false, 0
	case ']', 'P', 'X', '^', '_', 'k': // OSC, DCS, SOS, PM, APC; k is screen's title
		l.state, l.length = text, 0
	case 'D', 'E', 'M', 'c': // the cursor goes to another line
		l.end(finished)
	default:
		if 0x20 <= b && b < 0x30 {
			l.state = intermediate
		}
	}
}

func (l *lines) parameter(b byte, finished func(*lines)) {
	switch {
	case '0' <= b && b <= '9':
		if !l.params {
			l.number = min(l.number*10+uint16(b-'0'), 1000)
		}
	case b < 0x40:
		l.params = true
	default:
		l.state = ground
		l.move(b, finished)
		return
	}
	if l.length++; l.length >= maxString {
		l.state = ground
	}
}

// move heeds a control sequence that moves the cursor (ECMA-48 §8.3).
func (l *lines) move(final byte, finished func(*lines)) {
	n := int(max(l.number, 1))
	switch final {
	case 'A', 'B', 'E', 'F', 'H', 'd', 'f', 'S', 'T': // to another line, or to anywhere
		l.end(finished)
	case 'C': // forward
		l.gap(n)
	case 'D': // back
		for range min(n, maxGap) {
			l.back()
		}
	case 'G', '`': // to a column
		if columns := utf8.RuneCount(l.line); n-1 >= columns {
			l.gap(n - 1 - columns)
		} else {
			l.cr = true
		}
	case 'J': // erase
		if l.number >= 2 {
			l.end(finished)
		}
	}
}

// gap leaves columns empty. At the beginning of a line, they are of no interest.
func (l *lines) gap(columns int) {
	if len(l.line) == 0 || l.cr {
		return
	}
	for range min(columns, maxGap, maxLine-1-len(l.line)) {
		l.line = append(l.line, ' ')
	}
}
