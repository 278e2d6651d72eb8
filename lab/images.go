package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"provisioner/boot"
	"provisioner/store"
)

var (
	objectName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+ -]{0,126}[A-Za-z0-9+]$`)
	imageFilename = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,126}$`)
)

// NewImage describes an image to be added.
type NewImage struct {
	Name     string
	Type     store.ImageType
	Arch     string
	Subarch  string // of a bootloader: the subarchitecture that it is for
	Filename string // the last element of its path, as machines see it
	Public   bool   // anybody may boot with it
}

// AddImage keeps what it reads as an image. It is there whole, or not at all.
// Anyone with an account may; a bootloader, on which everybody's machines
// hang, only an admin.
func (l *Lab) AddImage(ctx context.Context, actor Actor, image NewImage, content io.Reader) error {
	switch {
	case !objectName.MatchString(image.Name):
		return fail(Invalid, "add image %q: a name has 2 to 128 letters, digits, spaces and `._+-`", image.Name)
	case !imageFilename.MatchString(image.Filename):
		return fail(Invalid, "add image %s: the file name %q cannot be asked for by a bootloader: use letters, digits and `._+-`", image.Name, image.Filename)
	case image.Type == store.ImageBootloader && !actor.IsAdmin():
		return fail(Denied, "add bootloader %s: only an admin may", image.Name)
	}
	sum, size, created, err := l.keepContent(ctx, content)
	if err != nil {
		return wrap(err, "add image %s", image.Name)
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		id, err := tx.AddImage(ctx, store.Image{
			Name: image.Name, Type: image.Type, Arch: image.Arch, Filename: image.Filename,
			SHA256: sum, Size: size, UserID: actor.User.ID, Public: image.Public, UploadedAt: l.now(),
		})
		switch {
		case errors.Is(err, store.ErrExists):
			return fail(Conflict, "there is an image of that name already")
		case errors.Is(err, store.ErrNotFound):
			return missing("architecture", image.Arch)
		case err != nil:
			return err
		}
		if image.Type == store.ImageBootloader {
			subarch, err := tx.Subarch(ctx, image.Arch, image.Subarch)
			if err != nil {
				return notFound(err, "subarchitecture", image.Arch+"/"+image.Subarch)
			}
			if err := tx.SetBootloader(ctx, subarch.ID, id); err != nil {
				return err
			}
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventImageAdded, Detail: string(image.Type) + " " + image.Name})
	})
	if err != nil && created {
		l.dropContent(context.WithoutCancel(ctx), sum)
	}
	return wrap(err, "add image %s", image.Name)
}

// keepContent writes content to a file that is named by its SHA-256. created
// is false where that file was there already.
func (l *Lab) keepContent(ctx context.Context, content io.Reader) (sum string, size int64, created bool, err error) {
	temporary := "upload-" + randomToken()
	file, err := l.images.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return "", 0, false, err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if removeErr := l.images.Remove(temporary); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	hash := sha256.New()
	if size, err = io.Copy(io.MultiWriter(file, hash), contextReader{ctx, content}); err != nil {
		return "", 0, false, err
	}
	if size == 0 {
		return "", 0, false, fail(Invalid, "the file is empty")
	}
	if err := file.Sync(); err != nil {
		return "", 0, false, err
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	if info, err := l.images.Stat(sum); err == nil && info.Size() == size {
		return sum, size, false, nil
	}
	return sum, size, true, l.images.Rename(temporary, sum)
}

// dropContent removes a file that no image names.
func (l *Lab) dropContent(ctx context.Context, sum string) {
	err := l.store.Write(ctx, func(tx *store.Tx) error { // a write: nobody can add it meanwhile
		n, err := tx.ImagesWithContent(ctx, sum)
		if err == nil && n == 0 {
			err = l.images.Remove(sum)
		}
		return err
	})
	if err != nil {
		l.log.Warn("a file that no image names is left behind", "file", sum, "error", err)
	}
}

// checkImageFile makes sure that what a machine will ask for is there.
func (l *Lab) checkImageFile(image store.Image) error {
	info, err := l.images.Stat(image.SHA256)
	if err == nil && info.Size() == image.Size {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it has %d bytes instead of %d", info.Size(), image.Size)
	}
	return fail(Unavailable, "the file of %s %s is damaged or missing on the server (%w): add it again under another name", image.Type, image.Name, err)
}

func (l *Lab) openImage(image store.Image) (boot.TFTPFile, error) {
	return boot.OpenInRoot(l.images, image.SHA256)
}

// Images returns the images that the actor may boot machines with.
func (l *Lab) Images(ctx context.Context, actor Actor) ([]store.Image, error) {
	var usable []store.Image
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		images, err := tx.Images(ctx)
		for _, i := range images {
			if actor.mayUse("image", i.Name, i.UserID, i.Public) == nil {
				usable = append(usable, i)
			}
		}
		return err
	})
	return usable, wrap(err, "list images")
}

// contextReader ends a copy with its context.
type contextReader struct {
	ctx  context.Context //nolint:containedctx // lives for one copy
	from io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
