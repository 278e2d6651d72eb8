package transcript

import (
	"errors"
	"fmt"
	"io"
)

// blockSize is how much is read at a time.
const blockSize = 64 << 10

// readAt reads what is at p, or else the first that is behind it, and returns
// where that is. It may read less than b has room for; [io.EOF] says that
// nothing is there.
func (e *Excerpt) readAt(b []byte, p Position) (n int, at Position, err error) {
	for {
		i := e.spanAfter(p)
		if i == len(e.spans) {
			return 0, e.End(), io.EOF
		}
		p = max(p, e.spans[i].from)
		to := min(e.spans[i].to, p+Position(len(b)))
		if disk := e.onDisk.position(); p >= disk {
			return copy(b, e.rest.bytes[p-disk:to-disk]), p, nil
		}
		i = e.segmentOf(p)
		end := e.segmentEnd(i)
		if p >= end { // a hole
			p = e.segmentBegin(i + 1)
			continue
		}
		n, err := e.readFile(e.segments[i], b[:min(to, end)-p], p)
		if n > 0 || err != nil {
			return n, p, err
		}
		p = e.segmentBegin(i + 1)
	}
}

// readBefore reads what is before p, or else the first that is before that,
// and returns where it begins. It may read less than b has room for; [io.EOF]
// says that nothing is there.
func (e *Excerpt) readBefore(b []byte, p Position) (n int, at Position, err error) {
	for {
		i := e.spanAfter(p)
		if i == len(e.spans) || e.spans[i].from >= p {
			i--
		}
		if i < 0 {
			return 0, e.Start(), io.EOF
		}
		p = min(p, e.spans[i].to)
		from := max(e.spans[i].from, p-Position(len(b)))
		if disk := e.onDisk.position(); p > disk {
			from = max(from, disk)
			return copy(b, e.rest.bytes[from-disk:p-disk]), from, nil
		}
		i = e.segmentOf(p - 1)
		if end := e.segmentEnd(i); p > end { // a hole
			if i < 0 {
				return 0, e.Start(), io.EOF
			}
			p = end
			continue
		}
		from = max(from, Position(e.segments[i].start))
		n, err := e.readFile(e.segments[i], b[:p-from], from)
		if n > 0 || err != nil {
			return n, from, err // where the file is shorter than it was, what is left of it
		}
		p = from
	}
}

// segmentBegin returns where a segment begins, or what is not on disk.
func (e *Excerpt) segmentBegin(i int) Position {
	if i < len(e.segments) {
		return Position(e.segments[i].start)
	}
	return e.onDisk.position()
}

// segmentEnd returns where a segment ends; 0 for none.
func (e *Excerpt) segmentEnd(i int) Position {
	if i < 0 {
		return 0
	}
	return Position(e.segments[i].start + e.segments[i].size)
}

// readFile reads from a segment, which may be shorter or gone by now.
func (e *Excerpt) readFile(s segment, b []byte, p Position) (n int, err error) {
	f, err := e.log.folder.root.Open(e.log.file(s.start, bytesSuffix))
	if err == nil {
		n, err = f.ReadAt(b, int64(p)-s.start)
		err = errors.Join(err, f.Close())
	}
	if err != nil && !cut(err) && !gone(err) {
		return 0, fmt.Errorf("read console log: %w", err)
	}
	return n, nil
}

func cut(err error) bool { return errors.Is(err, io.EOF) }

// readAllBefore is readBefore that fills b, if so much comes before p without
// a gap.
func (e *Excerpt) readAllBefore(b []byte, p Position) (n int, at Position, err error) {
	at = p
	for n < len(b) {
		m, from, err := e.readBefore(b[:len(b)-n], at)
		if errors.Is(err, io.EOF) || n > 0 && from+Position(m) != at {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		copy(b[len(b)-n-m:], b[:m])
		n, at = n+m, from
	}
	copy(b, b[len(b)-n:])
	if n == 0 {
		return 0, at, io.EOF
	}
	return n, at, nil
}
