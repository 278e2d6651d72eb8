package transcript

import (
	"fmt"
	"io"
	"time"
)

// From says where reading begins: the latest of what its fields say. A field
// that is zero says nothing.
type From struct {
	Since time.Time // what was printed before is left out, to half a second; for certain
	Bytes int64     // this many at most
	Lines int       // this many at most; one that has not ended counts
}

// Reader reads what a log had when Read was called. It keeps no file open.
// Where segments are dropped while it reads, it goes on with those that are
// left. It is for one goroutine.
type Reader struct {
	excerpt *Excerpt
	from    From
	located bool
	next    Position
}

// Read prepares to read what the log has now. It does not wait for the disk;
// the Reader does.
func (l *Log) Read(from From) *Reader {
	return &Reader{excerpt: &Excerpt{snapshot: l.snapshot()}, from: from}
}

// Reader reads the excerpt from a position on.
func (e *Excerpt) Reader(from Position) *Reader {
	return &Reader{excerpt: e, located: true, next: from}
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.locate(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, at, err := r.excerpt.readAt(p, r.next)
	r.next = at + Position(n)
	return n, err
}

// WriteTo implements [io.WriterTo], for [io.Copy].
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{r}, make([]byte, blockSize))
}

// Size returns how many bytes are left to read, those included that are dropped
// meanwhile.
func (r *Reader) Size() (size int64, err error) {
	if err := r.locate(); err != nil {
		return 0, err
	}
	for _, s := range r.excerpt.spans {
		size += max(0, int64(s.to-max(s.from, r.next)))
	}
	return size, nil
}

// locate finds where reading begins, once.
func (r *Reader) locate() (err error) {
	if r.located {
		return nil
	}
	e := r.excerpt
	if e.segments == nil {
		if err := e.locate([]Window{{Since: r.from.Since}}); err != nil {
			return fmt.Errorf("read console log: %w", err)
		}
	}
	begin := e.Start()
	if r.from.Lines > 0 {
		if begin, err = e.LinesBefore(e.End(), r.from.Lines); err != nil {
			return err
		}
	}
	if r.from.Bytes > 0 {
		begin = max(begin, e.bytesBefore(r.from.Bytes))
	}
	r.next, r.located = begin, true
	return nil
}

// bytesBefore returns where the last bytes begin.
func (e *Excerpt) bytesBefore(n int64) Position {
	for i := len(e.spans) - 1; i >= 0; i-- {
		s := e.spans[i]
		if size := int64(s.to - s.from); size < n {
			n -= size
			continue
		}
		return s.to - Position(n)
	}
	return e.Start()
}
