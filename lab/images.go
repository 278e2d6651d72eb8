package lab

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"provisioner/store"
)

var (
	objectName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+ -]{0,126}[A-Za-z0-9+]$`)
	imageFilename = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,126}$`)

	imageTypes = []store.ImageType{store.ImageKernel, store.ImageInitrd, store.ImageBootloader}
)

// maxDescription bounds what people write about an image, in bytes.
const maxDescription = 1024

// NewImage describes an image to be added.
type NewImage struct {
	Name        string
	Description string // at most 1024 bytes
	Type        store.ImageType
	Arch        string
	Subarch     string // of a bootloader: the subarchitecture that it is for
	Filename    string // the last element of its path, as machines see it
	SHA256      string // which it must have, in hexadecimal; empty: any
	KnownGood   bool
	Public      bool // anybody may boot with it

	loose bool // a bootloader that hangs on no subarchitecture yet
}

// check refuses what cannot become an image, whatever is in the store.
func (i NewImage) check(actor Actor) error {
	sum, err := hex.DecodeString(i.SHA256)
	switch {
	case !objectName.MatchString(i.Name):
		return fail(Invalid, "add image %q: a name has 2 to 128 letters, digits, spaces and `._+-`", i.Name)
	case !imageFilename.MatchString(i.Filename):
		return fail(Invalid, "add image %s: the file name %q cannot be asked for by a bootloader: use letters, digits and `._+-`", i.Name, i.Filename)
	case !slices.Contains(imageTypes, i.Type):
		return fail(Invalid, "add image %s: type %q is none of kernel, initrd and bootloader", i.Name, i.Type)
	case len(i.Description) > maxDescription:
		return fail(Invalid, "add image %s: its description has %d bytes, and %d are possible", i.Name, len(i.Description), maxDescription)
	case i.SHA256 != "" && (err != nil || len(sum) != 32):
		return fail(Invalid, "add image %s: %q is no SHA-256: it has 64 hexadecimal digits, as sha256sum prints them", i.Name, i.SHA256)
	case i.Type == store.ImageBootloader && !actor.IsAdmin():
		return fail(Denied, "add bootloader %s: only an admin may", i.Name)
	}
	return wrap(actor.mayChange(), "add image %s", i.Name) // before its content comes
}

// checkPlace refuses what has no place in the store. It is asked before the
// content is sent, and holds again when it has come.
func (i NewImage) checkPlace(ctx context.Context, tx *store.Tx) error {
	if _, err := tx.ImageByName(ctx, i.Name); err == nil {
		return fail(Conflict, "there is an image of that name already")
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if i.Type == store.ImageBootloader && !i.loose {
		_, err := tx.Subarch(ctx, i.Arch, i.Subarch)
		if err != nil {
			return notFound(err, "subarchitecture", i.Arch+"/"+i.Subarch)
		}
	}
	known, err := tx.HasArch(ctx, i.Arch)
	if err == nil && !known {
		return missing("architecture", i.Arch)
	}
	return err
}

// AddImage keeps what it reads as an image. It is there whole, or not at all.
// Anyone with an account may; a bootloader, on which everybody's machines
// hang, only an admin. What it cannot keep it refuses before it reads.
func (l *Lab) AddImage(ctx context.Context, actor Actor, image NewImage, content io.Reader) error {
	u, err := l.BeginImage(ctx, actor, image)
	if err != nil {
		return err
	}
	defer u.Discard()
	if _, err := io.Copy(u, contextReader{ctx, content}); err != nil {
		return wrap(err, "add image %s", image.Name)
	}
	return u.Commit(ctx)
}

// insertImage keeps the row of an image whose content has come.
func (l *Lab) insertImage(ctx context.Context, tx *store.Tx, actor Actor, image NewImage, sum string, size int64) error {
	if err := image.checkPlace(ctx, tx); err != nil {
		return err
	}
	id, err := tx.AddImage(ctx, store.Image{
		Name: image.Name, Description: image.Description, Type: image.Type, Arch: image.Arch, Filename: image.Filename,
		SHA256: sum, Size: size, UserID: actor.User.ID, KnownGood: image.KnownGood, Public: image.Public, UploadedAt: l.now(),
	})
	if err != nil {
		return err
	}
	if image.Type == store.ImageBootloader && !image.loose {
		subarch, err := tx.Subarch(ctx, image.Arch, image.Subarch)
		if err != nil {
			return err
		}
		if err := tx.SetBootloader(ctx, subarch.ID, id); err != nil {
			return err
		}
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventImageAdded, Detail: string(image.Type) + " " + image.Name})
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

// Subarchs returns the flavours of machines that there can be images for, in
// order of architecture and name.
func (l *Lab) Subarchs(ctx context.Context) (subarchs []store.Subarch, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		subarchs, err = tx.Subarchs(ctx)
		return err
	})
	return subarchs, wrap(err, "list architectures")
}

// Image is an image and what refers to it.
type Image struct {
	store.Image
	Use store.ImageUse
}

// UsedBy says what uses the image, as the end of a sentence: "it is being
// installed on web-01, and ..."; empty: nothing does.
func (i Image) UsedBy() string {
	if i.Use.None() {
		return ""
	}
	return users(i.Use)
}

// Image returns an image that the actor may boot machines with.
func (l *Lab) Image(ctx context.Context, actor Actor, name string) (image Image, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		if image.Image, err = tx.ImageByName(ctx, name); err != nil {
			return notFound(err, "image", name)
		}
		if err := actor.mayUse("image", image.Name, image.UserID, image.Public); err != nil {
			return err
		}
		image.Use, err = tx.ImageUse(ctx, image.ID)
		return err
	})
	if err != nil {
		return Image{}, wrap(err, "look at image %s", name)
	}
	return image, nil
}

// ImageChange says what is to be different about an image; nil: nothing.
type ImageChange struct {
	Name        *string
	Filename    *string
	Description *string
	Type        *store.ImageType // kernel or initrd, while nothing uses it
	Arch        *string          // while nothing uses it
	KnownGood   *bool
	Public      *bool
}

// ChangeImage changes what is said of an image, not its content. Its owner and
// admins may.
func (l *Lab) ChangeImage(ctx context.Context, actor Actor, name string, change ImageChange) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		before, use, err := ownedImage(ctx, tx, actor, name)
		if err != nil {
			return err
		}
		after := before
		set(&after.Name, change.Name)
		set(&after.Filename, change.Filename)
		set(&after.Description, change.Description)
		set(&after.Type, change.Type)
		set(&after.Arch, change.Arch)
		set(&after.KnownGood, change.KnownGood)
		set(&after.Public, change.Public)
		if after == before {
			return nil
		}
		if err := checkChange(actor, before, after, use); err != nil {
			return err
		}
		err = tx.UpdateImage(ctx, after)
		switch {
		case errors.Is(err, store.ErrExists):
			return fail(Conflict, "there is an image %q already", after.Name)
		case errors.Is(err, store.ErrNotFound):
			return missing("architecture", after.Arch)
		case err != nil:
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventImageChanged, Detail: changes(before, after)})
	})
	return wrap(err, "change image %s", name)
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

func checkChange(actor Actor, before, after store.Image, use store.ImageUse) error {
	asNew := NewImage{Name: after.Name, Description: after.Description, Type: after.Type, Arch: after.Arch, Filename: after.Filename}
	if before.Type == after.Type && !actor.IsAdmin() {
		asNew.Type = store.ImageKernel // it may be a bootloader of theirs from when they were an admin
	}
	if err := asNew.check(actor); err != nil {
		return err
	}
	switch {
	case before.Type != after.Type && (before.Type == store.ImageBootloader || after.Type == store.ImageBootloader):
		return fail(Invalid, "a %s does not become a %s: add it again", before.Type, after.Type)
	case (before.Type != after.Type || before.Arch != after.Arch || before.Filename != after.Filename) && !use.None():
		return fail(Conflict, "its type, architecture and file name stay while something uses it: %s", users(use))
	}
	return nil
}

// changes is what an event says of a change.
func changes(before, after store.Image) string {
	detail := before.Name
	for _, c := range []struct{ what, before, after string }{
		{"name", before.Name, after.Name}, {"file name", before.Filename, after.Filename},
		{"description", before.Description, after.Description}, {"type", string(before.Type), string(after.Type)},
		{"architecture", before.Arch, after.Arch}, {"known good", yes(before.KnownGood), yes(after.KnownGood)},
		{"public", yes(before.Public), yes(after.Public)},
	} {
		if c.before != c.after {
			detail += fmt.Sprintf(", %s %q", c.what, c.after)
		}
	}
	return detail
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// RemoveImage removes an image, and its file with the last image of the same
// content. Its owner and admins may. While something uses it, it stays, and
// the error names what does. An admin may have machines forget that they were
// last installed with it (forget); a bootloader, and an image that a run is
// installing, stay even then.
func (l *Lab) RemoveImage(ctx context.Context, actor Actor, name string, forget bool) error {
	var image store.Image
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		var use store.ImageUse
		if image, use, err = ownedImage(ctx, tx, actor, name); err != nil {
			return err
		}
		if forget && actor.IsAdmin() && len(use.Running) == 0 {
			if err := tx.ForgetChoice(ctx, image.ID); err != nil {
				return err
			}
			use.Machines = nil
		}
		if !use.None() {
			return fail(Conflict, "%s", users(use))
		}
		if err := tx.DeleteImage(ctx, image.ID); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventImageRemoved, Detail: string(image.Type) + " " + image.Name})
	})
	if err != nil {
		return wrap(err, "remove image %s", name)
	}
	l.dropContent(context.WithoutCancel(ctx), image.SHA256)
	return nil
}

// MayChangeImage says why the actor can neither change nor remove an image:
// its owner and admins can.
func (a Actor) MayChangeImage(i store.Image) error { return a.mayChangeOf(i.UserID, i.Owner) }

// mayChangeOf says why the actor cannot change what has that owner.
func (a Actor) mayChangeOf(id int64, owner string) error {
	switch {
	case a.IsAdmin() || a.User.ID != 0 && id == a.User.ID:
		return nil
	case owner == "":
		return fail(Denied, "only an admin may")
	}
	return fail(Denied, "only %s or an admin may", owner)
}

// ownedImage finds an image that the actor may change, and what uses it.
func ownedImage(ctx context.Context, tx *store.Tx, actor Actor, name string) (image store.Image, use store.ImageUse, err error) {
	if image, err = tx.ImageByName(ctx, name); err != nil {
		return image, use, notFound(err, "image", name)
	}
	if err := actor.MayChangeImage(image); err != nil {
		return image, use, err
	}
	use, err = tx.ImageUse(ctx, image.ID)
	return image, use, err
}

// users is a sentence about what uses an image.
func users(use store.ImageUse) string {
	var parts []string
	for _, u := range []struct {
		what  string
		names []string
	}{
		{"is being installed on ", use.Running}, {"was last installed on ", use.Machines}, {"is the bootloader of ", use.Subarchs},
	} {
		if len(u.names) > 0 {
			parts = append(parts, u.what+someOf(u.names))
		}
	}
	return "it " + strings.Join(parts, ", and ")
}

// someOf names the first few of many.
func someOf(names []string) string {
	const few = 8
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
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
