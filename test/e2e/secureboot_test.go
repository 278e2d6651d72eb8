//go:build matrix

package e2e

import (
	"debug/pe"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

const (
	secureCode = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	secureVars = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd" // with the keys of Microsoft, and Secure Boot on
)

// secureUEFI is uefi with Secure Boot. Its settings are safe from the operating system: only code in SMM writes them.
func secureUEFI(t *testing.T, dir string) []string {
	t.Helper()
	return append(bios(t, dir), append([]string{"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"},
		flash(t, dir, secureCode, secureVars)...)...)
}

// secureCase is Debian's chain of signatures: Microsoft's on the shim, Debian's on GRUB and the kernel. dnsmasq does not let
// the shim know its folder.
var secureCase = netbootCase{
	firmware: secureUEFI, mac: "52:54:00:00:00:20", card: plainCard,
	needs:      []string{secureCode, secureVars, diskShim, diskGRUB, "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "/usr/lib/shim/mmx64.efi.signed"},
	bootloader: []string{"shim-signed"},
	seen:       seenUEFI,
	disk:       efiDisk,
	logged: [][]string{
		{"TFTP transfer", "file=bootloaders/amd64/uefi/shimx64.efi"},
		{"TFTP transfer", "file=grubx64.efi"},
		{"TFTP transfer", "file=/boot/.../kernel/"},
	},
}

func TestSecureBoot(t *testing.T) {
	n := secureCase.start(t)
	n.phonesHome(t)
	n.prints(t, booting, "Secure boot enabled") // says the kernel
	n.bootsFromDisk(t, booting)
	n.server.stop(t)
}

// TestSecureBootRefusesUnsignedKernels is what shows that the signatures matter.
func TestSecureBootRefusesUnsignedKernels(t *testing.T) {
	c := secureCase
	c.mac = "52:54:00:00:00:21"
	c.installer = func(t *testing.T) installer {
		t.Helper()
		i := busyboxInstaller(t)
		i.kernel = withoutSignature(t, i.kernel)
		return i
	}
	n := c.start(t)
	n.prints(t, booting, "bad shim signature") // says GRUB
	if m := list(t, n.key)["bare-1"]; m.State != "provisioning" || !m.Netboot {
		t.Errorf("the machine is %+v, and still to boot from the network", m)
	}
	n.server.stop(t)
}

// withoutSignature copies a kernel, a PE file, and takes what signs it out of the list of its parts.
func withoutSignature(t *testing.T, kernel string) string {
	t.Helper()
	content, err := os.ReadFile(kernel)
	if err != nil {
		t.Fatal(err)
	}
	const (
		signature   = 4     // PE.Signature, "PE\0\0"
		fileHeader  = 20    // IMAGE_FILE_HEADER
		directories = 112   // of IMAGE_OPTIONAL_HEADER64, before its list
		entry       = 4 + 4 // address and size
	)
	header := binary.LittleEndian.Uint32(content[0x3c:]) // e_lfanew
	at := int(header) + signature + fileHeader + directories + pe.IMAGE_DIRECTORY_ENTRY_SECURITY*entry
	if binary.LittleEndian.Uint64(content[at:]) == 0 {
		t.Fatalf("%s is not signed", kernel)
	}
	clear(content[at : at+entry])
	path := filepath.Join(t.TempDir(), "vmlinuz")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
