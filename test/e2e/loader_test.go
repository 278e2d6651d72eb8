//go:build matrix

package e2e

import (
	"path/filepath"
	"testing"
)

// What a DHCP server tells the hook of clients that ask for a boot file.
const (
	seenBIOS    = `{"option":93,"value":0},{"option":60,"value":"PXEClient:Arch:00000:UNDI:002001"}`
	seenUEFI    = `{"option":93,"value":7},{"option":60,"value":"PXEClient:Arch:00007:UNDI:003001"}`
	seenUEFIARM = `{"option":93,"value":11},{"option":60,"value":"PXEClient:Arch:00011:UNDI:003001"}`
)

var (
	uefiNeeds = []string{uefiCode, uefiVars, diskShim, diskGRUB}
	romNeeds  = []string{"/usr/lib/ipxe/qemu/pxe-virtio.rom"}
	biosOnly  = []string{"--firmware", "bios"}
)

var loaderCases = map[string]netbootCase{
	// A network card's own iPXE is given its script, and no bootloader. The import is what makes netboot possible at all.
	"iPXE on BIOS": {
		firmware: bios, mac: "52:54:00:00:00:11", card: cardWithIPXE, needs: romNeeds,
		bootloader: []string{"grub-efi"},
		seen:       seenBIOS + `,{"option":77,"value":"iPXE"}`,
		disk:       mbrDisk,
	},
	"PXELINUX over HTTP": {
		firmware: bios, mac: "52:54:00:00:00:12", card: cardWithIPXE, needs: append([]string{"/usr/lib/PXELINUX/lpxelinux.0", pxelinuxIn}, romNeeds...),
		bootloader: []string{"pxelinux"}, machine: biosOnly,
		seen: seenBIOS,
		disk: mbrDisk,
	},
	"GRUB on BIOS": {
		firmware: bios, mac: "52:54:00:00:00:13", card: cardWithIPXE, needs: append([]string{"/usr/lib/grub/i386-pc/pxe.mod"}, romNeeds...),
		bootloader: []string{"grub-pc"}, machine: biosOnly,
		seen: seenBIOS,
		disk: mbrDisk,
	},
	"GRUB on UEFI": {
		firmware: uefi, mac: "52:54:00:00:00:14", card: plainCard, needs: uefiNeeds,
		bootloader: []string{"grub-efi"},
		seen:       seenUEFI,
		disk:       efiDisk,
	},
	"UEFI HTTP boot": {
		firmware: uefiHTTP, mac: "52:54:00:00:00:15", card: plainCard, needs: uefiNeeds,
		bootloader: []string{"grub-efi"},
		seen:       `{"option":93,"value":16},{"option":60,"value":"HTTPClient:Arch:00016:UNDI:003001"}`,
		rules: func(a dhcpAnswer) []string {
			return []string{
				"--dhcp-match=set:http,option:client-arch,16", "--dhcp-boot=tag:http," + a.bootFile + ",," + a.nextServer,
				"--dhcp-option-force=tag:http,60,HTTPClient",
			}
		},
		disk: efiDisk,
	},
}

// TestLoaders boots machines by each bootloader, until they phone home, and then again: from their disks.
func TestLoaders(t *testing.T) {
	for name, c := range loaderCases {
		t.Run(name, c.run)
	}
}

// uefiHTTP is uefi that does not try TFTP first, which nobody offers it.
func uefiHTTP(t *testing.T, dir string) []string {
	t.Helper()
	return append(uefi(t, dir), "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
}

const (
	diskShim = "/usr/lib/shim/shimx64.efi.signed"
	diskGRUB = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
)

// efiDisk is a disk that starts as Debian does, with Secure Boot or without.
func efiDisk(t *testing.T, dir string) (drive string) {
	t.Helper()
	return newESP(t, dir, func(folder string) {
		run(t, "cp", diskShim, filepath.Join(folder, "shimx64.efi"))
		run(t, "cp", diskGRUB, filepath.Join(folder, "grubx64.efi"))
	})
}

// firmwareDisk is a disk that only the firmware starts, by the name that UEFI knows (UEFI 2.10 §3.5.1.1).
func firmwareDisk(t *testing.T, dir string) (drive string) {
	t.Helper()
	return newESP(t, dir, func(folder string) {
		run(t, "install", "-D", diskGRUB, filepath.Join(folder, "../boot/bootx64.efi"))
	})
}
