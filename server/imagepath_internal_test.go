package server

import (
	"path"
	"strings"
	"testing"

	"provisioner/store"
)

func TestImagePaths(t *testing.T) {
	for text, want := range map[string]imagePath{
		"":                              {},
		"/":                             {},
		".":                             {},
		"images":                        {top: true},
		"/images/":                      {top: true},
		"images/kernel":                 {top: true, kind: store.ImageKernel},
		"images/kernel/amd64":           {top: true, kind: store.ImageKernel, arch: "amd64"},
		"images/initrd/arm64/initrd.gz": {top: true, kind: store.ImageInitrd, arch: "arm64", name: "initrd.gz"},
		"images/bootloader/amd64":       {top: true, kind: store.ImageBootloader, arch: "amd64"},
		"images/bootloader/amd64/bios":  {top: true, kind: store.ImageBootloader, arch: "amd64", subarch: "bios"},
		"/images/bootloader/amd64/bios/lpxelinux.0": {top: true, kind: store.ImageBootloader, arch: "amd64", subarch: "bios", name: "lpxelinux.0"},
	} {
		if got, err := parseImagePath(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"..", "../images", "images/../etc", "images/kernel/..", "images/kernel/amd64/..", "images/kernel//linux", "images/kernel/./linux",
		"Images/kernel", "images/Kernel", "images/kernel/amd64/a/b", "images/bootloader/amd64/uefi/a/b", "images/kernel/amd64/a\\b", "images/kernel/amd64/a\x00",
		"tftp/x", "images2", "~",
	} {
		if got, err := parseImagePath(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzImagePath(f *testing.F) {
	for _, seed := range []string{"/images/kernel/amd64/linux", "images/bootloader/amd64/uefi/grubx64.efi", "images/../x", "//", "images//", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseImagePath(text)
		if err != nil {
			if p != (imagePath{}) {
				t.Errorf("%q: %+v beside %v", text, p, err)
			}
			return
		}
		elements := []string{string(p.kind), p.arch, p.subarch, p.name}
		joined := ""
		if p.top {
			joined = path.Join(append([]string{"images"}, elements...)...)
		}
		if joined != strings.Trim(text, "/") && text != "." && text != "/." && strings.Trim(text, "/") != "." {
			t.Errorf("%q is read as %q", text, joined)
		}
		for _, e := range elements {
			if e == ".." || strings.ContainsAny(e, "/\\\x00") {
				t.Errorf("%q: %+v", text, p)
			}
		}
	})
}

func FuzzUploadMetadata(f *testing.F) {
	for _, seed := range []string{"name bGludXg=,type a2VybmVs", "public", "name !", "a,a", ",", "public dHJ1ZQ==, sha256 eA=="} {
		f.Add(seed, "vmlinuz")
	}
	f.Fuzz(func(t *testing.T, text, filename string) {
		fields, err := parseMetadata(text)
		if err != nil {
			return
		}
		if len(text) > maxMetadata {
			t.Errorf("%d bytes were read", len(text))
		}
		image, err := imageOf(fields, filename)
		if err == nil && strings.ContainsAny(image.Filename, `/\`) && image.Filename != "/" {
			t.Errorf("file name %q", image.Filename)
		}
	})
}
