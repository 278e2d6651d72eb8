package transcript

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"
)

// Line is a line of a log as a person reads it: without control sequences, and
// where a carriage return or a backspace went back, with what was printed over
// the rest. It ends where the machine ended it, or moved the cursor to another
// line of the screen, or where something is missing. One of more than 64 KiB
// is cut.
type Line struct {
	Position Position  // of what it was made from
	At       time.Time // when its beginning was printed, to [Granularity]; zero: unknown
	Text     string    // valid UTF-8, without control characters but tabs
}

// Lines returns the lines from the one on that has the byte at a position,
// until ctx ends. It reads the log as it goes.
func (e *Excerpt) Lines(ctx context.Context, from Position) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		times := clock{excerpt: e}
		err := e.rows(ctx, from, true, func(p Position, text []byte) (bool, error) {
			at, err := times.at(p)
			return err == nil && yield(Line{p, at, string(bytes.ToValidUTF8(text, replacement))}, nil), err
		})
		if err != nil {
			yield(Line{}, err)
		}
	}
}

var replacement = []byte("\uFFFD")

// rowFunc is given a line, which is valid until it returns and may not be valid
// UTF-8. It says whether it wants more.
type rowFunc func(Position, []byte) (more bool, err error)

// rows gives the lines that begin at a position or behind it, and with around
// the one that has the byte there, too.
func (e *Excerpt) rows(ctx context.Context, from Position, around bool, next rowFunc) error {
	begin, err := e.lineStart(from)
	if err != nil {
		return err
	}
	var plain plainer
	return e.rawLines(ctx, begin, func(p Position, line []byte) (more bool, err error) {
		if p+Position(len(line)) <= from {
			return true, nil
		}
		rows := plain.rows(line)
		for i, r := range rows {
			at := p + Position(r.offset)
			over := i+1 < len(rows) && p+Position(rows[i+1].offset) <= from
			if at < from && (over || !around) {
				continue
			}
			if more, err = next(at, r.text); !more || err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// rowsBefore is rows of the lines that begin before a position, the last one
// first.
func (e *Excerpt) rowsBefore(ctx context.Context, before Position, next rowFunc) error {
	end, err := e.lineEnd(before)
	if err != nil {
		return err
	}
	var plain plainer
	return e.rawLinesBefore(ctx, end, func(p Position, line []byte) (more bool, err error) {
		for _, r := range slices.Backward(plain.rows(line)) {
			if p+Position(r.offset) >= before {
				continue
			}
			if more, err = next(p+Position(r.offset), r.text); !more || err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// rawLines gives each line from a position on as it came, with its end. A line
// that is longer than a block comes in blocks.
func (e *Excerpt) rawLines(ctx context.Context, from Position, next rowFunc) error {
	block := make([]byte, blockSize)
	held, at := 0, from // what of the block is left, and where it begins
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, p, err := e.readAt(block[held:], at+Position(held))
		over := errors.Is(err, io.EOF)
		if err != nil && !over {
			return err
		}
		if held > 0 && (over || p != at+Position(held)) { // the rest of it is missing
			if more, err := next(at, block[:held]); !more || err != nil {
				return err
			}
			copy(block, block[held:held+n])
			held = 0
		}
		if over {
			return nil
		}
		if held == 0 {
			at = p
		}
		b := block[:held+n]
		for searched := held; ; searched = 0 {
			end := bytes.IndexByte(b[searched:], '\n') + searched + 1
			if end == searched { // none
				if len(b) < blockSize {
					break
				}
				end = len(b)
			}
			if more, err := next(at, b[:end]); !more || err != nil {
				return err
			}
			at, b = at+Position(end), b[end:]
		}
		held = copy(block, b)
	}
}

// rawLinesBefore is rawLines of what comes before a position, which must be the
// end of a line. The last one comes first.
func (e *Excerpt) rawLinesBefore(ctx context.Context, end Position, next rowFunc) error {
	block := make([]byte, blockSize)
	for p := end; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, at, err := e.readAllBefore(block, p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p = at + Position(n)
		b := block[:n]
		if n == len(block) { // it may begin in the middle of a line
			first := bytes.IndexByte(b[:n-1], '\n') + 1
			if first == 0 {
				if p, err = e.longLine(p, block, next); err != nil || p < 0 {
					return err
				}
				continue
			}
			at, b = at+Position(first), b[first:]
		}
		for len(b) > 0 {
			begin := bytes.LastIndexByte(b[:len(b)-1], '\n') + 1
			if more, err := next(at+Position(begin), b[begin:]); !more || err != nil {
				return err
			}
			b = b[:begin]
		}
		p = at
	}
}

// longLine gives the parts of a line of a block or more that ends there, the
// last one first. It returns where the line begins; -1 says to stop.
func (e *Excerpt) longLine(end Position, block []byte, next rowFunc) (Position, error) {
	begin, err := e.lineStart(end - 1)
	if err != nil {
		return 0, err
	}
	for p := begin + (end-begin-1)/blockSize*blockSize; p >= begin; p -= blockSize {
		n, at, err := e.readAllBefore(block[:min(end, p+blockSize)-p], min(end, p+blockSize))
		if errors.Is(err, io.EOF) {
			continue // dropped meanwhile
		}
		if err != nil {
			return 0, err
		}
		if more, err := next(at, block[:n]); !more || err != nil {
			return -1, err
		}
	}
	return begin, nil
}

// lineStart returns where the line begins that has the byte at p.
func (e *Excerpt) lineStart(p Position) (Position, error) {
	p = e.Next(p)
	block := make([]byte, 4<<10) // most lines are short
	for {
		n, at, err := e.readBefore(block, p)
		switch {
		case errors.Is(err, io.EOF), err == nil && at+Position(n) != p:
			return p, nil
		case err != nil:
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			return at + Position(i+1), nil
		}
		p = at
	}
}

// lineEnd returns where the line ends that has the byte before p.
func (e *Excerpt) lineEnd(p Position) (Position, error) {
	block := make([]byte, 4<<10)
	n, at, err := e.readBefore(block[:1], p)
	switch {
	case errors.Is(err, io.EOF):
		return p, nil
	case err != nil:
		return 0, err
	}
	p = at + Position(n)
	if block[0] == '\n' {
		return p, nil
	}
	for {
		n, at, err := e.readAt(block, p)
		switch {
		case errors.Is(err, io.EOF), err == nil && at != p:
			return p, nil
		case err != nil:
			return 0, err
		}
		if i := bytes.IndexByte(block[:n], '\n'); i >= 0 {
			return at + Position(i+1), nil
		}
		p = at + Position(n)
	}
}
