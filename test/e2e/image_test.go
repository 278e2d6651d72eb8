package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const bootloader = "/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi"

// The modules that drive the network card, in the order of their loading.
var networkModules = []string{
	"drivers/virtio/virtio_ring",
	"drivers/virtio/virtio",
	"drivers/virtio/virtio_pci_legacy_dev",
	"drivers/virtio/virtio_pci_modern_dev",
	"drivers/virtio/virtio_pci",
	"net/core/failover",
	"drivers/net/net_failover",
	"drivers/net/virtio_net",
}

// cacheDir is where test/packages.sh unpacks packages that are not to be installed.
func cacheDir(name string) string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "provisioner-test", name)
}

// kernelDir holds Debian's kernel for amd64.
func kernelDir() string { return cacheDir("kernel") }

// only returns the one file that the pattern fits.
func only(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(pattern)
	if len(found) != 1 {
		t.Fatalf("%s: %d files, want 1", pattern, len(found))
	}
	return found[0]
}

// An installer is what a machine boots from the network to phone home.
type installer struct {
	kernel, initrd, preseed string   // files
	options                 string   // of the kernel, besides those that come with the preseed
	shows                   []string // on the console, at last
	limit                   time.Duration
}

// add has the product know it, by names that a person types into the form.
func (i installer) add(t *testing.T, server *product, arch string) {
	t.Helper()
	server.command(t, "image", "add", "debian-kernel", "--type", "kernel", "--arch", arch, i.kernel)
	server.command(t, "image", "add", "debian-initrd", "--type", "initrd", "--arch", arch, i.initrd)
	server.command(t, "preseed", "add", "installer", "--type", "preseed", i.preseed)
}

// busyboxInstaller is Debian's kernel with a small initrd that does what an installer does, and ends in a shell.
func busyboxInstaller(t *testing.T) installer {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	return newInstaller(t, kernelDir(), busybox, "ttyS0")
}

// newInstaller makes it of a kernel that is unpacked in a folder.
func newInstaller(t *testing.T, dir, busybox, console string) installer {
	t.Helper()
	return installer{
		kernel: only(t, filepath.Join(dir, "boot/vmlinuz-*")), initrd: newInitrd(t, dir, busybox), preseed: "testdata/preseed",
		options: "console=" + console, shows: []string{"initrd: phoned home", "initrd#"}, limit: booting,
	}
}

// newInitrd packs busybox, the kernel's network modules and testdata/initrd.
func newInitrd(t *testing.T, dir, busybox string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/initrd")); err != nil {
		t.Fatal(err)
	}
	run(t, "install", "-D", busybox, filepath.Join(root, "bin/busybox"))
	modules := only(t, filepath.Join(dir, "lib/modules/*/kernel"))
	for _, name := range networkModules {
		run(t, "install", "-D", "-m", "644", "-t", filepath.Join(root, "modules"), filepath.Join(modules, name+".ko"))
	}
	var order strings.Builder
	for _, name := range networkModules {
		order.WriteString("/modules/" + filepath.Base(name) + ".ko\n")
	}
	if err := os.WriteFile(filepath.Join(root, "modules/order"), []byte(order.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	initrd := filepath.Join(t.TempDir(), "initrd")
	run(t, "sh", "-ec", `cd "$1" && find . | cpio --quiet -o -H newc | gzip -1 >"$2"`, "sh", root, initrd)
	return initrd
}
