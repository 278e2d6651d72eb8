package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"provisioner/lab"
)

type bootloaderCommand struct {
	Import bootloaderImportCommand `cmd:"" help:"Take a bootloader, and what it loads beside itself, from Debian's packages."`
}

type bootloaderImportCommand struct {
	data
	Kind    string   `arg:"" enum:"grub-efi,grub-pc,pxelinux,ipxe,shim-signed" help:"grub-efi, grub-pc (BIOS), pxelinux (BIOS), ipxe or shim-signed (Secure Boot)."`
	Arch    string   `default:"amd64" enum:"amd64,arm64" help:"amd64 or arm64."`
	BIOS    bool     `name:"bios" help:"Of ipxe: for machines that start by BIOS."`
	TFTP    bool     `name:"tftp" help:"Of pxelinux: the one that loads by TFTP alone, for network cards on which the other stops after its first line."`
	Package []string `placeholder:"FILE.deb" help:"Take the files from this package instead of those that are installed; may be given several times. It is unpacked, not installed." type:"existingfile"`
}

// A bootloaderSource says what makes up a bootloader, and where Debian has it.
type bootloaderSource struct {
	subarch string
	files   []bootloaderFile // the first is what the firmware loads
	grub    *grubImage       // is made, and comes before the files
}

// A bootloaderFile is a file of a package.
type bootloaderFile struct {
	name string // for machines
	path string // in the package
	pkg  string
}

// A grubImage is made by grub-mkimage from the modules of a package. Debian's
// own images for the network have no HTTP.
type grubImage struct {
	name    string
	format  string // of grub-mkimage
	pkg     string
	modules []string
}

// grubModules are in every image: what our configurations use, what starts a
// disk, and what a person at GRUB's prompt wants.
var grubModules = strings.Fields(`normal configfile linux net tftp http test true echo sleep regexp search search_fs_file
	search_fs_uuid search_label chain part_gpt part_msdos fat ext2 serial terminal minicmd ls cat help reboot halt gzio xzio all_video`)

// bootloaderSources are by kind, and by architecture or the flag that chooses another one.
var bootloaderSources = map[[2]string]bootloaderSource{
	{"grub-efi", "amd64"}: {subarch: "uefi", grub: &grubImage{"grubx64.efi", "x86_64-efi", "grub-efi-amd64-bin", []string{"efinet", "efifwsetup"}}},
	{"grub-efi", "arm64"}: {subarch: "uefi", grub: &grubImage{"grubaa64.efi", "arm64-efi", "grub-efi-arm64-bin", []string{"efinet", "efifwsetup"}}},
	{"grub-pc", "amd64"}:  {subarch: "bios", grub: &grubImage{"grub.0", "i386-pc", "grub-pc-bin", []string{"pxe", "biosdisk", "linux16"}}},
	{"pxelinux", "amd64"}: {subarch: "bios", files: []bootloaderFile{
		{"lpxelinux.0", "usr/lib/PXELINUX/lpxelinux.0", "pxelinux"},
		{"ldlinux.c32", "usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"},
	}},
	// It calls the TFTP of the network card's ROM, where lpxelinux.0 drives the card by itself: not all ROMs bear that.
	{"pxelinux", "tftp"}: {subarch: "bios", files: []bootloaderFile{
		{"pxelinux.0", "usr/lib/PXELINUX/pxelinux.0", "pxelinux"},
		{"ldlinux.c32", "usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"},
	}},
	{"ipxe", "amd64"}: {subarch: "uefi", files: []bootloaderFile{{"snponly.efi", "usr/lib/ipxe/snponly.efi", "ipxe"}}},
	{"ipxe", "arm64"}: {subarch: "uefi", files: []bootloaderFile{{"ipxe-arm64.efi", "usr/lib/ipxe/ipxe-arm64.efi", "ipxe"}}},
	{"ipxe", "bios"}:  {subarch: "bios", files: []bootloaderFile{{"undionly.kpxe", "usr/lib/ipxe/undionly.kpxe", "ipxe"}}},
	{"shim-signed", "amd64"}: {subarch: "uefi", files: []bootloaderFile{
		{"shimx64.efi", "usr/lib/shim/shimx64.efi.signed", "shim-signed"},
		{"grubx64.efi", "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed"},
		{"mmx64.efi", "usr/lib/shim/mmx64.efi.signed", "shim-helpers-amd64-signed"},
	}},
	{"shim-signed", "arm64"}: {subarch: "uefi", files: []bootloaderFile{
		{"shimaa64.efi", "usr/lib/shim/shimaa64.efi.signed", "shim-signed"},
		{"grubaa64.efi", "usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed", "grub-efi-arm64-signed"},
		{"mmaa64.efi", "usr/lib/shim/mmaa64.efi.signed", "shim-helpers-arm64-signed"},
	}},
}

func (c *bootloaderImportCommand) Run(ctx context.Context) (err error) {
	key := [2]string{c.Kind, c.Arch}
	if c.BIOS {
		if key != [2]string{"ipxe", "amd64"} {
			return errors.New("import bootloader: --bios is for ipxe on amd64; grub-pc and pxelinux are for BIOS anyway")
		}
		key[1] = "bios"
	}
	if c.TFTP {
		if key != [2]string{"pxelinux", "amd64"} {
			return errors.New("import bootloader: --tftp is for pxelinux on amd64; the others find out by themselves whether HTTP answers")
		}
		key[1] = "tftp"
	}
	source, ok := bootloaderSources[key]
	if !ok {
		return fmt.Errorf("import bootloader: there is no %s for %s", c.Kind, c.Arch)
	}
	root := "/"
	if len(c.Package) > 0 {
		if root, err = os.MkdirTemp("", "provisioner-bootloader-"); err != nil {
			return fmt.Errorf("import bootloader: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
		for _, pkg := range c.Package {
			if err := unpack(ctx, pkg, root); err != nil {
				return fmt.Errorf("import bootloader: %w", err)
			}
		}
	}
	set := lab.BootloaderSet{Name: c.Kind, Arch: c.Arch, Subarch: source.subarch}
	if set.Files, err = source.read(ctx, root); err != nil {
		return fmt.Errorf("import bootloader %s: %w", c.Kind, err)
	}
	return c.local(ctx, func(l *lab.Lab) error {
		if err := l.ImportBootloader(ctx, lab.Local, set); err != nil {
			return err
		}
		for _, file := range set.Files {
			if _, err := fmt.Printf("bootloaders/%s/%s/%s  %d bytes\n", c.Arch, source.subarch, file.Filename, len(file.Content)); err != nil {
				return err
			}
		}
		return nil
	})
}

// unpack writes the files of a package below a folder. None of its scripts run.
func unpack(ctx context.Context, pkg, root string) error {
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", pkg, root).CombinedOutput(); err != nil { //nolint:gosec // an admin's own file
		return fmt.Errorf("unpack %s: %w: %s", pkg, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// read collects the files below a root folder.
func (s bootloaderSource) read(ctx context.Context, root string) ([]lab.BootloaderFile, error) {
	var files []lab.BootloaderFile
	if s.grub != nil {
		image, err := s.grub.make(ctx, root)
		if err != nil {
			return nil, err
		}
		files = append(files, lab.BootloaderFile{Filename: s.grub.name, Content: image})
	}
	for _, f := range s.files {
		content, err := readBelow(root, f.path)
		if err != nil {
			return nil, missingFile(root, f.path, f.pkg, err)
		}
		files = append(files, lab.BootloaderFile{Filename: f.name, Content: content})
	}
	return files, nil
}

// maxBootloader is the size of the largest file that is taken for one.
const maxBootloader = 64 << 20

// readBelow reads a file of a package that may be unpacked elsewhere: its
// absolute links are meant below root. A package of others cannot have us read
// what is outside.
func readBelow(root, path string) ([]byte, error) {
	for range 4 {
		target, err := os.Readlink(filepath.Join(root, path))
		if err != nil || !filepath.IsAbs(target) {
			break
		}
		path = strings.TrimPrefix(filepath.Clean(target), "/")
	}
	folder, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }() // nothing was written
	info, err := folder.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxBootloader {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, maxBootloader)
	}
	return folder.ReadFile(path)
}

func missingFile(root, path, pkg string, err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case root == "/":
		return fmt.Errorf("/%s is not there: install Debian's package %s (apt install %s), or give it with --package FILE.deb", path, pkg, pkg)
	default:
		return fmt.Errorf("the packages that were given have no %s: give %s with --package, too", path, pkg)
	}
}

// make builds the image.
func (g *grubImage) make(ctx context.Context, root string) ([]byte, error) {
	modules := filepath.Join("usr/lib/grub", g.format)
	if _, err := os.Stat(filepath.Join(root, modules)); err != nil {
		return nil, missingFile(root, modules, g.pkg, err)
	}
	program, err := exec.LookPath("grub-mkimage")
	if err != nil {
		return nil, errors.New("grub-mkimage is not there: install Debian's package grub-common (apt install grub-common)")
	}
	dir, err := os.MkdirTemp("", "provisioner-grub-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the folder for what is temporary
	out := filepath.Join(dir, g.name)
	format := g.format
	if format == "i386-pc" {
		format = "i386-pc-pxe"
	}
	args := append([]string{"-O", format, "-d", filepath.Join(root, modules), "-p", "/grub", "-o", out}, grubModules...)
	args = append(args, g.modules...)
	if message, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil { //nolint:gosec // nothing of it comes from elsewhere
		return nil, fmt.Errorf("grub-mkimage: %w: %s", err, strings.TrimSpace(string(message)))
	}
	return os.ReadFile(out)
}
