//go:build matrix

package e2e

import (
	"path/filepath"
	"testing"
)

const (
	armCode = "/usr/share/AAVMF/AAVMF_CODE.fd"
	armVars = "/usr/share/AAVMF/AAVMF_VARS.fd"
)

// armDir holds packages of Debian's arm64, unpacked, and that of GRUB as it is.
func armDir(path string) string { return filepath.Join(cacheDir("arm64"), path) }

// uefiARM is a server of 64-bit ARM.
func uefiARM(t *testing.T, dir string) []string {
	t.Helper()
	return append([]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"}, flash(t, dir, armCode, armVars)...)
}

// TestARM64 boots a machine of another architecture than the server's.
func TestARM64(t *testing.T) {
	grub := armDir("grub-efi-arm64-bin.deb")
	netbootCase{
		arch: "arm64", firmware: uefiARM, mac: "52:54:00:00:00:30", card: plainCard,
		needs:      []string{"qemu-system-aarch64", armCode, armVars, cacheDir("arm64"), "grub-mkimage", "dpkg-deb"},
		bootloader: []string{"grub-efi", "--arch", "arm64", "--package", grub},
		seen:       seenUEFIARM,
		installer: func(t *testing.T) installer {
			t.Helper()
			return newInstaller(t, cacheDir("arm64"), armDir("bin/busybox"), "ttyAMA0")
		},
		disk: func(t *testing.T, dir string) string {
			t.Helper()
			return newESP(t, dir, func(folder string) {
				run(t, "grub-mkimage", "-O", "arm64-efi", "-d", armDir("usr/lib/grub/arm64-efi"), "-p", "/EFI/debian",
					"-o", filepath.Join(folder, "grubaa64.efi"), "normal", "echo", "sleep", "fat", "part_msdos")
			})
		},
	}.run(t)
}
