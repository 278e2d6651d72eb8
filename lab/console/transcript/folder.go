// Package transcript keeps on disk what the consoles of machines have printed:
// raw bytes, and when they came.
//
// Each machine has a folder with segments. A segment is a file of bytes as the
// machine sent them (OFFSET.log) beside an index of times (OFFSET.idx); OFFSET
// is the number of bytes that came before it, in 20 digits. A segment that has
// grown to its size is followed by another one; the oldest are dropped by total
// size and by age. Bytes go on where they stopped, so that no line is lost
// between two segments.
//
// No file is open but while it is written or read, and an idle log has no
// goroutine and no buffer: a thousand of them cost next to nothing.
package transcript

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Limits bounds what is kept of each machine. Zero fields have the defaults.
type Limits struct {
	Segment int64         // bytes of a segment with its index, about; below 1 GiB; 1 MiB
	Total   int64         // bytes of all segments with their indexes; 64 MiB
	Age     time.Duration // since a segment was last written to; 90 days
}

// maxWriters bounds how many logs are written at once, each of which may keep
// a thread waiting for the disk.
const maxWriters = 16

// sweepEvery is how often machines that print nothing are looked at, too.
const sweepEvery = time.Hour

// Folder holds the logs of all machines. It is safe for concurrent use.
type Folder struct {
	root    *os.Root
	limits  Limits
	now     func() time.Time
	writers chan struct{} // a token for each log that is being written

	mu   sync.Mutex
	logs map[string]*Log
}

// New returns the logs below root, which stays the caller's to close.
func New(root *os.Root, limits Limits, now func() time.Time) *Folder {
	if limits.Segment == 0 {
		limits.Segment = 1 << 20
	}
	if limits.Total == 0 {
		limits.Total = 64 << 20
	}
	if limits.Age == 0 {
		limits.Age = 90 * 24 * time.Hour
	}
	return &Folder{
		root: root, limits: limits, now: now,
		writers: make(chan struct{}, maxWriters), logs: make(map[string]*Log),
	}
}

// Log returns the log of that name, which must be one element of a path. It
// goes on where it stopped, after a crash, too. A name has one log, which lives
// as long as the Folder; its troubles are told to the first caller's logger.
func (f *Folder) Log(name string, logger *slog.Logger) *Log {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.logs[name]; l != nil {
		return l
	}
	l := &Log{folder: f, name: name, logger: logger}
	if err := l.prepare(); err != nil {
		logger.Error("console log cannot be read; see to the data folder", "error", err)
	}
	f.logs[name] = l
	return l
}

// Sweep drops what is too old, now and every hour, until ctx ends.
func (f *Folder) Sweep(ctx context.Context, logger *slog.Logger) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := f.dropAll(ctx); err != nil && ctx.Err() == nil {
			logger.Error("old console logs are not dropped, and it will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (f *Folder) dropAll(ctx context.Context) error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	for _, e := range entries {
		if ctx.Err() != nil || !e.IsDir() {
			continue
		}
		f.mu.Lock()
		l := f.logs[e.Name()]
		f.mu.Unlock()
		mayGoOn := l != nil
		if !mayGoOn { // of a machine that is gone, or has no BMC
			l = &Log{folder: f, name: e.Name()}
		}
		err = errors.Join(err, l.dropOld(mayGoOn))
	}
	return err
}
