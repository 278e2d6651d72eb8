package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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

// kernelDir is where test/packages.sh unpacks Debian's kernel.
func kernelDir() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "provisioner-test", "kernel")
}

// only returns the one file that the pattern fits.
func only(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(pattern)
	if len(found) != 1 {
		t.Fatalf("%s: %d files, want 1", pattern, len(found))
	}
	return found[0]
}

func kernelImage(t *testing.T) string {
	t.Helper()
	return only(t, filepath.Join(kernelDir(), "boot", "vmlinuz-*"))
}

// newInitrd packs busybox, the kernel's network modules and testdata/initrd, whose init does what an installer does.
func newInitrd(t *testing.T) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/initrd")); err != nil {
		t.Fatal(err)
	}
	run(t, "install", "-D", busybox, filepath.Join(root, "bin/busybox"))
	modules := only(t, filepath.Join(kernelDir(), "lib/modules/*/kernel"))
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
