package transcript

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Granularity is how exactly times are kept: what came within it may have the
// time of its first byte.
const Granularity = 500 * time.Millisecond

const (
	// flushEvery is how long a byte may wait for the disk: well below the
	// second which a process that is killed may lose.
	flushEvery = 500 * time.Millisecond
	flushSize  = 32 << 10  // bytes that do not wait for it
	maxPending = 256 << 10 // bytes that wait for a slow disk; more are lost
)

var errSlow = errors.New("the disk is too slow")

// Log is what the console of one machine has printed. It is safe for
// concurrent use.
type Log struct {
	folder *Folder
	name   string
	logger *slog.Logger

	mu        sync.Mutex
	pending   batch // not yet on its way to the disk
	writing   batch // on its way, behind end
	end       place // of what is on disk
	scheduled bool  // pending will be written
	hurried   bool  // at once
	timer     *time.Timer
	dropped   int   // bytes for which pending had no room, since the last write
	lost      int64 // bytes that are not in the log

	disk    sync.Mutex // held while files are written or dropped; taken before mu
	loaded  bool
	current segment
	failing bool // that has been told
}

// batch is bytes that go to the disk together.
type batch struct {
	bytes []byte
	came  []record // when, for pieces of at most Granularity; offsets in bytes
}

// add appends what came at that time. A clock that was set back begins a piece.
func (b *batch) add(p []byte, now time.Time) {
	at := now.UnixMilli()
	if n := len(b.came); n == 0 || b.marked() || at < b.came[n-1].at || at-b.came[n-1].at >= Granularity.Milliseconds() {
		b.came = append(b.came, record{at: at, offset: int64(len(b.bytes))})
	}
	b.bytes = append(b.bytes, p...)
}

// marked reports whether the last piece has nothing: it says when the one
// before was over.
func (b *batch) marked() bool {
	n := len(b.came)
	return n > 0 && b.came[n-1].offset == int64(len(b.bytes))
}

// Position is a place in a log: how many bytes were printed before it, those
// that have been dropped since included. It stays right for as long as the log
// lives, over restarts, too. Where the disk has not taken what came, positions
// that were told before it failed may lie behind what they were told of.
type Position int64

// place is somewhere in the files of a log.
type place struct{ start, offset int64 }

func (p place) position() Position { return Position(p.start + p.offset) }

// segment is a pair of files.
type segment struct {
	start int64 // bytes that came before it; its name
	size  int64 // of its bytes
	index int64 // of its index
}

const (
	bytesSuffix = ".log"
	indexSuffix = ".idx"
)

func (l *Log) file(start int64, suffix string) string {
	return path.Join(l.name, fmt.Sprintf("%020d%s", start, suffix))
}

// Append adds to the log and returns where in it p begins. It never waits for
// the disk: what comes is written within a second, and what the disk does not
// take is lost and counted.
func (l *Log) Append(p []byte) Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	begin := l.endLocked()
	if len(p) == 0 {
		return begin
	}
	if len(l.pending.bytes)+len(p) > maxPending {
		l.dropped += len(p)
		l.lost += int64(len(p))
		return begin
	}
	l.pending.add(p, l.folder.now())
	l.scheduleLocked(len(l.pending.bytes) >= flushSize)
	return begin
}

// Mark says that windows of time may begin or end now: what was appended before
// is known to be older, to the millisecond, and what comes next to be newer. It
// does not wait for the disk.
func (l *Log) Mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endLocked() == 0 || l.pending.marked() {
		return
	}
	l.pending.came = append(l.pending.came, record{at: l.folder.now().UnixMilli(), offset: int64(len(l.pending.bytes))})
	l.scheduleLocked(false)
}

// scheduleLocked has pending written, and at once if it must hurry.
func (l *Log) scheduleLocked(hurry bool) {
	wait := flushEvery
	if hurry = hurry && !l.hurried; hurry {
		l.hurried, wait = true, 0
	}
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(wait, l.Flush)
	case !l.scheduled, hurry && l.timer.Stop(): // else it has fired, and takes this with it
		l.timer.Reset(wait)
	}
	l.scheduled = true
}

// End returns where the next byte will be.
func (l *Log) End() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endLocked()
}

func (l *Log) endLocked() Position {
	return l.end.position() + Position(len(l.writing.bytes)+len(l.pending.bytes))
}

// Flush writes what was appended, and blocks until it is written. It is needed
// only before the process ends; a failure is logged once, and what was not
// written is lost.
func (l *Log) Flush() {
	l.folder.writers <- struct{}{}
	defer func() { <-l.folder.writers }()
	l.disk.Lock()
	defer l.disk.Unlock()

	l.mu.Lock()
	l.writing, l.pending = l.pending, batch{}
	dropped := l.dropped
	l.scheduled, l.hurried, l.dropped = false, false, 0
	if len(l.writing.came) == 0 {
		l.mu.Unlock()
		return
	}
	l.timer.Stop()
	l.mu.Unlock()

	n, err := l.write(l.writing)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += int64(len(l.writing.bytes) - n)
	l.writing = batch{}
	l.end = place{l.current.start, l.current.size}
	if err == nil && dropped > 0 {
		err = errSlow
	}
	switch {
	case err != nil && !l.failing:
		l.logger.Error("console log has a gap, and the console goes on; see to the disk of the data folder", "error", err)
	case err == nil && l.failing:
		l.logger.Info("console log is written again", "bytes_lost", l.lost)
	}
	l.failing = err != nil
}

// Lost returns how many bytes are missing in the log since the process has
// started, because the disk was full, slow or broken.
func (l *Log) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// write appends to the current segment and returns how many bytes it has taken.
func (l *Log) write(b batch) (n int, err error) {
	if err := l.load(); err != nil {
		return 0, err
	}
	if l.current.size+l.current.index >= l.folder.limits.Segment {
		l.current = segment{start: l.current.start + l.current.size}
		if err := l.drop(true); err != nil {
			return 0, err
		}
	}
	data, size, err := l.open(bytesSuffix)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	index, indexSize, err := l.open(indexSuffix)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	// The files say how long they are: somebody may have removed them.
	l.current.size, l.current.index = size, min(l.current.index, indexSize)

	var records []byte
	for _, r := range b.came {
		records = appendRecord(records, r.at, l.current.size+r.offset)
	}
	if _, err := index.WriteAt(records, l.current.index); err != nil {
		return 0, err
	}
	n, err = data.WriteAt(b.bytes, l.current.size)
	l.current.size += int64(n)
	for _, r := range b.came {
		if r.offset < int64(n) || err == nil { // else the next record takes the place of this one
			l.current.index += recordSize
		}
	}
	return n, err
}

// open opens a file of the current segment, which it makes if need be.
func (l *Log) open(suffix string) (*os.File, int64, error) {
	name := l.file(l.current.start, suffix)
	f, err := l.folder.root.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := l.folder.root.Mkdir(l.name, 0o700); err != nil {
			return nil, 0, err
		}
		f, err = l.folder.root.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// create makes the file of the current segment.
func (l *Log) create() error {
	f, _, err := l.open(bytesSuffix)
	if err != nil {
		return err
	}
	return f.Close()
}

// prepare makes what an earlier process has written readable.
func (l *Log) prepare() error {
	l.disk.Lock()
	defer l.disk.Unlock()
	return l.load()
}

// load finds out where the log stopped, once.
func (l *Log) load() error {
	if l.loaded {
		return nil
	}
	segments, err := l.segments()
	if err != nil {
		return err
	}
	if len(segments) > 0 {
		l.current = segments[len(segments)-1]
		if l.current.index, err = l.repairIndex(l.current); err != nil {
			return err
		}
	}
	l.loaded = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = place{l.current.start, l.current.size}
	return nil
}

// repairIndex cuts off what a crash has left of a write: a part of a record,
// and records of bytes that never came. It returns the size of the rest.
func (l *Log) repairIndex(s segment) (size int64, err error) {
	index, err := l.folder.root.OpenFile(l.file(s.start, indexSuffix), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	_, end, _, err := lastRecord(index, s.index, s.size)
	if err == nil && end != s.index {
		err = index.Truncate(end)
	}
	return end, err
}

// segments returns what is on disk, the oldest first.
func (l *Log) segments() ([]segment, error) {
	entries, err := fs.ReadDir(l.folder.root.FS(), l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, e := range entries {
		digits, found := strings.CutSuffix(e.Name(), bytesSuffix)
		start, err := strconv.ParseInt(digits, 10, 64)
		if !found || err != nil || start < 0 || l.file(start, bytesSuffix) != path.Join(l.name, e.Name()) {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil {
			continue // dropped meanwhile
		}
		s := segment{start: start, size: info.Size()}
		if info, err := l.folder.root.Stat(l.file(start, indexSuffix)); err == nil {
			s.index = info.Size()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.start, b.start) })
	return all, nil
}
