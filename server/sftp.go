package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"charm.land/ssh"
	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
	"provisioner/store"
)

// maxSFTPUploads is how many files one session may send at the same time.
const maxSFTPUploads = 8

// sftpSession is what scp and sftp see: a folder into which images are put.
// What is put there can be listed, renamed and removed, and is not given back.
type sftpSession struct {
	ctx   context.Context //nolint:containedctx // lives for one session
	lab   *lab.Lab
	actor lab.Actor
	notes io.Writer

	mu      sync.Mutex
	uploads map[imagePath]*sftpUpload // that go on
}

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
	files := &sftpSession{ctx: ctx, lab: s.lab, actor: actor, notes: sess.Stderr(), uploads: make(map[imagePath]*sftpUpload)}
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
	_, _ = fmt.Fprintf(s.notes, "provisioner: %s\n", printable(err.Error()))
	return sftpStatus(err)
}

func sftpStatus(err error) error {
	switch lab.CodeOf(err) {
	case lab.NotFound:
		return sftpError{err, sftp.ErrSSHFxNoSuchFile}
	case lab.Denied:
		return sftpError{err, sftp.ErrSSHFxPermissionDenied}
	}
	return sftpError{err, sftp.ErrSSHFxFailure}
}

var errNoSuchFile = sftpError{errors.New("there is no such file"), sftp.ErrSSHFxNoSuchFile}

// Fileread is asked for what is not given.
func (s *sftpSession) Fileread(*sftp.Request) (io.ReaderAt, error) {
	return nil, s.refuse(&lab.Error{Code: lab.Denied, Message: "images can be put here, and are not given back"})
}

// Filewrite begins an image.
func (s *sftpSession) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	p, err := parseImagePath(r.Filepath)
	if err == nil && p.name == "" {
		err = fmt.Errorf("%q is a folder: images/TYPE/ARCH/NAME, and images/bootloader/ARCH/FIRMWARE/NAME, are files", r.Filepath)
	}
	if err == nil && r.Pflags().Append {
		err = errors.New("an image cannot be added to: send all of it, or continue uploads over HTTP")
	}
	if err != nil {
		return nil, s.refuse(&lab.Error{Code: lab.Invalid, Message: err.Error()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uploads) >= maxSFTPUploads || s.uploads[p] != nil {
		return nil, s.refuse(&lab.Error{Code: lab.Conflict, Message: "another file is being sent: wait for it"})
	}
	upload, err := s.lab.BeginImage(s.ctx, s.actor, p.newImage())
	if err != nil {
		return nil, s.refuse(err)
	}
	s.uploads[p] = &sftpUpload{session: s, path: p, upload: upload, began: time.Now(), early: make(map[int64][]byte)}
	return s.uploads[p], nil
}

// Filecmd changes what is there. Clients set modes and times of what they have
// sent, which images do not have.
func (s *sftpSession) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return nil
	case "Remove":
		name, err := s.existing(r.Filepath)
		if err != nil {
			return err
		}
		if err := s.lab.RemoveImage(s.ctx, s.actor, name, false); err != nil {
			return s.refuse(err)
		}
		return nil
	case "Rename":
		return s.rename(r.Filepath, r.Target)
	}
	return sftp.ErrSSHFxOpUnsupported
}

// rename is how some clients end an upload: they send NAME.part first.
func (s *sftpSession) rename(from, to string) error {
	name, err := s.existing(from)
	if err != nil {
		return err
	}
	before, _ := parseImagePath(from) // existing has read it
	after, err := parseImagePath(to)
	if err != nil || after.name == "" || before.folder() != after.folder() {
		return s.refuse(&lab.Error{Code: lab.Invalid, Message: "an image can be given another name, and not be moved"})
	}
	change := lab.ImageChange{Name: &after.name, Filename: &after.name}
	if err := s.lab.ChangeImage(s.ctx, s.actor, name, change); err != nil {
		return s.refuse(err)
	}
	return nil
}

// existing is the name of the image at a path.
func (s *sftpSession) existing(path string) (string, error) {
	p, err := parseImagePath(path)
	if err != nil || p.name == "" {
		return "", errNoSuchFile
	}
	infos, err := s.list(p.folder())
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(infos, func(i fs.FileInfo) bool { return i.Name() == p.name }) {
		return "", errNoSuchFile
	}
	return p.name, nil
}

// Filelist lists a folder, or says what is at a path.
func (s *sftpSession) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	p, err := parseImagePath(r.Filepath)
	if err != nil {
		return nil, errNoSuchFile
	}
	if r.Method == "List" {
		if p.name != "" {
			return nil, errNoSuchFile
		}
		return s.list(p)
	}
	if p.name == "" {
		if _, err := s.list(p); err != nil {
			return nil, err
		}
		return listing{folderInfo("/")}, nil
	}
	s.mu.Lock()
	upload := s.uploads[p]
	s.mu.Unlock()
	if upload != nil {
		return listing{upload.info()}, nil
	}
	infos, err := s.list(p.folder())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(infos, func(i fs.FileInfo) bool { return i.Name() == p.name })
	if i < 0 {
		return nil, errNoSuchFile
	}
	return infos[i : i+1], nil
}

// list is what is in a folder, as far as the actor may use it.
func (s *sftpSession) list(p imagePath) (listing, error) {
	switch {
	case !p.top:
		return folders("images"), nil
	case p.kind == "":
		return folders(string(store.ImageBootloader), string(store.ImageInitrd), string(store.ImageKernel)), nil
	}
	subarchs, err := s.lab.Subarchs(s.ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	var names []string
	var bootloader int64
	known := false
	for _, a := range subarchs {
		switch {
		case p.arch == "":
			names = append(names, a.Arch)
		case a.Arch != p.arch:
			continue
		case p.kind == store.ImageBootloader && p.subarch == "":
			names = append(names, a.Name)
		case a.Name == p.subarch:
			bootloader = a.BootloaderID
		case p.kind == store.ImageBootloader:
			continue
		}
		known = true
	}
	if !known {
		return nil, errNoSuchFile
	}
	if len(names) > 0 {
		return folders(slices.Compact(names)...), nil
	}
	images, err := s.lab.Images(s.ctx, s.actor)
	if err != nil {
		return nil, s.refuse(err)
	}
	var infos listing
	for _, i := range images {
		if i.Type == p.kind && i.Arch == p.arch && (i.Type != store.ImageBootloader || i.ID == bootloader) {
			infos = append(infos, fileInfo{name: i.Name, size: i.Size, mode: 0o644, modified: i.UploadedAt})
		}
	}
	return infos, nil
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
