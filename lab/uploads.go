package lab

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"provisioner/store"
)

const (
	// uploadTerm is how long an upload waits to be continued.
	uploadTerm = 24 * time.Hour

	// maxUploads is how many uploads one person may have begun and not ended.
	maxUploads = 8

	// saveEvery is after how many bytes the disk has what came, at the latest:
	// so much must be sent again after the server was killed.
	saveEvery = 64 << 20

	// strayAge is how old a file of nobody must be before it is removed.
	strayAge = time.Hour
)

// UploadState is an upload that may be interrupted and continued.
type UploadState struct {
	ID      string
	Offset  int64 // bytes that have come
	Size    int64 // of the whole
	Expires time.Time
	Done    bool // it has become an image
}

func uploadState(u store.Upload) UploadState {
	return UploadState{ID: u.ID, Offset: u.Received, Size: u.Image.Size, Expires: u.TouchedAt.Add(uploadTerm), Done: u.Done}
}

// CreateUpload begins an upload of size bytes that outlives requests, and the
// server. It refuses what [Lab.AddImage] would refuse. It is forgotten when
// nothing has come for 24 hours.
func (l *Lab) CreateUpload(ctx context.Context, actor Actor, image NewImage, size int64) (UploadState, error) {
	if err := image.check(actor); err != nil {
		return UploadState{}, err
	}
	if size < 1 || size > MaxImage {
		return UploadState{}, fail(Invalid, "add image %s: it has 1 to %d bytes, not %d", image.Name, int64(MaxImage), size)
	}
	if actor.User.ID == 0 {
		return UploadState{}, fail(Denied, "add image %s: a command on the server has no account that could continue it", image.Name)
	}
	u := store.Upload{
		ID: randomToken(), Subarch: image.Subarch, CreatedAt: l.now(), TouchedAt: l.now(),
		Image: store.Image{
			Name: image.Name, Description: image.Description, Type: image.Type, Arch: image.Arch, Filename: image.Filename,
			SHA256: image.SHA256, Size: size, UserID: actor.User.ID, KnownGood: image.KnownGood, Public: image.Public,
		},
	}
	p, err := l.createPart(u.ID)
	if err != nil {
		return UploadState{}, wrap(err, "add image %s", image.Name)
	}
	defer p.close()
	err = l.write(ctx, func(tx *store.Tx) error {
		if err := image.checkPlace(ctx, tx); err != nil {
			return err
		}
		n, err := tx.UnfinishedUploads(ctx, actor.User.ID)
		if err != nil {
			return err
		}
		if n >= maxUploads {
			return fail(Conflict, "you have %d unfinished uploads: end one of them, or wait until they are forgotten after %s", n, uploadTerm)
		}
		return tx.AddUpload(ctx, u)
	})
	if err != nil {
		l.removePart(u.ID)
		return UploadState{}, wrap(err, "add image %s", image.Name)
	}
	return uploadState(u), nil
}

// Upload says how far an upload of the actor's has come.
func (l *Lab) Upload(ctx context.Context, actor Actor, id string) (UploadState, error) {
	u, err := l.ownUpload(ctx, actor, id)
	if err != nil {
		return UploadState{}, err
	}
	return uploadState(u), nil
}

func (l *Lab) ownUpload(ctx context.Context, actor Actor, id string) (u store.Upload, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		u, err = tx.Upload(ctx, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && u.Image.UserID != actor.User.ID {
		return u, fail(NotFound, "there is no such upload of yours: it may have been forgotten after %s", uploadTerm)
	}
	return u, wrap(err, "look up an upload")
}

// ContinueUpload adds to an upload what it reads from content, which begins at
// offset of the whole. With its last byte it becomes an image. Where content
// breaks off, what came before is kept, and the returned state says how much
// that is. [Conflict] where offset is not how far the upload has come, or
// another request goes on with it.
func (l *Lab) ContinueUpload(ctx context.Context, actor Actor, id string, offset int64, content io.Reader) (UploadState, error) {
	u, err := l.ownUpload(ctx, actor, id)
	if err != nil {
		return UploadState{}, err
	}
	if u.Done {
		return uploadState(u), continueAt(u, offset)
	}
	p, err := l.lockPart(id, os.O_RDWR)
	if err != nil {
		return UploadState{}, l.partGone(ctx, u, err)
	}
	defer p.close()
	// Before this request had the file, another may have gone on with it, or
	// made an image of the very file.
	if u, err = l.ownUpload(ctx, actor, id); err != nil {
		return UploadState{}, err
	}
	if err := continueAt(u, offset); err != nil || u.Done {
		return uploadState(u), err
	}
	if err := p.cutTo(u.Received, u.HashState); err != nil {
		return uploadState(u), wrap(err, "continue upload of %s", u.Image.Name)
	}
	err = l.receive(ctx, &u, p, content)
	if err == nil && u.Received == u.Image.Size {
		err = l.finishUpload(context.WithoutCancel(ctx), actor, &u, p) // though the client may have gone
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		// It would keep the disk full for as long as it waits.
		err = errors.Join(err, l.dropUpload(context.WithoutCancel(ctx), u.ID))
	}
	return uploadState(u), wrap(err, "continue upload of %s", u.Image.Name)
}

// continueAt refuses what does not begin where the upload has come to.
func continueAt(u store.Upload, offset int64) error {
	if offset == u.Received {
		return nil
	}
	return fail(Conflict, "continue upload of %s: %d bytes have come, and these begin at %d", u.Image.Name, u.Received, offset)
}

// partGone is why a part cannot be opened.
func (l *Lab) partGone(ctx context.Context, u store.Upload, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return wrap(err, "continue upload of %s", u.Image.Name)
	}
	_ = l.dropUpload(ctx, u.ID) // it is gone; its term ends otherwise
	return fail(NotFound, "continue upload of %s: what had come of it is gone from the server's disk: send it again", u.Image.Name)
}

// receive reads content into p, until it ends or all has come, and saves how
// far it came from time to time. What came before an error is saved, too.
func (l *Lab) receive(ctx context.Context, u *store.Upload, p *part, content io.Reader) error {
	for {
		n := min(u.Image.Size-u.Received, saveEvery)
		_, err := io.CopyN(p, contextReader{ctx, content}, n)
		if saveErr := l.saveUpload(context.WithoutCancel(ctx), u, p); saveErr != nil {
			return errors.Join(err, saveErr)
		}
		switch {
		case errors.Is(err, io.EOF): // a piece need not be the rest
			return nil
		case err != nil:
			return err
		case u.Received == u.Image.Size:
			return nil
		}
	}
}

func (l *Lab) saveUpload(ctx context.Context, u *store.Upload, p *part) error {
	state, err := p.state()
	if err != nil {
		return err
	}
	err = l.store.Write(ctx, func(tx *store.Tx) error { return tx.SetUploadReceived(ctx, u.ID, p.size, state, l.now()) })
	if err == nil {
		u.Received, u.HashState, u.TouchedAt = p.size, state, l.now()
	}
	return err
}

// finishUpload makes an image of an upload that has come whole. One that can
// never become one is dropped.
func (l *Lab) finishUpload(ctx context.Context, actor Actor, u *store.Upload, p *part) error {
	i := u.Image
	image := NewImage{
		Name: i.Name, Description: i.Description, Type: i.Type, Arch: i.Arch, Subarch: u.Subarch, Filename: i.Filename,
		SHA256: i.SHA256, KnownGood: i.KnownGood, Public: i.Public,
	}
	err := image.check(actor) // who may have lost a role since it began
	if err == nil {
		err = l.publish(ctx, actor, image, p, func(tx *store.Tx) error { return tx.FinishUpload(ctx, u.ID) })
	}
	switch {
	case err == nil:
		u.Done = true
	case CodeOf(err) != Unavailable && CodeOf(err) != Internal:
		err = errors.Join(err, l.dropUpload(ctx, u.ID))
	}
	return err
}

// CancelUpload ends an upload of the actor's and removes what has come of it.
// An image that it has become stays.
func (l *Lab) CancelUpload(ctx context.Context, actor Actor, id string) error {
	u, err := l.ownUpload(ctx, actor, id)
	if err != nil {
		return err
	}
	return wrap(l.dropUpload(ctx, u.ID), "end upload of %s", u.Image.Name)
}

func (l *Lab) dropUpload(ctx context.Context, id string) error {
	err := l.store.Write(ctx, func(tx *store.Tx) error { return tx.DeleteUpload(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		err = nil // another request was faster
	}
	if err == nil {
		l.removePart(id)
	}
	return err
}

// sweepUploads forgets uploads that nobody continued, and removes the files of
// uploads that were torn by the end of their process. What a process has open,
// it leaves alone.
func (l *Lab) sweepUploads(ctx context.Context) error {
	l.sweepMu.Lock() // or one would take what the other looks at for an upload that comes
	defer l.sweepMu.Unlock()
	var old []string
	before := l.now().Add(-uploadTerm)
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		old, err = tx.UploadsBefore(ctx, before)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range old {
		err = errors.Join(err, l.expireUpload(ctx, id, before))
	}
	entries, readErr := fs.ReadDir(l.images.FS(), partFolder)
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil
	}
	err = errors.Join(err, readErr)
	for _, e := range entries {
		err = errors.Join(err, l.removeStray(ctx, e.Name()))
	}
	return err
}

// expireUpload forgets an upload that nobody has touched since.
func (l *Lab) expireUpload(ctx context.Context, id string, before time.Time) error {
	p, err := l.lockPart(id, os.O_RDWR)
	switch {
	case err == nil:
		defer p.close()
	case !errors.Is(err, fs.ErrNotExist):
		return nil // it comes just now; the next sweep sees
	}
	err = l.store.Write(ctx, func(tx *store.Tx) error { return tx.DeleteUploadBefore(ctx, id, before) })
	if errors.Is(err, store.ErrNotFound) {
		return nil // somebody has just gone on with it
	}
	if err == nil {
		l.removePart(id)
	}
	return err
}

// removeStray removes a file of an upload that nobody knows of.
func (l *Lab) removeStray(ctx context.Context, id string) error {
	info, err := l.images.Stat(path.Join(partFolder, id))
	if err != nil || l.now().Sub(info.ModTime()) < strayAge {
		return nil // it has gone meanwhile
	}
	p, err := l.lockPart(id, os.O_RDWR)
	if err != nil {
		return nil // somebody writes to it
	}
	defer p.close()
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		_, err := tx.Upload(ctx, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		l.removePart(id)
		return nil
	}
	return err
}
