package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"

	"provisioner/boot"
	"provisioner/store"
)

// NextBoot is what a machine would boot now.
type NextBoot struct {
	Machine    string
	Netboot    bool   // else it is left to its disk
	Why        string // a sentence: why, or why not
	Bootloader string // path of what DHCP names, over TFTP; empty: nothing
	URL        string // of the same over HTTP
	ConfigName string // by which the bootloader asks for its configuration
	Config     []byte // as it would be served

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
		next, err = l.nextBoot(ctx, tx, "", m, mac)
		return err
	})
	return next, wrap(err, "what %s would boot", name)
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
