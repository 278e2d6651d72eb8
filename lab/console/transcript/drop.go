package transcript

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// dropOld drops all segments that nobody has written to for too long. Of a log
// that may go on, an empty one is left, so that positions do.
func (l *Log) dropOld(mayGoOn bool) error {
	l.disk.Lock()
	defer l.disk.Unlock()
	if err := l.load(); err != nil {
		return err
	}
	last := l.current
	if err := l.drop(mayGoOn); err != nil {
		return err
	}
	if l.current.start != last.start { // nobody was writing: all of it is on disk
		l.mu.Lock()
		defer l.mu.Unlock()
		l.end = place{l.current.start, l.current.size}
	}
	return nil
}

// drop removes the oldest segments, as the limits say: what is left, and a
// whole new segment, do not exceed the total size. keepPlace has it leave an
// empty segment where nothing else is left.
func (l *Log) drop(keepPlace bool) error {
	segments, err := l.segments()
	if err != nil {
		return err
	}
	total := l.folder.limits.Segment
	for _, s := range segments {
		if s.start != l.current.start {
			total += s.size + s.index
		}
	}
	oldest := l.folder.now().Add(-l.folder.limits.Age)
	for _, s := range segments {
		if s.start == l.current.start {
			total = 0 // it goes by age only
			if keepPlace && s.size == 0 {
				break
			}
		}
		if total <= l.folder.limits.Total {
			written, err := l.written(s)
			if err != nil {
				return err
			}
			if !written.Before(oldest) {
				break
			}
		}
		if s.start == l.current.start {
			l.current = segment{start: s.start + s.size}
			if keepPlace {
				if err := l.create(); err != nil {
					return err
				}
			}
		}
		// The index first: bytes without times are of before any time.
		for _, suffix := range []string{indexSuffix, bytesSuffix} {
			if err := l.folder.root.Remove(l.file(s.start, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		total -= s.size + s.index
	}
	return nil
}

// written returns when a segment was last written to.
func (l *Log) written(s segment) (at time.Time, err error) {
	index, err := l.folder.root.Open(l.file(s.start, indexSuffix))
	if err == nil {
		defer func() { err = errors.Join(err, index.Close()) }()
		r, _, ok, err := lastRecord(index, s.index, s.size)
		if err == nil && ok {
			return time.UnixMilli(r.at), nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
	}
	info, err := l.folder.root.Stat(l.file(s.start, bytesSuffix))
	if err != nil {
		return at, err
	}
	return info.ModTime(), nil
}
