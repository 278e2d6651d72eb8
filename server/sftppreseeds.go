package server

import (
	"cmp"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

// sftpPreseeds is the folder of the preseeds that the person may install with.
// One that is written is kept when all of it has come, and only where it can be
// read as a template; one that is there is changed by that.
type sftpPreseeds struct{ session *sftpSession }

// preseed is the name of the preseed at a path.
func (s sftpPreseeds) preseed(path string) (string, error) {
	name := strings.TrimPrefix(path, preseedsFolder+"/")
	if path == preseedsFolder || strings.Contains(name, "/") {
		return "", errNoSuchFile
	}
	return name, nil
}

func (s sftpPreseeds) open(path string) (io.ReaderAt, error) {
	name, err := s.preseed(path)
	if err != nil {
		return nil, err
	}
	preseed, err := s.session.lab.Preseed(s.session.ctx, s.session.actor, name)
	if err != nil {
		return nil, err
	}
	return strings.NewReader(preseed.Content), nil
}

func (s sftpPreseeds) create(path string) (sftpTransfer, error) {
	name, err := s.preseed(path)
	if err != nil {
		return nil, invalid("%q is no preseed: preseeds/NAME are", path)
	}
	return &preseedUpload{session: s.session, path: path, name: name, began: time.Now()}, nil
}

func (s sftpPreseeds) remove(path string) error {
	name, err := s.preseed(path)
	if err != nil {
		return err
	}
	return s.session.lab.RemovePreseed(s.session.ctx, s.session.actor, name, false)
}

func (s sftpPreseeds) rename(from, to string) error {
	name, err := s.preseed(from)
	if err != nil {
		return err
	}
	after, err := s.preseed(to)
	if err != nil {
		return invalid("a preseed can be given another name, and not be moved")
	}
	return s.session.lab.ChangePreseed(s.session.ctx, s.session.actor, name, lab.PreseedChange{Name: &after})
}

func (s sftpPreseeds) list(path string) (sftp.ListerAt, error) {
	if path != preseedsFolder {
		return nil, errNoSuchFile
	}
	preseeds, err := s.session.lab.Preseeds(s.session.ctx, s.session.actor)
	names := make([]string, len(preseeds))
	for i, p := range preseeds {
		names[i] = p.Name
	}
	return lazyListing{names, func(name string) (fileInfo, error) {
		preseed, err := s.session.lab.Preseed(s.session.ctx, s.session.actor, name)
		return s.info(preseed.Preseed), err
	}}, err
}

func (s sftpPreseeds) stat(path string) (fs.FileInfo, error) {
	if path == preseedsFolder {
		return folderInfo(preseedsFolder), nil
	}
	name, err := s.preseed(path)
	if err != nil {
		return nil, err
	}
	preseed, err := s.session.lab.Preseed(s.session.ctx, s.session.actor, name)
	if err != nil && lab.CodeOf(err) == lab.NotFound {
		return nil, errNoSuchFile // as clients ask before they send one
	}
	return s.info(preseed.Preseed), err
}

func (s sftpPreseeds) info(p store.Preseed) fileInfo {
	mode := fs.FileMode(0o444)
	if s.session.actor.MayChangePreseed(p) == nil {
		mode = 0o644
	}
	return fileInfo{name: p.Name, size: int64(len(p.Content)), mode: mode, modified: p.UpdatedAt}
}

// preseedSuffixes are the types of preseeds by what their names end in.
var preseedSuffixes = map[string]boot.PreseedType{
	".ks": boot.Kickstart, ".xml": boot.AutoYaST, ".yaml": boot.CloudInit, ".yml": boot.CloudInit, ".ign": boot.Ignition,
}

// preseedUpload is a preseed that comes, until it is closed.
type preseedUpload struct {
	session *sftpSession
	path    string
	name    string
	began   time.Time

	mu      sync.Mutex
	content []byte
	came    int64 // bytes, to find out whether some are missing
	torn    error // the connection broke off
}

// WriteAt takes a piece of it.
func (u *preseedUpload) WriteAt(p []byte, offset int64) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if offset < 0 || offset+int64(len(p)) > lab.MaxPreseed {
		return 0, u.session.refuse(invalid("preseed %s: it has more than %d bytes", u.name, lab.MaxPreseed))
	}
	if missing := offset + int64(len(p)) - int64(len(u.content)); missing > 0 {
		u.content = append(u.content, make([]byte, missing)...)
	}
	u.came += int64(copy(u.content[offset:], p))
	return len(p), nil
}

// TransferError says that the connection ended before the file did. Close is
// called nonetheless.
func (u *preseedUpload) TransferError(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.torn = err
}

// Close keeps it, if it has come whole.
func (u *preseedUpload) Close() error {
	u.session.ends(u.path)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.torn != nil:
		return u.torn
	case u.came != int64(len(u.content)):
		return u.session.refuse(invalid("preseed %s: send all of it, once", u.name))
	case u.came == 0:
		return u.session.refuse(invalid("preseed %s: the file is empty", u.name))
	}
	return u.session.refuse(u.keep(string(u.content)))
}

func (u *preseedUpload) keep(content string) error {
	s := u.session
	err := s.lab.ChangePreseed(s.ctx, s.actor, u.name, lab.PreseedChange{Content: &content})
	if err == nil || lab.CodeOf(err) != lab.NotFound {
		return err
	}
	kind := cmp.Or(preseedSuffixes[strings.ToLower(path.Ext(u.name))], boot.Preseed)
	return s.lab.AddPreseed(s.ctx, s.actor, lab.NewPreseed{Name: u.name, Type: string(kind), Content: content})
}

func (u *preseedUpload) info() fs.FileInfo {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fileInfo{name: u.name, size: int64(len(u.content)), mode: 0o644, modified: u.began}
}
