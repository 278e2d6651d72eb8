package boot

import (
	"strconv"
	"strings"
)

// Firmware is the kind of program that a machine starts with, and that its
// bootloader has to be written for.
type Firmware string

const (
	BIOS Firmware = "BIOS"
	UEFI Firmware = "UEFI"
)

// The bootloaders that ask DHCP themselves.
const (
	LoaderIPXE = "iPXE"
	LoaderGRUB = "GRUB"
)

// DHCPClient is what asks for a boot file, as far as it says.
type DHCPClient struct {
	// Arch is the instruction set that it can run, by Debian's name: amd64,
	// arm64, armhf, riscv64. It is the name in the registry for one that
	// Debian does not boot so, and empty where the client does not say.
	Arch     string
	Firmware Firmware // empty: not said, or one that runs the bootloaders of several, as U-Boot does
	HTTP     bool     // it loads its boot file over HTTP, and wants a URL
	Loader   string   // of the user class: LoaderIPXE, LoaderGRUB; empty: the firmware itself asks
}

// String is for people: "UEFI amd64 over HTTP", "iPXE on BIOS amd64".
func (c DHCPClient) String() string {
	words := make([]string, 0, 5)
	if c.Loader != "" {
		words = append(words, c.Loader)
		if c.Arch != "" {
			words = append(words, "on")
		}
	}
	if c.Firmware != "" {
		words = append(words, string(c.Firmware))
	}
	if c.Arch != "" {
		words = append(words, c.Arch)
	}
	if c.HTTP {
		words = append(words, "over HTTP")
	}
	return strings.Join(words, " ")
}

// architectures are the registered values of option 93 (RFC 4578 §2.1, RFC 5970
// §3.3, and IANA's registry of processor architecture types, which has 7 and 9
// the other way round than the RFC's table: RFC erratum 4624. Machines say
// either for x86-64).
var architectures = map[int]DHCPClient{
	0:  {Arch: "amd64", Firmware: BIOS},
	2:  {Arch: "ia64", Firmware: UEFI},
	6:  {Arch: "amd64", Firmware: UEFI}, // 32 bits of firmware, on a processor that has 64 in any server
	7:  {Arch: "amd64", Firmware: UEFI},
	9:  {Arch: "amd64", Firmware: UEFI},
	10: {Arch: "armhf", Firmware: UEFI},
	11: {Arch: "arm64", Firmware: UEFI},
	12: {Arch: "ppc64el"}, // Open Firmware
	13: {Arch: "ppc64el"}, // ePAPR
	14: {Arch: "ppc64el"}, // OPAL
	15: {Arch: "amd64", Firmware: UEFI, HTTP: true},
	16: {Arch: "amd64", Firmware: UEFI, HTTP: true},
	17: {Arch: "amd64", Firmware: UEFI, HTTP: true},
	18: {Arch: "armhf", Firmware: UEFI, HTTP: true},
	19: {Arch: "arm64", Firmware: UEFI, HTTP: true},
	20: {Arch: "amd64", Firmware: BIOS, HTTP: true},
	21: {Arch: "armhf"}, // U-Boot
	22: {Arch: "arm64"},
	23: {Arch: "armhf", HTTP: true},
	24: {Arch: "arm64", HTTP: true},
	25: {Arch: "riscv32", Firmware: UEFI},
	26: {Arch: "riscv32", Firmware: UEFI, HTTP: true},
	27: {Arch: "riscv64", Firmware: UEFI},
	28: {Arch: "riscv64", Firmware: UEFI, HTTP: true},
	31: {Arch: "s390x"},
	32: {Arch: "s390x"},
	37: {Arch: "loong32", Firmware: UEFI},
	38: {Arch: "loong32", Firmware: UEFI, HTTP: true},
	39: {Arch: "loong64", Firmware: UEFI},
	40: {Arch: "loong64", Firmware: UEFI, HTTP: true},
}

// EFIFileArch is the architecture of a UEFI program whose name says it, as in
// grubx64.efi (UEFI 2.10 §3.5.1.1); empty where it does not.
func EFIFileArch(filename string) string {
	name, isEFI := strings.CutSuffix(strings.ToLower(filename), ".efi")
	if !isEFI {
		return ""
	}
	for _, ending := range [][2]string{{"riscv64", "riscv64"}, {"aa64", "arm64"}, {"x64", "amd64"}, {"arm", "armhf"}} {
		if strings.HasSuffix(name, ending[0]) {
			return ending[1]
		}
	}
	return ""
}

// The vendor classes of clients that boot from the network begin so (PXE 2.1
// §2.2.1; UEFI 2.10 §24.7.3.1).
const (
	vendorPXE  = "PXEClient"
	vendorHTTP = "HTTPClient"
)

// Netboots reports whether the request is of a client that loads a program
// from the network, and not of an operating system that wants an address.
func (r SeenRequest) Netboots() bool {
	return strings.HasPrefix(r.VendorClass, vendorPXE) || strings.HasPrefix(r.VendorClass, vendorHTTP)
}

// Client tells what asks.
func (r SeenRequest) Client() DHCPClient {
	arch := r.Arch
	if arch < 0 {
		arch = vendorClassArch(r.VendorClass)
	}
	client := architectures[arch] // a number that is not registered says nothing
	switch {
	case strings.HasPrefix(r.VendorClass, vendorPXE):
		client.HTTP = false // it boots over TFTP, whatever it could do
	case strings.HasPrefix(r.VendorClass, vendorHTTP):
		client.HTTP = true
	}
	for _, loader := range []string{LoaderIPXE, LoaderGRUB} {
		if strings.Contains(strings.ToLower(r.UserClass), strings.ToLower(loader)) {
			client.Loader = loader
		}
	}
	return client
}

// vendorClassArch reads the architecture out of a vendor class such as
// PXEClient:Arch:00007:UNDI:003016; -1 where there is none.
func vendorClassArch(class string) int {
	_, rest, ok := strings.Cut(class, ":Arch:")
	if !ok {
		return -1
	}
	digits, _, _ := strings.Cut(rest, ":")
	arch, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return -1
	}
	return int(arch)
}
