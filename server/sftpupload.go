package server

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"provisioner/lab"
)

// maxEarly bounds what has come of a file before what belongs in front of it,
// in bytes. The library hands over the writes of one client by eight
// goroutines, each with a packet of at most 256 KiB.
const maxEarly = 4 << 20

// sftpUpload is a file that comes over sftp, from its opening to its closing.
// It puts writes into order, so that the content can be hashed on its way.
type sftpUpload struct {
	session *sftpSession
	path    string
	name    string // of the image
	began   time.Time

	mu         sync.Mutex
	upload     *lab.Upload
	early      map[int64][]byte // by offset
	earlyBytes int
	torn       error // the connection broke off
	err        error // what went wrong first, and was told
}

// WriteAt takes a piece of the file.
func (u *sftpUpload) WriteAt(p []byte, offset int64) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return 0, u.err
	}
	if err := u.write(p, offset); err != nil {
		u.err = u.session.refuse(err)
		return 0, u.err
	}
	return len(p), nil
}

func (u *sftpUpload) write(p []byte, offset int64) error {
	switch next := u.upload.Size(); {
	case len(p) == 0:
		return nil
	case offset < next || u.early[offset] != nil:
		return errNotInOrder
	case offset > next:
		if u.earlyBytes+len(p) > maxEarly {
			return errNotInOrder
		}
		u.early[offset] = append([]byte(nil), p...)
		u.earlyBytes += len(p)
		return nil
	}
	for p != nil {
		if _, err := u.upload.Write(p); err != nil {
			return fmt.Errorf("add image %s: %w", u.name, err)
		}
		next := u.upload.Size()
		p = u.early[next]
		delete(u.early, next)
		u.earlyBytes -= len(p)
	}
	return nil
}

var errNotInOrder = &lab.Error{Code: lab.Invalid, Message: "an image is sent once, from its first byte to its last"}

// TransferError says that the connection ended before the file did. Close is
// called nonetheless.
func (u *sftpUpload) TransferError(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.torn = err
}

// Close makes an image of a file that has come whole, and leaves nothing of
// another. Whether it is whole cannot be known where somebody interrupts a put
// of an interactive sftp: OpenSSH's does not say before how long a file is, and
// closes it as if this were its end. scp, and a connection that ends, are told
// from that.
func (u *sftpUpload) Close() error {
	s := u.session
	s.ends(u.path)
	u.mu.Lock()
	defer u.mu.Unlock()
	defer u.upload.Discard()
	if err := errors.Join(u.torn, u.err); err != nil {
		return err
	}
	if len(u.early) > 0 {
		return s.refuse(errNotInOrder)
	}
	if err := u.upload.Commit(s.ctx); err != nil {
		return s.refuse(err)
	}
	return nil
}

// info is how the file stands.
func (u *sftpUpload) info() fs.FileInfo {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fileInfo{name: u.name, size: u.upload.Size(), mode: 0o644, modified: u.began}
}
