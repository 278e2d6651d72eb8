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
)

// A machine's MAC as bootloaders put it into a file name: the ARP hardware type
// (01 is Ethernet) and six bytes. With colons it is GRUB's $net_default_mac.
var configMAC = regexp.MustCompile(`(?i)(?:^|-)01-([0-9a-f]{2}(?:[-:][0-9a-f]{2}){5})$`)

// ConfigRequest tells which file names ask for a generated configuration, of
// which bootloader, and of which machine. It is a name with an element that is,
// or ends with "-" and, 01-xx-xx-xx-xx-xx-xx in any case, with hyphens or colons
// between the bytes, such as
//
//	/grub/grub.cfg-01-52-54-00-12-34-56
//	pxelinux.cfg/01-52-54-00-12-34-56
//
// PXELINUX asks where the path holds pxelinux.cfg, GRUB otherwise. The names
// pxelinux.cfg/default and grub/efidefault, at the end of any path, ask for the
// configuration of no particular machine: mac is nil.
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
	kind = GRUB
	if strings.Contains(path, "pxelinux.cfg") {
		kind = PXELINUX
	}
	for element := range strings.SplitSeq(path, "/") {
		match := configMAC.FindStringSubmatch(element)
		if match == nil {
			continue
		}
		mac, err := net.ParseMAC(strings.ReplaceAll(match[1], ":", "-"))
		return kind, mac, err == nil
	}
	return "", nil, false
}

// Redirect answers for grub/grub.cfg, at the end of any path, where no such file
// exists: the configuration makes GRUB ask again, for that of its MAC. A GRUB
// with a configuration inside, as Debian's grubnetx64.efi, asks for grub.cfg
// alone; others ask for their MAC's first.
func Redirect(name string) (config []byte, ok bool) {
	path, err := CleanPath(name)
	if err != nil || !endsWithPath(path, "grub/grub.cfg") {
		return nil, false
	}
	config, err = render(GRUB, "redirect", nil)
	return config, err == nil
}

func endsWithPath(path, tail string) bool {
	return path == tail || strings.HasSuffix(path, "/"+tail)
}
