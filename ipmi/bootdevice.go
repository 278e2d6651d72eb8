package ipmi

// BootDevice is what a machine is asked to start from, in the codes of the
// boot flags parameter (IPMI v2.0 §28.13, Table 28-14, parameter 5, data 2).
type BootDevice uint8

const (
	BootNone  BootDevice = 0x0 // no override: the firmware's own order
	BootPXE   BootDevice = 0x1
	BootDisk  BootDevice = 0x2
	BootCDROM BootDevice = 0x5
	BootBIOS  BootDevice = 0x6 // into the firmware's setup
)

// String returns the name a person uses: none, pxe, disk, cdrom or bios.
func (d BootDevice) String() string {
	switch d {
	case BootNone:
		return "none"
	case BootPXE:
		return "pxe"
	case BootDisk:
		return "disk"
	case BootCDROM:
		return "cdrom"
	case BootBIOS:
		return "bios"
	}
	return "unknown"
}
