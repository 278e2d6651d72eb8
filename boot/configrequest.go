package boot

import (
	"net"
	"regexp"
	"strings"
)

// Bootloader is a program that a machine loads over the network, and that asks
// for a configuration.
type Bootloader string

// The bootloaders that a configuration can be written for.
const (
	GRUB     Bootloader = "grub"
	PXELINUX Bootloader = "pxelinux"
	IPXE     Bootloader = "ipxe"
)

// Bootloaders are all of them.
var Bootloaders = []Bootloader{GRUB, PXELINUX, IPXE}

// BootloaderOf tells by its file name what a bootloader is, as Debian's packages
// call them: pxelinux.0 and lpxelinux.0; ipxe.efi, snponly.efi and undionly.kpxe;
// GRUB, alone or behind the shim, has all other names.
func BootloaderOf(filename string) Bootloader {
	name := strings.ToLower(filename)
	switch {
	case strings.Contains(name, "pxelinux"):
		return PXELINUX
	case strings.Contains(name, "ipxe"), strings.Contains(name, "snponly"), strings.Contains(name, "undionly"):
		return IPXE
	}
	return GRUB
}

// LoadsHTTP tells likewise whether a bootloader can load over HTTP, or finds out
// by itself whether it can: of PXELINUX only lpxelinux.0.
func LoadsHTTP(filename string) bool {
	return BootloaderOf(filename) != PXELINUX || strings.Contains(strings.ToLower(filename), "lpxelinux")
}

// ConfigPath is the name by which a bootloader asks for the configuration of a
// machine.
func ConfigPath(b Bootloader, mac net.HardwareAddr) string {
	withType := "01-" + strings.ReplaceAll(mac.String(), ":", "-")
	switch b {
	case IPXE:
		return ScriptPath(mac)
	case PXELINUX:
		return "pxelinux.cfg/" + withType
	default:
		return "grub/grub.cfg-" + withType
	}
}

// OutdatedIPXE reports whether what asks for a script, by its User-Agent over
// HTTP, is gPXE or an iPXE from before 1.0 (2010). They load no kernel of today
// on UEFI, and few on a BIOS.
func OutdatedIPXE(userAgent string) bool {
	return strings.HasPrefix(userAgent, "gPXE/") || strings.HasPrefix(userAgent, "iPXE/0.")
}

// ChainScript hands over to another bootloader.
func ChainScript(url string) []byte { return []byte("#!gpxe\nchain " + url + "\n") }

// ipxeFolder holds the scripts of iPXE, one for each MAC address.
const ipxeFolder = "ipxe"

// A machine's MAC as bootloaders put it into a file name: the ARP hardware type
// (01 is Ethernet) and six bytes. With colons it is GRUB's $net_default_mac.
var configMAC = regexp.MustCompile(`(?i)(?:^|-)01-([0-9a-f]{2}(?:[-:][0-9a-f]{2}){5})$`)

// ScriptPath is where the iPXE script of a machine is, over TFTP and HTTP alike.
func ScriptPath(mac net.HardwareAddr) string {
	return ipxeFolder + "/" + strings.ReplaceAll(mac.String(), ":", "-")
}

// ConfigRequest tells which file names ask for a generated configuration, of
// which bootloader, and of which machine. It is a name with an element that is,
// or ends with "-" and, 01-xx-xx-xx-xx-xx-xx in any case, with hyphens or colons
// between the bytes, such as
//
//	/grub/grub.cfg-01-52-54-00-12-34-56
//	pxelinux.cfg/01-52-54-00-12-34-56
//
// PXELINUX asks where the path holds pxelinux.cfg, GRUB otherwise. iPXE asks for
// what ends with ipxe/MAC, the MAC in any spelling that [ParseMAC] reads. The
// names pxelinux.cfg/default and grub/efidefault, at the end of any path, ask for
// the configuration of no particular machine: mac is nil.
func ConfigRequest(name string) (kind Bootloader, mac net.HardwareAddr, ok bool) {
	path, err := CleanPath(name)
	if err != nil {
		return "", nil, false
	}
	switch {
	case endsWithPath(path, "pxelinux.cfg/default"):
		return PXELINUX, nil, true
	case endsWithPath(path, "grub/efidefault"):
		return GRUB, nil, true
	}
	elements := strings.Split(path, "/")
	if n := len(elements); n >= 2 && elements[n-2] == ipxeFolder {
		mac, err := ParseMAC(elements[n-1])
		if err != nil {
			return "", nil, false
		}
		return IPXE, mac, true
	}
	kind = GRUB
	if strings.Contains(path, "pxelinux.cfg") {
		kind = PXELINUX
	}
	for _, element := range elements {
		match := configMAC.FindStringSubmatch(element)
		if match == nil {
			continue
		}
		mac, err := net.ParseMAC(strings.ReplaceAll(match[1], ":", "-"))
		if err != nil {
			return "", nil, false
		}
		return kind, mac, true
	}
	return "", nil, false
}

// Redirect answers for the names by which bootloaders ask before they have told
// their MAC, where no such file exists: the configuration makes them ask again,
// for that of their MAC. The names stand at the end of any path:
//
//   - grub/grub.cfg: a GRUB with a configuration inside, as Debian's
//     grubnetx64.efi, asks for it alone; others ask for their MAC's first
//   - autoexec.ipxe: what an iPXE of 2021 or later looks for beside itself
//   - ipxe/boot.ipxe: for a DHCP server that gives all iPXE clients one name
func Redirect(name string) (config []byte, ok bool) {
	path, err := CleanPath(name)
	if err != nil {
		return nil, false
	}
	var kind Bootloader
	switch {
	case endsWithPath(path, "grub/grub.cfg"):
		kind = GRUB
	case endsWithPath(path, "autoexec.ipxe"), endsWithPath(path, ipxeFolder+"/boot.ipxe"):
		kind = IPXE
	default:
		return nil, false
	}
	config, err = builtIn(kind, "redirect").render(nil)
	return config, err == nil
}

func endsWithPath(path, tail string) bool {
	return path == tail || strings.HasSuffix(path, "/"+tail)
}
