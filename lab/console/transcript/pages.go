package transcript

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

const (
	maxPage   = 256 << 10 // bytes of a page
	pageBlock = 8 << 10   // read at a time: most pages are a screen
)

// Page is some lines of a log, as they came.
type Page struct {
	From, To Position // Text has all that is between them
	Text     []byte
}

// PageBefore returns the last lines that come before a position: at most that
// many, and less where they are long, or where something is missing between
// them. A page before the From of that one goes on with what comes before; an
// empty page says that there is nothing. Pages that are laid together are the
// whole Excerpt.
func (e *Excerpt) PageBefore(before Position, lines int) (Page, error) {
	page := Page{From: before, To: before}
	if lines <= 0 {
		return page, nil
	}
	count := lineCounter{left: lines}
	var blocks [][]byte
	for room := maxPage; room > 0; {
		block := make([]byte, min(room, pageBlock))
		n, at, err := e.readBefore(block, page.From)
		switch {
		case errors.Is(err, io.EOF), err == nil && len(blocks) > 0 && at+Position(n) != page.From:
			room = 0
			continue
		case err != nil:
			return Page{}, err
		case len(blocks) == 0:
			page.To = at + Position(n)
		}
		begin, found := count.back(block[:n])
		page.From = at + Position(begin)
		blocks = append(blocks, block[begin:n])
		if room -= n; found {
			break
		}
	}
	slices.Reverse(blocks)
	page.Text = bytes.Join(blocks, nil)
	return page, nil
}

// PageAfter is PageBefore for the lines that begin at a position.
func (e *Excerpt) PageAfter(from Position, lines int) (Page, error) {
	page := Page{From: from, To: from}
	for lines > 0 && len(page.Text) < maxPage {
		block := make([]byte, min(maxPage-len(page.Text), pageBlock))
		n, at, err := e.readAt(block, page.To)
		switch {
		case errors.Is(err, io.EOF), err == nil && len(page.Text) > 0 && at != page.To:
			return page, nil
		case err != nil:
			return Page{}, err
		case len(page.Text) == 0:
			page.From, page.To = at, at
		}
		for i, c := range block[:n] {
			if c != '\n' {
				continue
			}
			if lines--; lines == 0 {
				n = i + 1
				break
			}
		}
		page.Text = append(page.Text, block[:n]...)
		page.To += Position(n)
	}
	return page, nil
}

// LinesBefore returns where the last lines before a position begin: that many,
// or where the Excerpt starts. A line that has not ended counts, and so does
// one that something is missing of.
func (e *Excerpt) LinesBefore(before Position, lines int) (Position, error) {
	if lines <= 0 {
		return before, nil
	}
	count := lineCounter{left: lines}
	block := make([]byte, blockSize)
	for p := before; ; {
		n, at, err := e.readBefore(block, p)
		switch {
		case errors.Is(err, io.EOF):
			return p, nil
		case err != nil:
			return 0, err
		case count.begun && at+Position(n) != p:
			if count.left--; count.left == 0 {
				return p, nil
			}
			count.begun = false
		}
		if begin, found := count.back(block[:n]); found {
			return at + Position(begin), nil
		}
		p = at
	}
}

// lineCounter finds the beginning of the last lines.
type lineCounter struct {
	left  int
	begun bool // the last byte of all was seen
}

// back looks at the bytes before those it has seen. found says that the lines
// begin at that byte of b; where it is len(b), they were behind it.
func (c *lineCounter) back(b []byte) (at int, found bool) {
	end := len(b)
	if !c.begun && end > 0 {
		c.begun = true
		if b[end-1] == '\n' {
			end-- // it ends the last line
		}
	}
	for {
		end = bytes.LastIndexByte(b[:end], '\n')
		if end < 0 {
			return 0, false
		}
		if c.left--; c.left == 0 {
			return end + 1, true
		}
	}
}
