package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"charm.land/ssh"
	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
)

// maxSFTPUploads is how many files one session may send at the same time.
const maxSFTPUploads = 8

// sftpSession is what scp and sftp see: folders of images, preseeds and
// console logs. It gives each request to the folder that it is about, and says
// errors to the person.
type sftpSession struct {
	ctx     context.Context //nolint:containedctx // lives for one session
	lab     *lab.Lab
	actor   lab.Actor
	notes   io.Writer
	folders map[string]sftpFolder // by their names

	mu      sync.Mutex
	uploads map[string]sftpTransfer // that go on, by their paths
}

// sftpFolder is one of the folders. Paths begin with its name, have no slash
// around them, and no element that leads elsewhere. Errors are sentences with a
// [lab.Code].
type sftpFolder interface {
	open(path string) (io.ReaderAt, error)
	create(path string) (sftpTransfer, error)
	remove(path string) error
	rename(from, to string) error
	list(path string) (sftp.ListerAt, error)
	stat(path string) (fs.FileInfo, error) // of what is no upload
}

// sftpTransfer is a file that a client sends, until it is closed. The library
// tells it with TransferError that the connection has ended before.
type sftpTransfer interface {
	io.WriterAt
	io.Closer
	sftp.TransferError
	info() fs.FileInfo // as it stands
}

func newSFTPSession(ctx context.Context, l *lab.Lab, actor lab.Actor, notes io.Writer) *sftpSession {
	s := &sftpSession{ctx: ctx, lab: l, actor: actor, notes: notes, uploads: make(map[string]sftpTransfer)}
	s.folders = map[string]sftpFolder{
		imagesFolder: sftpImages{s}, preseedsFolder: sftpPreseeds{s}, logsFolder: sftpLogs{s},
	}
	return s
}

// The names of the folders.
const (
	imagesFolder   = "images"
	preseedsFolder = "preseeds"
	logsFolder     = "logs"
)

// sftp serves scp and sftp (OpenSSH 9's scp speaks sftp, too).
func (s *Server) sftp(sess ssh.Session) {
	var actor lab.Actor
	err := error(&lab.Error{Code: lab.Denied, Message: "log in with an ssh key"})
	if key := sess.PublicKey(); key != nil {
		// Who has not claimed the server yet has no account, and is refused.
		actor, err = s.lab.Login(sess.Context(), sess.User(), gossh.FingerprintSHA256(key), sess.RemoteAddr().String())
	}
	if err != nil {
		_ = sess.Exit(s.tell(sess.Stderr(), nil, sess.User(), err)) // the client may have gone
		return
	}
	ctx, leave := s.stay(sess.Context(), actor)
	defer leave()
	// Serve ends with the session only, which is ended with what a person must know.
	defer context.AfterFunc(ctx, func() { _ = sess.Exit(s.tell(sess.Stderr(), nil, sess.User(), ended(ctx, nil))) })()
	files := newSFTPSession(ctx, s.lab, actor, sess.Stderr())
	if err := files.serve(sess); err != nil { // the client has gone, or sent what is no sftp: there is nobody to tell
		s.log.Debug("sftp session ended", "user", sess.User(), "error", err)
	}
	_ = sess.Exit(0)
}

// serve answers a client until it ends, with an error that says how.
func (s *sftpSession) serve(client io.ReadWriteCloser) error {
	handlers := sftp.Handlers{FileGet: s, FilePut: s, FileCmd: s, FileList: s}
	return sftp.NewRequestServer(newInOrder(s.ctx, client), handlers).Serve()
}

// sftpError gives the protocol's code to a sentence.
type sftpError struct {
	error
	code error
}

func (e sftpError) Unwrap() error { return e.code }

// refuse tells the person why, since most clients print no more than the code.
func (s *sftpSession) refuse(err error) error {
	if err == nil || errors.Is(err, errNoSuchFile) {
		return sftpStatus(err)
	}
	_, _ = fmt.Fprintf(s.notes, "provisioner: %s\n", printable(err.Error()))
	return sftpStatus(err)
}

func sftpStatus(err error) error {
	if err == nil {
		return nil
	}
	switch lab.CodeOf(err) {
	case lab.NotFound:
		return sftpError{err, sftp.ErrSSHFxNoSuchFile}
	case lab.Denied:
		return sftpError{err, sftp.ErrSSHFxPermissionDenied}
	}
	return sftpError{err, sftp.ErrSSHFxFailure}
}

// errNoSuchFile is not said: clients ask for files that need not be there.
var errNoSuchFile = &lab.Error{Code: lab.NotFound, Message: "there is no such file"}

// place finds the folder that a path is in; nil: it is their own folder.
func (s *sftpSession) place(path string) (folder sftpFolder, clean string, err error) {
	clean = strings.Trim(path, "/")
	if clean == "" || clean == "." {
		return nil, "", nil
	}
	elements := strings.Split(clean, "/")
	for _, e := range elements {
		if e == "" || e == "." || e == ".." || strings.ContainsAny(e, "\x00\\") {
			return nil, "", invalid("%q is no place for a file", path)
		}
	}
	folder = s.folders[elements[0]]
	if folder == nil {
		return nil, "", invalid("%q is not below images/, preseeds/ or logs/", path)
	}
	return folder, clean, nil
}

// Fileread opens a file to be read.
func (s *sftpSession) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	folder, path, err := s.place(r.Filepath)
	if err != nil || folder == nil {
		return nil, sftpStatus(errNoSuchFile)
	}
	file, err := folder.open(path)
	if err != nil {
		return nil, s.refuse(err)
	}
	return file, nil
}

// Filewrite begins a file.
func (s *sftpSession) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	folder, path, err := s.place(r.Filepath)
	switch {
	case err != nil:
		return nil, s.refuse(err)
	case folder == nil:
		return nil, s.refuse(invalid("%q is a folder", r.Filepath))
	case r.Pflags().Append:
		return nil, s.refuse(invalid("nothing can be added to a file: send all of it"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uploads) >= maxSFTPUploads || s.uploads[path] != nil {
		return nil, s.refuse(&lab.Error{Code: lab.Conflict, Message: "another file is being sent: wait for it"})
	}
	upload, err := folder.create(path)
	if err != nil {
		return nil, s.refuse(err)
	}
	s.uploads[path] = upload
	return upload, nil
}

// ends forgets an upload that is closed.
func (s *sftpSession) ends(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, path)
}

// Filecmd changes what is there. Clients set modes and times of what they have
// sent, which nothing here has.
func (s *sftpSession) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return nil
	case "Remove", "Rename":
		folder, path, err := s.place(r.Filepath)
		if err != nil || folder == nil {
			return sftpStatus(errNoSuchFile)
		}
		if r.Method == "Remove" {
			return s.refuse(folder.remove(path))
		}
		target, to, err := s.place(r.Target)
		if err == nil && target != folder {
			err = invalid("a file can be given another name, and not be moved")
		}
		if err != nil {
			return s.refuse(err)
		}
		return s.refuse(folder.rename(path, to))
	}
	return sftp.ErrSSHFxOpUnsupported
}

// Filelist lists a folder, or says what is at a path.
func (s *sftpSession) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	folder, path, err := s.place(r.Filepath)
	if err != nil {
		return nil, sftpStatus(errNoSuchFile)
	}
	if r.Method == "List" {
		if folder == nil {
			return folders(slices.Sorted(maps.Keys(s.folders))...), nil
		}
		list, err := folder.list(path)
		return list, s.refuse(err)
	}
	if folder == nil {
		return listing{folderInfo("/")}, nil
	}
	s.mu.Lock()
	upload := s.uploads[path]
	s.mu.Unlock()
	if upload != nil {
		return listing{upload.info()}, nil
	}
	info, err := folder.stat(path)
	if err != nil {
		return nil, s.refuse(err)
	}
	return listing{info}, nil
}

// listing is a folder's content.
type listing []fs.FileInfo

// ListAt copies a part of the listing, as [sftp.ListerAt] has it.
func (l listing) ListAt(into []os.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// lazyListing is the content of a folder of which each file is looked at only
// when it is listed: there may be very many, and clients ask for some at a time.
type lazyListing struct {
	names []string
	info  func(name string) (fileInfo, error)
}

// ListAt implements [sftp.ListerAt]. What cannot be looked at, since it was
// removed just now, is there without a size: the client counts.
func (l lazyListing) ListAt(into []os.FileInfo, offset int64) (n int, err error) {
	for ; offset < int64(len(l.names)) && n < len(into); offset++ {
		info, err := l.info(l.names[offset])
		if err != nil {
			info = fileInfo{name: l.names[offset], mode: 0o444}
		}
		into[n] = info
		n++
	}
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

func folders(names ...string) (l listing) {
	for _, name := range names {
		l = append(l, folderInfo(name))
	}
	return l
}

func folderInfo(name string) fileInfo { return fileInfo{name: name, mode: fs.ModeDir | 0o755} }

type fileInfo struct {
	name     string
	size     int64
	mode     fs.FileMode
	modified time.Time
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return i.modified }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }
