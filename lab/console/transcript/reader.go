package transcript

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"
)

// From says where reading begins: the latest of what its fields say. A field
// that is zero says nothing.
type From struct {
	Since time.Time // what was printed before is left out, to half a second; for certain
	Bytes int64     // this many at most
	Lines int       // this many at most; one that has not ended counts
}

// blockSize is how much is searched for ends of lines at a time.
const blockSize = 32 << 10

// Reader reads what a log had when Read was called. It keeps no file open.
// Where segments are dropped while it reads, it goes on with those that are
// left. It is for one goroutine.
type Reader struct {
	log     *Log
	from    From
	end     place // of what was on disk
	located bool
	parts   []part // of segments, in their order
	rest    []byte // was not on disk yet
}

// part is a part of a segment.
type part struct{ start, from, to int64 }

// Read prepares to read what the log has now. It does not wait for the disk;
// the Reader does.
func (l *Log) Read(from From) *Reader {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &Reader{log: l, from: from, end: l.end}
	for _, b := range []batch{l.writing, l.pending} {
		kept := b.bytes
		for i, c := range b.came {
			if from.Since.IsZero() || c.at >= from.Since.UnixMilli() {
				continue
			}
			r.rest, r.located = nil, true // what is on disk is older still
			kept = nil
			if i+1 < len(b.came) {
				kept = b.bytes[b.came[i+1].offset:]
			}
		}
		r.rest = append(r.rest, kept...)
	}
	return r
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.locate(); err != nil {
		return 0, err
	}
	for len(r.parts) > 0 {
		first := &r.parts[0]
		n, err := r.readPart(p, *first)
		if first.from += int64(n); err != nil || n == 0 || first.from == first.to {
			r.parts = r.parts[1:]
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrNotExist) {
			return n, fmt.Errorf("read console log: %w", err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *Reader) readPart(b []byte, p part) (n int, err error) {
	f, err := r.log.folder.root.Open(r.log.file(p.start, bytesSuffix))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.ReadAt(b[:min(int64(len(b)), p.to-p.from)], p.from)
}

// Size returns how many bytes are left to read.
func (r *Reader) Size() (int64, error) {
	err := r.locate()
	size := int64(len(r.rest))
	for _, p := range r.parts {
		size += p.to - p.from
	}
	return size, err
}

// locate finds where reading begins, once.
func (r *Reader) locate() error {
	if !r.located {
		if err := r.locateParts(); err != nil {
			return fmt.Errorf("read console log: %w", err)
		}
		r.located = true
	}
	if r.from.Lines > 0 {
		if err := r.cutLines(r.from.Lines); err != nil {
			return fmt.Errorf("read console log: %w", err)
		}
		r.from.Lines = 0
	}
	if r.from.Bytes > 0 {
		r.cutBytes(r.from.Bytes)
		r.from.Bytes = 0
	}
	return nil
}

func (r *Reader) locateParts() error {
	segments, err := r.log.segments()
	if err != nil {
		return err
	}
	r.parts = nil
	for _, s := range slices.Backward(segments) {
		if s.start > r.end.start {
			continue
		}
		if s.start == r.end.start {
			s.size = min(s.size, r.end.offset)
		}
		p := part{start: s.start, to: s.size}
		whole := true
		if !r.from.Since.IsZero() {
			if p.from, whole, err = r.since(s); err != nil {
				return err
			}
		}
		if p.from < p.to {
			r.parts = append(r.parts, p)
		}
		if !whole {
			break
		}
	}
	slices.Reverse(r.parts)
	return nil
}

// since is offsetSince of a segment. One without an index is of before any time.
func (r *Reader) since(s segment) (offset int64, whole bool, err error) {
	index, err := r.log.folder.root.Open(r.log.file(s.start, indexSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return s.size, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	return offsetSince(index, s.size, r.from.Since)
}

// cutBytes moves the beginning forward, so that n bytes are left at most.
func (r *Reader) cutBytes(n int64) {
	r.rest = r.rest[max(0, int64(len(r.rest))-n):]
	n -= int64(len(r.rest))
	for i := len(r.parts) - 1; i >= 0; i-- {
		p := &r.parts[i]
		if n <= 0 {
			r.parts = r.parts[i+1:]
			return
		}
		p.from = max(p.from, p.to-n)
		n -= p.to - p.from
	}
}

// cutLines moves the beginning forward, so that n lines are left at most.
func (r *Reader) cutLines(n int) error {
	lines := lineCounter{left: n}
	if at, found := lines.back(r.rest); found {
		r.parts, r.rest = nil, r.rest[at:]
		return nil
	}
	block := make([]byte, blockSize)
	for i := len(r.parts) - 1; i >= 0; i-- {
		p := r.parts[i]
		for to := p.to; to > p.from; {
			from := max(p.from, to-blockSize)
			m, err := r.readPart(block[:to-from], part{p.start, from, to})
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) {
				r.parts = r.parts[i+1:] // this one was dropped, and those before it
				return nil
			}
			if err != nil {
				return err
			}
			if at, found := lines.back(block[:m]); found {
				r.parts = r.parts[i:]
				r.parts[0].from = from + int64(at)
				if r.parts[0].from == p.to {
					r.parts = r.parts[1:]
				}
				return nil
			}
			to = from
		}
	}
	return nil
}

// lineCounter finds the beginning of the last lines.
type lineCounter struct {
	left  int
	begun bool // the last byte of all was seen
}

// back looks at the bytes before those it has seen. found says that the lines
// begin at that byte of b.
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
