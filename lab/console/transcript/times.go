package transcript

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"
)

// Chunk is bytes that came at about the same time: within [Granularity], if no
// record of them was lost.
type Chunk struct {
	Position Position
	At       time.Time // of the first of them; zero: unknown. A clock that is set back makes it fall
	Bytes    []byte    // valid until the next chunk
}

// Chunks returns what was printed and when, from a position on, until ctx ends.
func (e *Excerpt) Chunks(ctx context.Context, from Position) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		block := make([]byte, blockSize)
		times := clock{excerpt: e}
		for p := from; ; {
			n, at, err := e.readAt(block, p)
			if err == nil {
				err = ctx.Err()
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Chunk{}, err)
				return
			}
			for b := block[:n]; len(b) > 0; {
				c, err := times.chunk(at, b)
				if !yield(c, err) || err != nil {
					return
				}
				at, b = at+Position(len(c.Bytes)), b[len(c.Bytes):]
			}
			p = at
		}
	}
}

// TimeAt returns when the byte at p, or the first behind it that may be read,
// was printed; of End, when the last one was. It is exact to [Granularity], and
// zero where that is unknown.
func (e *Excerpt) TimeAt(p Position) (time.Time, error) {
	if p = e.Next(p); p == e.End() {
		p--
	}
	if len(e.spans) == 0 {
		return time.Time{}, nil
	}
	times := clock{excerpt: e}
	return times.at(p)
}

// clock tells the time of bytes that lie near each other. The zero clock of an
// excerpt is ready for use.
type clock struct {
	excerpt  *Excerpt
	from, to Position // of what records are of
	base     Position // to which their offsets are relative
	records  []record
}

func (c *clock) at(p Position) (time.Time, error) {
	i, err := c.find(p)
	if err != nil || i < 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(c.records[i].at), nil
}

// chunk returns the first piece of b, which begins at p.
func (c *clock) chunk(p Position, b []byte) (Chunk, error) {
	i, err := c.find(p)
	if err != nil {
		return Chunk{}, err
	}
	end := min(c.to, p+Position(len(b)))
	if i+1 < len(c.records) {
		end = min(end, c.base+Position(c.records[i+1].offset))
	}
	chunk := Chunk{Position: p, Bytes: b[:end-p]}
	if i >= 0 {
		chunk.At = time.UnixMilli(c.records[i].at)
	}
	return chunk, nil
}

// find returns the index of the record that is of the byte at p; -1 for none.
func (c *clock) find(p Position) (int, error) {
	if p < c.from || p >= c.to {
		if err := c.load(p); err != nil {
			return 0, fmt.Errorf("read console log: %w", err)
		}
	}
	i, _ := slices.BinarySearchFunc(c.records, int64(p-c.base), func(r record, offset int64) int {
		if r.offset <= offset {
			return -1
		}
		return 1
	})
	return i - 1, nil
}

// load reads the records of what is around p.
func (c *clock) load(p Position) (err error) {
	e := c.excerpt
	if disk := e.onDisk.position(); p >= disk {
		c.from, c.to, c.base, c.records = disk, e.end(), disk, e.rest.came
		return nil
	}
	i := e.segmentOf(p)
	c.from, c.to = max(e.segmentEnd(i), p-blockSize/2), min(e.segmentBegin(i+1), p+blockSize/2)
	c.records = nil
	if i < 0 || p >= e.segmentEnd(i) {
		return nil // of what was never there
	}
	s := e.segments[i]
	c.base = Position(s.start)
	c.from, c.to = max(c.base, p-blockSize/2), min(e.segmentEnd(i), p+blockSize/2)
	index, err := e.log.folder.root.Open(e.log.file(s.start, indexSuffix))
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	c.records, err = recordsOf(index, s.index, int64(c.from-c.base), int64(c.to-c.base))
	if cut(err) {
		err = nil
	}
	return err
}
