package transcript

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// File is an excerpt as one file: what may be read of all segments, one behind
// the other, with nothing in the place of what is not there. Where a byte is in
// it stays as it is, also in later excerpts with the same windows, until the log
// drops its oldest segments. It is safe for concurrent use, needs no end, and
// has in memory a few words for each segment.
type File struct {
	excerpt *Excerpt
	parts   []part // the oldest first
	size    int64
}

// part is a span that has no holes.
type part struct {
	span
	offset int64 // in the file
}

// errDropped is what reading returns where the log has dropped meanwhile what
// was still to be read.
var errDropped = errors.New("read console log: what was there is dropped by now, to keep the log within its limits")

// File returns the excerpt as a file.
func (e *Excerpt) File() *File {
	f := &File{excerpt: e}
	for _, s := range e.spans {
		for p := s.from; p < s.to; {
			end := s.to
			if p < e.onDisk.position() {
				i := e.segmentOf(p)
				if end = min(end, e.segmentEnd(i)); p >= end { // a hole
					p = e.segmentBegin(i + 1)
					continue
				}
			}
			f.add(span{p, end})
			p = end
		}
	}
	return f
}

func (f *File) add(s span) {
	if n := len(f.parts); n > 0 && f.parts[n-1].to == s.from {
		f.parts[n-1].to = s.to
	} else {
		f.parts = append(f.parts, part{s, f.size})
	}
	f.size += int64(s.to - s.from)
}

// Size returns how many bytes the file has.
func (f *File) Size() int64 { return f.size }

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, errors.New("read console log: an offset below 0")
	}
	for n < len(b) {
		i, found := slices.BinarySearchFunc(f.parts, offset, func(p part, offset int64) int { return cmp.Compare(p.offset, offset) })
		if !found {
			i--
		}
		if i < 0 || offset >= f.size {
			return n, io.EOF
		}
		p := f.parts[i].from + Position(offset-f.parts[i].offset)
		got, at, err := f.excerpt.readAt(b[n:min(len(b), n+int(f.parts[i].to-p))], p)
		if err == nil && at != p || errors.Is(err, io.EOF) {
			err = errDropped
		}
		if err != nil {
			return n, err
		}
		n += got
		offset += int64(got)
	}
	return n, nil
}
