package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

// imageChecks remembers which files of images were read and found to be what
// they should be, as long as this process runs and the files do not change.
// The zero value remembers none.
type imageChecks struct {
	mu    sync.Mutex
	files map[string]*imageCheck // by SHA-256
}

// imageCheck is of one file. Whoever holds the turn may read and write it, so
// that two hundred machines that boot at once have it read once.
type imageCheck struct {
	turn     chan struct{} // holds one token
	size     int64
	modified time.Time
	err      error // what was wrong with a file of that size and time
}

func (c *imageChecks) of(sum string) *imageCheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = make(map[string]*imageCheck)
	}
	if c.files[sum] == nil {
		c.files[sum] = &imageCheck{turn: make(chan struct{}, 1)}
	}
	return c.files[sum]
}

// trust notes a file whose content was hashed on its way in.
func (c *imageChecks) trust(sum string, info fs.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = make(map[string]*imageCheck)
	}
	// A new one: the old one may be held by somebody who reads the old file.
	c.files[sum] = &imageCheck{turn: make(chan struct{}, 1), size: info.Size(), modified: info.ModTime()}
}

func (c *imageChecks) forget(sum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.files, sum)
}

// checkImageFile makes sure that what a machine will ask for is there. It does
// not read it.
func (l *Lab) checkImageFile(image store.Image) error {
	info, err := l.images.Stat(image.SHA256)
	if err == nil && info.Size() == image.Size {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it has %d bytes instead of %d", info.Size(), image.Size)
	}
	return fileDamaged(image, err)
}

func fileDamaged(image store.Image, err error) error {
	return fail(Unavailable, "the file of %s %s is damaged or missing on the server (%w): add it again under another name", image.Type, image.Name, err)
}

// openImage opens the file of an image. The first time after a start, or after
// the file has changed, it reads all of it first, and refuses what is not what
// was uploaded.
func (l *Lab) openImage(ctx context.Context, image store.Image) (boot.TFTPFile, error) {
	file, err := l.images.Open(image.SHA256)
	if err != nil {
		return nil, fileDamaged(image, err)
	}
	if err := l.verifyImage(ctx, image, file); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return imageFile{file, image.Size}, nil
}

type imageFile struct {
	*os.File
	size int64
}

func (f imageFile) Size() int64 { return f.size }

// verifyImage reads a file that was not read as it is now. One that is
// damaged is told of once.
func (l *Lab) verifyImage(ctx context.Context, image store.Image, file *os.File) error {
	check := l.imageChecks.of(image.SHA256)
	select {
	case check.turn <- struct{}{}:
		defer func() { <-check.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	info, err := file.Stat()
	if err != nil {
		return fileDamaged(image, err)
	}
	if info.Size() == check.size && info.ModTime().Equal(check.modified) {
		return check.err
	}
	err = hashIs(ctx, file, info.Size(), image)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	check.size, check.modified, check.err = info.Size(), info.ModTime(), nil
	if err == nil {
		return nil
	}
	check.err = fileDamaged(image, err)
	l.log.Error("an image is not served", "image", image.Name, "file", image.SHA256, "error", err)
	err = l.write(ctx, func(tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{At: l.now(), Kind: EventImageDamaged, Detail: image.Name + ": " + err.Error()})
	})
	if err != nil {
		l.log.Error("no event of a damaged image", "image", image.Name, "error", err)
	}
	return check.err
}

// hashIs says how a file differs from an image; nil: it does not.
func hashIs(ctx context.Context, file io.ReaderAt, size int64, image store.Image) error {
	if size != image.Size {
		return fmt.Errorf("it has %d bytes instead of %d", size, image.Size)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, contextReader{ctx, io.NewSectionReader(file, 0, size)}); err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != image.SHA256 {
		return fmt.Errorf("its SHA-256 is %s instead of %s", sum, image.SHA256)
	}
	return nil
}
