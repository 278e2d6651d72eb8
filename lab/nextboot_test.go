package lab_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

func TestWhatAMachineWouldBootIsWhatItGets(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	next, err := f.WhatBoots(t.Context(), f.ada, "web-01")
	if err != nil || next.Netboot || next.Bootloader != "" || next.ConfigName != webConfig {
		t.Errorf("before the run: %+v, %v", next, err)
	}
	f.provision()
	next, err = f.WhatBoots(t.Context(), f.ada, "web-01")
	if err != nil || !next.Netboot || next.URL != "http://127.0.0.1:8080/bootloaders/amd64/uefi/grubx64.efi" {
		t.Errorf("during the run: %+v, %v", next, err)
	}
	if m := f.machine("web-01"); m.Run.Stage != lab.StageAsked {
		t.Errorf("a look at it made the run %q", m.Run.Stage)
	}
	config, err := f.fetch(webConfig)
	if err != nil || config != string(next.Config) {
		t.Errorf("told (-) and served (+):\n-%s\n+%s\n%v", next.Config, config, err)
	}
	for _, name := range []string{"(http,127.0.0.1:8080)", "/boot/"} {
		if !strings.Contains(config, name) {
			t.Errorf("no %s in\n%s", name, config)
		}
	}
	_, err = f.WhatBoots(t.Context(), f.grace, "web-01")
	f.refused(err, lab.Denied, "held by ada")
	_, err = f.WhatBoots(t.Context(), f.admin, "no-such")
	f.refused(err, lab.NotFound)
}

func TestWhatKeepsAMachineFromTheNetworkIsNoted(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	next, err := f.WhatBoots(t.Context(), f.ada, "web-01")
	if err != nil || len(next.Notes) != 1 || !strings.Contains(next.Notes[0], "No kernel was chosen") {
		t.Errorf("before the run: %q, %v", next.Notes, err)
	}
	f.provision()
	next, err = f.WhatBoots(t.Context(), f.ada, "web-01")
	if err != nil || len(next.Notes) > 0 || next.Kernel != "linux" || next.Initrd != "initrd" || next.MAC != "52:54:00:00:00:01" {
		t.Errorf("during the run: %+v, %v", next, err)
	}
	kernel, err := f.Image(t.Context(), f.ada, "linux")
	f.must(err)
	f.must(os.Remove(filepath.Join(f.dir, "images", kernel.SHA256)))
	if next, err = f.WhatBoots(t.Context(), f.ada, "web-01"); err != nil || len(next.Notes) != 1 || !strings.Contains(next.Notes[0], "kernel linux is gone") {
		t.Errorf("without the kernel's file: %q, %v", next.Notes, err)
	}
	// What an admin has put into the tftp folder comes first.
	own := filepath.Join(f.dir, "tftp", filepath.FromSlash(webConfig))
	f.must(os.MkdirAll(filepath.Dir(own), 0o700))
	f.must(os.WriteFile(own, []byte("# mine\n"), 0o600))
	next, err = f.WhatBoots(t.Context(), f.ada, "web-01")
	served, fetchErr := f.fetch(webConfig)
	if err != nil || fetchErr != nil || string(next.Config) != served || !strings.Contains(next.Notes[1], "tftp/"+webConfig) {
		t.Errorf("with a file of an admin's: %+v, %v, %v", next, err, fetchErr)
	}
}

func TestPeekingNotesNothing(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	config, err := f.OpenBootFile(t.Context(), lab.BootRequest{Name: webConfig, Client: client, Peek: true})
	f.must(err)
	text, err := io.ReadAll(config)
	f.must(err)
	kernel, err := f.OpenBootFile(t.Context(), lab.BootRequest{Name: word(t, string(text), "/boot/"), Client: client, Peek: true})
	f.must(err)
	defer func() { _ = kernel.Close() }()
	if kernel.Disk == nil || len(kernel.SHA256) != 64 || config.Disk != nil || config.SHA256 != "" {
		t.Errorf("kernel %+v, configuration %+v", kernel, config)
	}
	if m := f.machine("web-01"); m.Run.Stage != lab.StageAsked {
		t.Errorf("stage %q", m.Run.Stage)
	}
}

func TestIPXEIsGivenItsScript(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.must(f.ImportBootloader(t.Context(), f.admin, lab.BootloaderSet{
		Name: "ipxe", Version: "1", Arch: "amd64", Subarch: "uefi",
		Files: []lab.BootloaderFile{{Filename: "snponly.efi", Content: []byte("iPXE")}},
	}))
	f.provision()
	open := func(agent string) string {
		file, err := f.OpenBootFile(t.Context(), lab.BootRequest{Name: "ipxe/52-54-00-00-00-01", Client: client, UserAgent: agent})
		f.must(err)
		text, err := io.ReadAll(file)
		f.must(err)
		return string(text)
	}
	if script := open("iPXE/1.21.1+"); !strings.HasPrefix(script, "#!ipxe\n") || !strings.Contains(script, "\nkernel --name kernel ${server}/boot/") {
		t.Errorf("script:\n%s", script)
	}
	for _, agent := range []string{"gPXE/0.9.9", "iPXE/0.9.9+"} {
		if script := open(agent); script != "#!gpxe\nchain http://127.0.0.1:8080/bootloaders/amd64/uefi/snponly.efi\n" {
			t.Errorf("%s is given\n%s", agent, script)
		}
	}
}

func TestBootloaderSetHangsTogether(t *testing.T) {
	f := newFixture(t)
	set := lab.BootloaderSet{Name: "shim-signed", Version: "1.51", Arch: "amd64", Subarch: "uefi", Files: []lab.BootloaderFile{
		{Filename: "shimx64.efi", Content: []byte("shim")},
		{Filename: "grubx64.efi", Content: []byte("signed GRUB")},
		{Filename: "mmx64.efi", Content: []byte("MokManager")},
	}}
	f.refused(f.ImportBootloader(t.Context(), f.ada, set), lab.Denied, "only an admin")
	for range 2 { // the same again is harmless
		f.must(f.ImportBootloader(t.Context(), f.admin, set))
	}
	for _, file := range set.Files {
		if text, err := f.fetch("bootloaders/amd64/uefi/" + file.Filename); err != nil || text != string(file.Content) {
			t.Errorf("%s: %q, %v", file.Filename, text, err)
		}
	}
	// A shim that was told its name in option 67 alone asks for what lies beside it without its folder.
	if text, err := f.fetch("grubx64.efi"); text != "signed GRUB" {
		t.Errorf("without the folder: %q, %v", text, err)
	}
	for _, name := range []string{"revocations_sku.efi", "fbx64.efi", "mmaa64.efi"} {
		if _, err := f.fetch(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.fetch("bootloaders/amd64/bios/mmx64.efi"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another subarchitecture has it, too: %v", err)
	}
	images, err := f.Images(t.Context(), f.admin)
	f.must(err)
	i := slices.IndexFunc(images, func(i store.Image) bool { return i.Filename == "mmx64.efi" })
	f.refused(f.RemoveImage(t.Context(), f.admin, images[i].Name, false), lab.Conflict, "amd64/uefi")

	f.must(f.ImportBootloader(t.Context(), f.admin, lab.BootloaderSet{
		Name: "grub-efi", Arch: "amd64", Subarch: "uefi", Files: []lab.BootloaderFile{{Filename: "grubx64.efi", Content: []byte("GRUB")}},
	}))
	if text, err := f.fetch("bootloaders/amd64/uefi/grubx64.efi"); text != "GRUB" {
		t.Errorf("after another import: %q, %v", text, err)
	}
	if _, err := f.fetch("bootloaders/amd64/uefi/mmx64.efi"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of the former set is still served: %v", err)
	}
	f.must(f.RemoveImage(t.Context(), f.admin, images[i].Name, false))

	set.Subarch = "no-such"
	f.refused(f.ImportBootloader(t.Context(), f.admin, set), lab.NotFound, "amd64/no-such")
}

func TestASitesTemplateIsServed(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	ours, err := f.fetch(webConfig)
	f.must(err)

	f.refused(f.SetTemplate(t.Context(), f.ada, "grub-netboot", "x"), lab.Denied, "only an admin")
	f.refused(f.SetTemplate(t.Context(), f.admin, "lilo", "x"), lab.Invalid, "grub-netboot")
	f.refused(f.SetTemplate(t.Context(), f.admin, "grub-netboot", "a\n{{.None}}"), lab.Invalid, "line 2")
	f.refused(f.ResetTemplate(t.Context(), f.admin, "grub-netboot"), lab.NotFound)
	f.refused(f.ResetTemplate(t.Context(), f.ada, "grub-netboot"), lab.Denied)

	f.must(f.SetTemplate(t.Context(), f.admin, "grub-netboot", "# {{.Machine}} of the attic\n"))
	f.must(f.SetTemplate(t.Context(), f.admin, "grub-disk", "# disk\n"))
	if config, err := f.fetch(webConfig); config != "# web-01 of the attic\n" {
		t.Errorf("%q, %v", config, err)
	}
	for _, stranger := range []string{"grub/grub.cfg-01-52-54-00-99-99-99", "grub/efidefault"} {
		if config, err := f.fetch(stranger); config != "# disk\n" {
			t.Errorf("%s: %q, %v", stranger, config, err)
		}
	}
	templates, err := f.Templates(t.Context(), f.grace)
	if err != nil || len(templates) != len(boot.TemplateKinds()) {
		t.Errorf("%d templates, %v", len(templates), err)
	}
	own, err := f.Template(t.Context(), f.grace, "grub-disk")
	if err != nil || !own.Own || own.Content != "# disk\n" {
		t.Errorf("%+v, %v", own, err)
	}
	_, err = f.Template(t.Context(), f.grace, "lilo")
	f.refused(err, lab.NotFound)

	f.must(f.ResetTemplate(t.Context(), f.admin, "grub-netboot"))
	if config, err := f.fetch(webConfig); config != ours {
		t.Errorf("after the reset: %q, %v", config, err)
	}
	f.must(f.db.Read(t.Context(), func(tx *store.Tx) error {
		events, err := tx.EventsAfter(t.Context(), 0, 1000)
		var kinds []string
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		for _, kind := range []string{lab.EventTemplateSet, lab.EventTemplateReset} {
			if !slices.Contains(kinds, kind) {
				t.Errorf("no event %q", kind)
			}
		}
		return err
	}))
}
