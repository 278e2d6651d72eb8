package boot

import (
	"bytes"
	"container/list"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxCachedFile is the size up to which a file is kept, in bytes.
	maxCachedFile = 16 << 20
	// readAhead is how much of another file is read at once, in bytes.
	readAhead = 32 << 10
	// A file that was changed a moment ago may be changing: the times of files
	// are coarse.
	settled = 2 * time.Second
)

// fileCache keeps the content of files that were served, for machines that boot
// the same at the same time, up to a number of bytes. What is in use stays; a
// file for which there is no room is read from disk.
type fileCache struct {
	most int64

	mu    sync.Mutex
	size  int64
	files map[fileVersion]*list.Element // of *cachedFile
	used  list.List                     // the latest first
}

// fileVersion is a file and its state.
type fileVersion struct {
	device, inode     uint64
	size              int64
	modified, changed syscall.Timespec
}

type cachedFile struct {
	version fileVersion
	readers int
	ready   chan struct{} // closed when content or err is there
	content []byte
	err     error
}

func newFileCache(most int64) *fileCache {
	return &fileCache{most: most, files: make(map[fileVersion]*list.Element)}
}

// content is what a file has from its beginning on, kept in memory where that
// is of use. release ends its use.
func (c *fileCache) content(file TFTPFile) (from io.Reader, release func()) {
	onDisk, ok := file.(*rootFile)
	if !ok {
		return file, func() {}
	}
	if onDisk.size <= maxCachedFile {
		if kept := c.acquire(onDisk); kept != nil {
			return bytes.NewReader(kept.content), func() { c.release(kept) }
		}
	}
	return &aheadReader{from: onDisk.File, buffer: make([]byte, min(readAhead, onDisk.size+1))}, func() {}
}

// acquire returns the content of a file, which it reads unless another has; nil
// where it cannot be kept.
func (c *fileCache) acquire(file *rootFile) *cachedFile {
	version, ok := file.version()
	if !ok {
		return nil
	}
	c.mu.Lock()
	if element := c.files[version]; element != nil {
		kept := element.Value.(*cachedFile)
		kept.readers++
		c.used.MoveToFront(element)
		c.mu.Unlock()
		<-kept.ready // the one who reads it always ends
		if kept.err != nil {
			c.release(kept)
			return nil
		}
		return kept
	}
	if !c.makeRoom(version.size) {
		c.mu.Unlock()
		return nil
	}
	kept := &cachedFile{version: version, readers: 1, ready: make(chan struct{})}
	c.files[version] = c.used.PushFront(kept)
	c.size += version.size
	c.mu.Unlock()

	kept.content = make([]byte, version.size)
	_, kept.err = io.ReadFull(io.NewSectionReader(file.File, 0, version.size), kept.content)
	close(kept.ready)
	if kept.err != nil {
		c.release(kept)
		return nil
	}
	return kept
}

// makeRoom drops what nobody reads, the longest unused first, until there is
// room for size bytes.
func (c *fileCache) makeRoom(size int64) bool {
	for element := c.used.Back(); element != nil && c.size+size > c.most; {
		before := element.Prev()
		if kept := element.Value.(*cachedFile); kept.readers == 0 {
			c.drop(element)
		}
		element = before
	}
	return c.size+size <= c.most
}

func (c *fileCache) drop(element *list.Element) {
	kept := c.used.Remove(element).(*cachedFile)
	delete(c.files, kept.version)
	c.size -= kept.version.size
}

func (c *fileCache) release(kept *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept.readers--
	if element := c.files[kept.version]; kept.err != nil && kept.readers == 0 && element != nil {
		c.drop(element)
	}
}

// version of a file that has been left alone for a while.
func (f *rootFile) version() (fileVersion, bool) {
	info, err := f.Stat()
	if err != nil || time.Since(info.ModTime()) < settled {
		return fileVersion{}, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Size() != f.size {
		return fileVersion{}, false
	}
	return fileVersion{device: s.Dev, inode: s.Ino, size: f.size, modified: s.Mtim, changed: s.Ctim}, true
}

// aheadReader reads a file in larger pieces than it is read in.
type aheadReader struct {
	from   *os.File
	buffer []byte
	chunk  []byte // of buffer
}

func (r *aheadReader) Read(p []byte) (int, error) {
	if len(r.chunk) == 0 {
		n, err := r.from.Read(r.buffer)
		if n == 0 {
			return 0, err
		}
		r.chunk = r.buffer[:n]
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}
