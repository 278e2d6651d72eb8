package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"

	"provisioner/boot"
	"provisioner/store"
)

// maxShownConfig is how much of a configuration that an admin wrote is read,
// in bytes.
const maxShownConfig = 64 << 10

// NextBoot is what a machine would boot now.
type NextBoot struct {
	Machine    string
	MAC        string // by which it is known: of its first interface
	Netboot    bool   // else it is left to its disk
	Why        string // a sentence: why, or why not
	Bootloader string // path of what DHCP names, over TFTP; empty: nothing
	URL        string // of the same over HTTP
	ConfigName string // by which the bootloader asks for its configuration
	Config     []byte // as it would be served; it may name the token of the run

	// What its run installs, by name; empty: none.
	Kernel, Initrd, Preseed string
	Options                 string // of the kernel: what the preseed implies, then the user's

	// Notes are sentences: what keeps it from booting from the network, and what
	// can be done about it; what is served in the place of what is said here.
	Notes []string

	loader boot.Bootloader
}

// WhatBoots tells what a machine would boot if it asked now, and notes nothing.
// Its holders and admins may know: the configuration names the addresses of
// its run, which nobody else is to have.
func (l *Lab) WhatBoots(ctx context.Context, actor Actor, name string) (next NextBoot, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		interfaces, err := tx.Interfaces(ctx, m.ID)
		if err != nil {
			return err
		}
		if len(interfaces) == 0 {
			return fail(Conflict, "it has no MAC address by which it could be known: an admin can add one (provisioner machine add %s --mac ADDRESS)", m.Name)
		}
		mac, err := boot.ParseMAC(interfaces[0].MAC)
		if err != nil {
			return err
		}
		if next, err = l.nextBoot(ctx, tx, "", m, mac); err != nil {
			return err
		}
		next.MAC = mac.String()
		return l.explainBoot(ctx, tx, m, &next)
	})
	if err == nil {
		err = l.seeOwnFiles(&next)
	}
	if err != nil {
		return NextBoot{}, wrap(err, "what %s would boot", name)
	}
	return next, nil
}

// explainBoot adds what people want to know, and machines do not ask for.
func (l *Lab) explainBoot(ctx context.Context, tx *store.Tx, m store.Machine, next *NextBoot) error {
	if m.BootloaderID == 0 {
		next.Notes = append(next.Notes, fmt.Sprintf("%s/%s has no bootloader: only a machine whose own firmware is iPXE boots from the network. "+
			"An admin can add one on the server (provisioner bootloader import --help).", m.Arch, m.Subarch))
	}
	if !next.Netboot {
		if m.KernelID == 0 {
			next.Notes = append(next.Notes, "No kernel was chosen for it yet: provision it with one to boot it from the network.")
		}
		return nil
	}
	run, err := tx.RunningRun(ctx, m.ID)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		id   int64
		name *string
	}{{m.BootloaderID, nil}, {run.KernelID, &next.Kernel}, {run.InitrdID, &next.Initrd}} {
		if part.id == 0 {
			continue
		}
		image, err := tx.Image(ctx, part.id)
		if err != nil {
			return err
		}
		if part.name != nil {
			*part.name = image.Name
		}
		if _, err := l.images.Stat(image.SHA256); err != nil {
			next.Notes = append(next.Notes, fmt.Sprintf("The file of the %s %s is gone from the server's disk: adding the same content again, under any name, mends it.",
				image.Type, image.Name))
		}
	}
	if run.PreseedID != 0 {
		preseed, err := tx.Preseed(ctx, run.PreseedID)
		if err != nil {
			return err
		}
		next.Preseed = preseed.Name
	}
	return nil
}

// seeOwnFiles looks for files of an admin's, which are served before anything
// that is decided here.
func (l *Lab) seeOwnFiles(next *NextBoot) error {
	for _, name := range []string{next.Bootloader, next.ConfigName} {
		if name == "" {
			continue
		}
		file, err := boot.OpenInRoot(l.tftpRoot, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fail(Unavailable, "tftp/%s, which an admin has put there: %w", name, err)
		}
		if name == next.ConfigName {
			next.Config, err = io.ReadAll(io.LimitReader(file, maxShownConfig))
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return fail(Unavailable, "tftp/%s, which an admin has put there: %w", name, err)
		}
		next.Notes = append(next.Notes, fmt.Sprintf("An admin has put tftp/%s into the data folder: it is served as it is.", name))
	}
	return nil
}

// nextBoot decides what a machine boots, and how. No bootloader asks where
// loader is empty: it is then that of the machine's subarchitecture.
func (l *Lab) nextBoot(ctx context.Context, tx *store.Tx, loader boot.Bootloader, m store.Machine, mac net.HardwareAddr) (NextBoot, error) {
	next := NextBoot{Machine: m.Name}
	filename := ""
	if m.BootloaderID != 0 {
		image, err := tx.Image(ctx, m.BootloaderID)
		if err != nil {
			return next, err
		}
		filename = image.Filename
		next.loader = boot.BootloaderOf(filename)
	}
	if loader == "" {
		loader = boot.BootloaderOf(filename)
	}
	next.ConfigName = boot.ConfigPath(loader, mac)

	netboot, err := l.netboot(ctx, tx, m, mac)
	purpose := boot.Start
	switch {
	case errors.Is(err, store.ErrNotFound):
		purpose, next.Why = boot.Disk, "netboot is off: it is left to its disk"
		netboot = boot.Netboot{MAC: mac, HTTP: l.publicURL, Machine: m.Name, Arch: m.Arch, Subarch: m.Subarch}
	case err != nil:
		return next, err
	default:
		next.Netboot, next.Why = true, "its run goes on until it phones home"
		if filename != "" {
			next.Bootloader = path.Join(bootloaderFolder, m.Arch, m.Subarch, filename)
			next.URL = l.publicURL.JoinPath(next.Bootloader).String()
		}
	}
	next.Options = netboot.Options
	if loader == boot.PXELINUX && !boot.LoadsHTTP(filename) {
		netboot.HTTP = nil
	}
	next.Config, err = l.render(ctx, tx, loader, purpose, netboot)
	return next, err
}

// render writes a configuration by the site's own template, or ours.
func (l *Lab) render(ctx context.Context, tx *store.Tx, loader boot.Bootloader, purpose boot.Purpose, n boot.Netboot) ([]byte, error) {
	kind := boot.TemplateKind(loader, purpose)
	own, err := tx.Template(ctx, kind)
	source := own.Content
	if errors.Is(err, store.ErrNotFound) {
		source, _ = boot.BuiltInTemplate(kind)
	} else if err != nil {
		return nil, err
	}
	template, err := boot.ParseTemplate(kind, source)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", kind, err)
	}
	config, err := n.RenderTemplate(template)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", kind, err)
	}
	return config, nil
}
