package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// A firmware is the QEMU command that starts as that kind of machine. It may keep settings in the folder.
type firmware func(t *testing.T, dir string) (argv []string)

// Network cards by QEMU's names: one whose option ROM is iPXE, and one without.
const (
	cardWithIPXE = "virtio-net-pci"
	plainCard    = "virtio-net-pci,romfile="
)

// bios is what QEMU starts with by itself.
func bios(*testing.T, string) []string { return []string{"qemu-system-x86_64", "-M", "q35"} }

const ipxeKernel = "/usr/lib/ipxe/ipxe.lkrn"

// biosPXE is a BIOS with a plain PXE ROM: an iPXE that does not say that it is one.
func biosPXE(t *testing.T, dir string) []string {
	t.Helper()
	script := filepath.Join(dir, "rom.ipxe")
	if err := os.WriteFile(script, []byte("#!ipxe\nset user-class PXE\nautoboot net0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(bios(t, dir), "-kernel", ipxeKernel, "-initrd", script)
}

const (
	uefiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	uefiVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// uefi is a UEFI firmware with its own network stack.
func uefi(t *testing.T, dir string) []string {
	t.Helper()
	return append(bios(t, dir), flash(t, dir, uefiCode, uefiVars)...)
}

// flash puts a UEFI firmware into flash memory, its settings into a copy of their own. It does not wait for IPv6.
func flash(t *testing.T, dir, code, settings string) []string {
	t.Helper()
	content, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	vars := filepath.Join(dir, "uefi-vars")
	if err := os.WriteFile(vars, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,file=" + vars,
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
	}
}
