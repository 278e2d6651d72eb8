package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"provisioner/store"
)

// BootloaderSet is a bootloader and what it loads from beside itself.
type BootloaderSet struct {
	Name    string // such as shim-signed
	Version string // as people should see it; may be empty
	Arch    string
	Subarch string
	Files   []BootloaderFile // the first is what the firmware loads
}

// BootloaderFile is one file of a [BootloaderSet].
type BootloaderFile struct {
	Filename string
	Content  []byte
}

// ImportBootloader keeps the files of a set as images and hangs them on a
// subarchitecture, in the place of what was there. Machines get all of the new
// set or all of the old. Only an admin may.
func (l *Lab) ImportBootloader(ctx context.Context, actor Actor, set BootloaderSet) error {
	switch {
	case !actor.IsAdmin():
		return fail(Denied, "import bootloader %s: only an admin may", set.Name)
	case len(set.Files) == 0:
		return fail(Invalid, "import bootloader %s: it has no files", set.Name)
	}
	err := l.importBootloader(ctx, actor, set)
	return wrap(err, "import bootloader %s", set.Name)
}

func (l *Lab) importBootloader(ctx context.Context, actor Actor, set BootloaderSet) error {
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		_, err := tx.Subarch(ctx, set.Arch, set.Subarch)
		return err
	})
	if err != nil {
		return notFound(err, "subarchitecture", set.Arch+"/"+set.Subarch)
	}
	names := make([]string, len(set.Files))
	for i, file := range set.Files {
		if names[i], err = l.keepBootloaderFile(ctx, actor, set, file); err != nil {
			return err
		}
	}
	return l.write(ctx, func(tx *store.Tx) error {
		subarch, err := tx.Subarch(ctx, set.Arch, set.Subarch)
		if err != nil {
			return err
		}
		ids := make([]int64, len(names))
		for i, name := range names {
			image, err := tx.ImageByName(ctx, name)
			if err != nil {
				return notFound(err, "image", name)
			}
			ids[i] = image.ID
		}
		if err := tx.SetBootloaderFiles(ctx, subarch.ID, ids[0], ids[1:]); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{
			Kind: EventBootloader, Detail: fmt.Sprintf("%s %s on %s/%s", set.Name, set.Version, set.Arch, set.Subarch),
		})
	})
}

// keepBootloaderFile has an image of a file, and returns its name: one that is
// there, or a new one. Its content is part of its name, so that an import of
// something else never changes what other subarchitectures have.
func (l *Lab) keepBootloaderFile(ctx context.Context, actor Actor, set BootloaderSet, file BootloaderFile) (string, error) {
	sum := sha256.Sum256(file.Content)
	image := NewImage{
		Name:        fmt.Sprintf("%s %s %s %s", set.Name, set.Arch, file.Filename, hex.EncodeToString(sum[:4])),
		Description: set.Name + " " + set.Version, Type: store.ImageBootloader, Arch: set.Arch,
		Filename: file.Filename, SHA256: hex.EncodeToString(sum[:]), KnownGood: true, Public: true, loose: true,
	}
	var before store.Image
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		before, err = tx.ImageByName(ctx, image.Name)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return image.Name, l.AddImage(ctx, actor, image, bytes.NewReader(file.Content))
	case err != nil:
		return "", err
	case before.SHA256 != image.SHA256 || before.Filename != file.Filename || before.Type != store.ImageBootloader || before.Arch != set.Arch:
		return "", fail(Conflict, "there is an image %q already, and it is another: rename it first", image.Name)
	}
	return image.Name, l.checkImageFile(before)
}
