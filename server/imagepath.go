package server

import (
	"fmt"
	"strings"

	"provisioner/lab"
	"provisioner/store"
)

// imagePath is where images are over sftp:
//
//	images/kernel/ARCH/NAME
//	images/initrd/ARCH/NAME
//	images/bootloader/ARCH/FIRMWARE/NAME
//
// The folders above are paths, too, with the rest empty.
type imagePath struct {
	top     bool // images, or below it; false: the root
	kind    store.ImageType
	arch    string
	subarch string // of a bootloader
	name    string
}

// parseImagePath reads a path, with or without a slash before it. It refuses
// what leaves the folder, and what is no folder of images. Which architectures
// there are, it does not know.
func parseImagePath(path string) (p imagePath, err error) {
	elements := strings.Split(strings.Trim(path, "/"), "/")
	if elements[0] == "" || elements[0] == "." && len(elements) == 1 {
		return p, nil
	}
	for _, e := range elements {
		if e == "" || e == "." || e == ".." || strings.ContainsAny(e, "\x00\\") {
			return p, fmt.Errorf("%q is no place for an image", path)
		}
	}
	if elements[0] != "images" {
		return p, fmt.Errorf("%q is not below images/", path)
	}
	fields := []*string{nil, nil, &p.arch, &p.name}
	if len(elements) > 1 {
		switch p.kind = store.ImageType(elements[1]); p.kind {
		case store.ImageKernel, store.ImageInitrd:
		case store.ImageBootloader:
			fields = []*string{nil, nil, &p.arch, &p.subarch, &p.name}
		default:
			return imagePath{}, fmt.Errorf("%q is none of images/kernel/, images/initrd/ and images/bootloader/", path)
		}
	}
	if len(elements) > len(fields) {
		return imagePath{}, fmt.Errorf("%q is too deep: images/TYPE/ARCH/NAME, and images/bootloader/ARCH/FIRMWARE/NAME", path)
	}
	p.top = true
	for i, e := range elements[min(2, len(elements)):] {
		*fields[i+2] = e
	}
	return p, nil
}

// newImage is what a file at this path becomes: an image of its name.
func (p imagePath) newImage() lab.NewImage {
	return lab.NewImage{Name: p.name, Filename: p.name, Type: p.kind, Arch: p.arch, Subarch: p.subarch}
}

// folder is the path that holds this one.
func (p imagePath) folder() imagePath {
	p.name = ""
	return p
}
