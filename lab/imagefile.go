package lab

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"provisioner/store"
)

const (
	// MaxImage is the size of the largest image, in bytes.
	MaxImage = 16 << 30

	// partFolder holds what has not come whole yet, in the folder of images.
	partFolder = "uploads"
)

// Upload is an image on its way in. What is written to it lies on the disk and
// takes no memory. It becomes an image with Commit; without that, Discard
// leaves nothing of it. Not for concurrent use.
type Upload struct {
	lab   *Lab
	actor Actor
	image NewImage
	part  *part
}

// BeginImage begins an image whose content its caller writes. It refuses, as
// [Lab.AddImage] does, what cannot be kept. End it with Discard.
func (l *Lab) BeginImage(ctx context.Context, actor Actor, image NewImage) (*Upload, error) {
	if err := image.check(actor); err != nil {
		return nil, err
	}
	err := l.store.Read(ctx, func(tx *store.Tx) error { return image.checkPlace(ctx, tx) })
	if err != nil {
		return nil, wrap(err, "add image %s", image.Name)
	}
	p, err := l.createPart(randomToken())
	if err != nil {
		return nil, wrap(err, "add image %s", image.Name)
	}
	return &Upload{lab: l, actor: actor, image: image, part: p}, nil
}

// Write adds to the content. It blocks for the disk.
func (u *Upload) Write(p []byte) (int, error) { return u.part.Write(p) }

// Size is how much has been written, in bytes.
func (u *Upload) Size() int64 { return u.part.size }

// Commit makes an image of what was written. It waits until the disk has it.
func (u *Upload) Commit(ctx context.Context) error {
	err := u.lab.publish(ctx, u.actor, u.image, u.part, func(*store.Tx) error { return nil })
	return wrap(err, "add image %s", u.image.Name)
}

// Discard ends the upload. After Commit it changes nothing.
func (u *Upload) Discard() {
	u.lab.removePart(u.part.id)
	u.part.close()
}

// part is a file that has not come whole yet. While it is open it is locked,
// so that nobody, in this process or another, takes it for one that was left.
type part struct {
	id   string
	file *os.File
	hash hash.Hash // of the first size bytes
	size int64
}

// createPart makes an empty one.
func (l *Lab) createPart(id string) (*part, error) {
	if err := l.images.MkdirAll(partFolder, 0o750); err != nil {
		return nil, diskError(err)
	}
	return l.lockPart(id, os.O_CREATE|os.O_EXCL|os.O_RDWR)
}

// cutTo makes an opened part one of size bytes, whose SHA-256 has come to
// state. What follows them is cut off.
func (p *part) cutTo(size int64, state []byte) error {
	if state != nil {
		if err := p.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
			return fmt.Errorf("restore the checksum of what has come: %w", err)
		}
	}
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fail(Unavailable, "what had come of it is damaged on the server's disk: send it again")
	}
	if err := p.file.Truncate(size); err != nil {
		return err
	}
	p.size, err = p.file.Seek(size, 0)
	return err
}

func (l *Lab) lockPart(id string, flags int) (*part, error) {
	file, err := l.images.OpenFile(path.Join(partFolder, id), flags, 0o640)
	if err != nil {
		return nil, diskError(err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written
		return nil, fail(Conflict, "another request is sending it: wait a minute until the server has noticed that it is gone")
	}
	return &part{id: id, file: file, hash: sha256.New()}, nil
}

func (p *part) Write(b []byte) (int, error) {
	if p.size+int64(len(b)) > MaxImage {
		return 0, fail(Invalid, "an image has at most %d bytes, and this one is larger", int64(MaxImage))
	}
	n, err := p.file.Write(b)
	_, _ = p.hash.Write(b[:n]) // never fails
	p.size += int64(n)
	return n, diskError(err)
}

// state is what cutTo is given to go on from here later. What it covers is on
// the disk.
func (p *part) state() ([]byte, error) {
	if err := p.file.Sync(); err != nil {
		return nil, diskError(err)
	}
	return p.hash.(encoding.BinaryMarshaler).MarshalBinary()
}

func (p *part) close() { _ = p.file.Close() } // it is on the disk already, or nobody wants it

func (l *Lab) removePart(id string) {
	if err := l.images.Remove(path.Join(partFolder, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("the file of an upload is left behind", "file", id, "error", err)
	}
}

// diskError says what to do about a disk that takes no more.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fail(Unavailable, "the disk of the data folder is full (%w): free space on it, or remove images that nobody needs", err)
	}
	return err
}

// publish makes an image of a part, named by its content, and does also in the
// same transaction. All files of images come and go in write transactions,
// so that none goes while an image with its content comes.
func (l *Lab) publish(ctx context.Context, actor Actor, image NewImage, p *part, also func(*store.Tx) error) error {
	sum := hex.EncodeToString(p.hash.Sum(nil))
	switch {
	case p.size == 0:
		return fail(Invalid, "the file is empty")
	case image.SHA256 != "" && !strings.EqualFold(image.SHA256, sum):
		return fail(Invalid, "what came has the SHA-256 %s instead of %s: send it again", sum, image.SHA256)
	}
	if err := p.file.Sync(); err != nil {
		return diskError(err)
	}
	renamed := false
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := errors.Join(l.insertImage(ctx, tx, actor, image, sum, p.size), also(tx)); err != nil {
			return err
		}
		// Where the same content is there, this replaces it: it may be damaged.
		renamed = true
		return diskError(l.images.Rename(path.Join(partFolder, p.id), sum))
	})
	if err != nil {
		if renamed {
			l.dropContent(context.WithoutCancel(ctx), sum)
		}
		return err
	}
	if info, err := p.file.Stat(); err == nil {
		l.imageChecks.trust(sum, info)
	}
	if err := l.syncImages(); err != nil {
		l.log.Warn("after a power cut the file of an image may be missing", "image", image.Name, "error", err)
	}
	return nil
}

// syncImages has the disk keep which files there are.
func (l *Lab) syncImages() error {
	folder, err := l.images.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// dropContent removes a file if no image names it.
func (l *Lab) dropContent(ctx context.Context, sum string) {
	err := l.store.Write(ctx, func(tx *store.Tx) error { // a write: nobody can add it meanwhile
		n, err := tx.ImagesWithContent(ctx, sum)
		if err == nil && n == 0 {
			l.imageChecks.forget(sum)
			err = l.images.Remove(sum)
		}
		return err
	})
	if err != nil {
		l.log.Warn("a file that no image names is left behind", "file", sum, "error", err)
	}
}
