package transcript

import (
	"bytes"
	"unicode/utf8"
)

// row is a line of a screen, made from the bytes at offset and behind it.
type row struct {
	offset int
	text   []byte
}

const (
	escape    = 0x1b
	tabWidth  = 8
	maxColumn = 512 // to which a control sequence may move the cursor
)

// plainer makes plain text of what is meant for a terminal. What it returns is
// valid until it is used again. The zero plainer is ready for use.
type plainer struct {
	all    []row
	text   []byte
	cells  []rune // of the row
	column int    // of the cursor
	offset int    // of the row
}

// rows returns the rows that a line is made of: one, or more where it moves
// the cursor up or down (ECMA-48 §8.3). It follows the cursor along a row only.
func (p *plainer) rows(line []byte) []row {
	p.all = p.all[:0]
	line = bytes.TrimRight(line, "\r\n")
	if isPlain(line) {
		return append(p.all, row{0, line})
	}
	p.text, p.cells, p.column, p.offset = p.text[:0], p.cells[:0], 0, 0
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == escape:
			i += p.sequence(line[i:], i)
		case c < ' ' || c == 0x7f:
			i++
			p.control(c, i)
		default:
			r, size := utf8.DecodeRune(line[i:])
			i += size
			if r >= 0x80 && r < 0xa0 { // C1 controls, ECMA-48 §5.3
				continue
			}
			p.put(r)
		}
	}
	if len(p.all) == 0 && len(p.cells) == 0 {
		return append(p.all, row{})
	}
	p.newRow(len(line))
	return p.all
}

// isPlain reports whether a line shows as it is.
func isPlain(line []byte) bool {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f || c == 0xc2 { // C1 controls begin with c2
			return false
		}
	}
	return true
}

func (p *plainer) put(r rune) {
	p.moveTo(p.column) // the cursor may be behind what was printed
	if p.column < len(p.cells) {
		p.cells[p.column] = r
	} else {
		p.cells = append(p.cells, r)
	}
	p.column++
}

func (p *plainer) moveTo(column int) {
	p.column = max(0, column)
	for len(p.cells) < p.column {
		p.cells = append(p.cells, ' ')
	}
}

// end finishes a row; what comes next is made from the bytes at offset.
func (p *plainer) end(offset int) {
	begin := len(p.text)
	for _, r := range p.cells {
		p.text = utf8.AppendRune(p.text, r)
	}
	p.all = append(p.all, row{p.offset, p.text[begin:]})
	p.cells, p.column, p.offset = p.cells[:0], 0, offset
}

// newRow is end, unless the row has nothing on it.
func (p *plainer) newRow(offset int) {
	if len(p.cells) > 0 {
		p.end(offset)
		return
	}
	p.column, p.offset = 0, offset
}

func (p *plainer) control(c byte, offset int) {
	switch c {
	case '\r':
		p.column = 0
	case '\b':
		p.column = max(0, p.column-1)
	case '\t':
		if p.column >= len(p.cells) {
			p.put('\t')
			return
		}
		p.moveTo(p.column + tabWidth - p.column%tabWidth)
	case '\n', '\v', '\f':
		p.newRow(offset)
	}
}

// sequence acts on the control sequence that b begins with, at an offset of
// the line, and returns how many bytes it has. One that the line does not end
// takes the rest of it.
func (p *plainer) sequence(b []byte, offset int) int {
	if len(b) < 2 {
		return len(b)
	}
	switch c := b[1]; {
	case c == '[': // CSI, ECMA-48 §5.4
		i := 2
		for i < len(b) && b[i] >= 0x20 && b[i] < 0x40 {
			i++
		}
		if i == len(b) || b[i] < 0x40 || b[i] > 0x7e {
			return i
		}
		p.csi(b[2:i], b[i], offset+i+1)
		return i + 1
	case bytes.IndexByte([]byte("]PX^_"), c) >= 0: // control strings, ECMA-48 §5.6; xterm ends them by BEL, too
		for i := 2; i < len(b); i++ {
			switch b[i] {
			case 0x07, 0x18, 0x1a: // BEL, CAN, SUB
				return i + 1
			case escape:
				if i+1 < len(b) && b[i+1] == '\\' {
					return i + 2
				}
				return i
			}
		}
		return len(b)
	case c == 'D' || c == 'E' || c == 'M' || c == 'c': // IND, NEL, RI, RIS
		p.newRow(offset + 2)
		return 2
	}
	i := 1
	for i < len(b) && b[i] >= 0x20 && b[i] < 0x30 {
		i++
	}
	if i < len(b) && b[i] >= 0x30 && b[i] < 0x7f {
		i++
	}
	return i
}

// csi acts on a control sequence that moves the cursor or erases.
func (p *plainer) csi(parameters []byte, final byte, offset int) {
	n := number(parameters)
	switch final {
	case 'A', 'B', 'E', 'F', 'H', 'd', 'f': // to another row
		p.newRow(offset)
	case 'C', 'a':
		p.moveTo(min(p.column+max(1, n), max(p.column, maxColumn)))
	case 'D':
		p.column = max(0, p.column-max(1, n))
	case 'G', '`':
		p.moveTo(min(max(1, n)-1, maxColumn))
	case 'K', 'J': // the rest of the row, or of the screen; all of it
		switch {
		case n == 0:
			p.cells = p.cells[:min(len(p.cells), p.column)]
		case final == 'J' && n >= 2:
			p.newRow(offset)
		case n == 2:
			p.cells = p.cells[:0]
		}
	}
}

// number is the first parameter; 0 where it is left out.
func number(parameters []byte) (n int) {
	for _, c := range parameters {
		if c < '0' || c > '9' || n > maxColumn {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}
