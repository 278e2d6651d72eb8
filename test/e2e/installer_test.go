//go:build matrix

package e2e

import (
	"path/filepath"
	"testing"
)

// TestDebianInstaller boots Debian's own installer as far as it comes without a mirror: it sets up the network, fetches its
// preseed, and does what that says first, which is to phone home: where to, it can only know from there.
func TestDebianInstaller(t *testing.T) {
	files := cacheDir("debian-installer")
	netbootCase{
		firmware: uefi, mac: "52:54:00:00:00:60", card: plainCard, needs: append([]string{files}, uefiNeeds...),
		bootloader: []string{"grub-efi"},
		seen:       seenUEFI,
		rules: func(a dhcpAnswer) []string { // it asks a person for the name server that nobody has told it
			return []string{"--dhcp-boot=" + a.bootFile + ",," + a.nextServer, "--dhcp-option=option:dns-server," + serverIP}
		},
		disk: efiDisk,
		installer: func(*testing.T) installer {
			return installer{
				kernel: filepath.Join(files, "linux"), initrd: filepath.Join(files, "initrd.gz"), preseed: "testdata/debian-installer.cfg",
				options: "console=ttyS0 DEBIAN_FRONTEND=text ipv6.disable=1", shows: []string{"d-i phoned home"}, limit: 3 * booting,
			}
		},
	}.run(t)
}
