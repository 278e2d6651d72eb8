package server

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/pkg/sftp"

	"provisioner/lab"
	"provisioner/store"
)

// sftpImages is the folder into which images are put; see imagePath. What is
// there can be listed, renamed and removed, and is not given back.
type sftpImages struct{ session *sftpSession }

func (s sftpImages) open(string) (io.ReaderAt, error) {
	return nil, &lab.Error{Code: lab.Denied, Message: "images can be put here, and are not given back"}
}

func (s sftpImages) create(path string) (sftpTransfer, error) {
	p, err := parseImagePath(path)
	if err == nil && p.name == "" {
		err = fmt.Errorf("%q is a folder: images/TYPE/ARCH/NAME, and images/bootloader/ARCH/FIRMWARE/NAME, are files", path)
	}
	if err != nil {
		return nil, invalid("%v", err)
	}
	upload, err := s.session.lab.BeginImage(s.session.ctx, s.session.actor, p.newImage())
	if err != nil {
		return nil, err
	}
	return &sftpUpload{
		session: s.session, path: path, name: p.name, upload: upload, began: time.Now(), early: make(map[int64][]byte),
	}, nil
}

func (s sftpImages) remove(path string) error {
	name, err := s.existing(path)
	if err != nil {
		return err
	}
	return s.session.lab.RemoveImage(s.session.ctx, s.session.actor, name, false)
}

// rename is how some clients end an upload: they send NAME.part first.
func (s sftpImages) rename(from, to string) error {
	name, err := s.existing(from)
	if err != nil {
		return err
	}
	before, _ := parseImagePath(from) // existing has read it
	after, err := parseImagePath(to)
	if err != nil || after.name == "" || before.folder() != after.folder() {
		return invalid("an image can be given another name, and not be moved")
	}
	return s.session.lab.ChangeImage(s.session.ctx, s.session.actor, name, lab.ImageChange{Name: &after.name, Filename: &after.name})
}

// existing is the name of the image at a path.
func (s sftpImages) existing(path string) (string, error) {
	p, err := parseImagePath(path)
	if err != nil || p.name == "" {
		return "", errNoSuchFile
	}
	_, err = s.stat(path)
	return p.name, err
}

func (s sftpImages) list(path string) (sftp.ListerAt, error) {
	p, err := parseImagePath(path)
	if err != nil || p.name != "" {
		return nil, errNoSuchFile
	}
	return s.within(p)
}

func (s sftpImages) stat(path string) (fs.FileInfo, error) {
	p, err := parseImagePath(path)
	if err != nil {
		return nil, errNoSuchFile
	}
	infos, err := s.within(p.folder())
	if err != nil {
		return nil, err
	}
	if p.name == "" {
		return folderInfo("/"), nil
	}
	i := slices.IndexFunc(infos, func(i fs.FileInfo) bool { return i.Name() == p.name })
	if i < 0 {
		return nil, errNoSuchFile
	}
	return infos[i], nil
}

// within is what is in a folder, as far as the actor may use it.
func (s sftpImages) within(p imagePath) (listing, error) {
	if p.kind == "" {
		return folders(string(store.ImageBootloader), string(store.ImageInitrd), string(store.ImageKernel)), nil
	}
	subarchs, err := s.session.lab.Subarchs(s.session.ctx)
	if err != nil {
		return nil, err
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
	images, err := s.session.lab.Images(s.session.ctx, s.session.actor)
	if err != nil {
		return nil, err
	}
	var infos listing
	for _, i := range images {
		if i.Type == p.kind && i.Arch == p.arch && (i.Type != store.ImageBootloader || i.ID == bootloader) {
			infos = append(infos, fileInfo{name: i.Name, size: i.Size, mode: 0o644, modified: i.UploadedAt})
		}
	}
	return infos, nil
}
