package sim

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"provisioner/ipmi"
)

// outcome is what becomes of a machine after a step of its boot.
type outcome int

const (
	bootNext       outcome = iota // the firmware goes on with its next boot entry
	machineReboots                // from the firmware on
	machineStops                  // it waits for keys, is off, or was interrupted
)

// platform is what depends on the architecture.
type platform struct {
	pxeArch int    // DHCP option 93 (RFC 4578 §2.1)
	grub    string // $grub_cpu
	uname   string // uname -m
	kernel  string // the Debian flavour of the kernel
	tty     string // the serial port's name
}

var platforms = map[string]platform{
	AMD64: {pxeArch: 7, grub: "x86_64", uname: "x86_64", kernel: "6.1.0-28-amd64", tty: "ttyS0"},
	ARM64: {pxeArch: 11, grub: "arm64", uname: "aarch64", kernel: "6.1.0-28-arm64", tty: "ttyAMA0"},
}

func (m *Machine) platform() platform { return platforms[m.cfg.Arch] }

const pxeBlockSize = 1468 // what EDK II's PXE driver asks for

// boot is a machine's life from power-on or reset until it stops.
func (r *run) boot() {
	for r.ctx.Err() == nil {
		r.selfTest()
		if r.bootOrder() != machineReboots {
			return
		}
	}
}

func (r *run) selfTest() {
	r.say(
		"",
		"UEFI firmware 2.70 for "+r.cfg.Arch+" (simulated machine "+r.cfg.Name+")",
		"CPU: "+r.cfg.Processor,
		"Memory: 262144 MB, ECC enabled ... OK",
		"NIC 1: "+r.cfg.MAC.String()+", link up at 25 Gb/s",
		"Disk 1: NVMe, 1920 GB",
	)
}

// bootOrder tries what the firmware is to boot from, one after the other.
func (r *run) bootOrder() outcome {
	dev := r.takeBootDevice()
	switch dev {
	case ipmi.BootBIOS:
		r.say("Boot override: firmware setup", "", "Setup Utility. Press Enter to leave it and restart.")
		r.waitForKeys(modeSetup)
		return machineStops
	case ipmi.BootDisk:
		r.say("Boot override: disk")
		return r.bootDisk()
	case ipmi.BootPXE:
		r.say("Boot override: network")
	case ipmi.BootCDROM:
		r.say("Boot override: CD-ROM", "No medium in the drive.")
	default:
		r.say("Boot order: network, disk")
	}
	if next := r.pxe(); next != bootNext {
		return next
	}
	return r.bootDisk()
}

// takeBootDevice is the boot device asked for, which serves once unless it is
// persistent.
func (r *run) takeBootDevice() ipmi.BootDevice {
	r.mu.Lock()
	defer r.mu.Unlock()
	dev := r.bootDevice
	if r.current == r && !r.persistent {
		r.bootDevice = ipmi.BootNone
	}
	return dev
}

// pxe asks for an address and a boot file, and starts what it gets.
func (r *run) pxe() outcome {
	r.say("", ">>Start PXE over IPv4.")
	got, err := r.lease()
	if r.ctx.Err() != nil {
		return machineStops
	}
	if err != nil {
		r.say("  PXE-E51: No DHCP or proxyDHCP offers were received.")
		return bootNext
	}
	r.say("  Station IP address is "+got.addr.String(), "")
	if got.file == "" {
		r.say("  PXE-E53: No boot filename received.")
		return bootNext
	}
	if got.server.IsValid() {
		r.say("  Server IP address is " + got.server.String())
	}
	r.say("  NBP filename is " + got.file)
	n, err := r.downloadNBP(got)
	switch {
	case r.ctx.Err() != nil:
		return machineStops
	case err != nil:
		r.say(pxeError(err)...)
		return bootNext
	case n == 0:
		r.say(`BdsDxe: failed to load Boot0001 "UEFI PXEv4 (MAC:` + r.cfg.MAC.String() + `)": Not Found`)
		return bootNext
	}
	r.say("  NBP file downloaded successfully.",
		`BdsDxe: starting Boot0001 "UEFI PXEv4 (MAC:`+r.cfg.MAC.String()+`)"`)
	return r.grub(got)
}

func (r *run) downloadNBP(from offer) (int64, error) {
	if !from.server.IsValid() {
		return 0, errTFTPOpen
	}
	return r.tftp(from.server, pxeBlockSize).get(r.ctx, from.file, io.Discard, func(size int64) {
		if size >= 0 {
			r.say(fmt.Sprintf("  NBP filesize is %d Bytes", size))
		}
		r.say(" Downloading NBP file...", "")
	})
}

// pxeError is a failed download in a PXE ROM's words.
func pxeError(err error) []string {
	var refusal *tftpRefusal
	switch {
	case errors.As(err, &refusal):
		return []string{"  PXE-E23: Client received TFTP error from server.", "  " + refusal.Error()}
	case errors.Is(err, errTFTPOpen):
		return []string{"  PXE-E32: TFTP open timeout"}
	case errors.Is(err, errTFTPRead):
		return []string{"  PXE-E35: TFTP read timeout"}
	}
	return []string{"  PXE-E99: Unexpected network error: " + err.Error()}
}

// tftp returns a client of the machine's for server.
func (m *Machine) tftp(server netip.Addr, blockSize int) tftpClient {
	n := m.cfg.Network
	return tftpClient{server: server, port: n.TFTPPort, blockSize: blockSize, timeout: n.TFTPTimeout}
}

// bootDisk boots what is on the disk.
func (r *run) bootDisk() outcome {
	r.mu.Lock()
	disk := r.disk
	r.mu.Unlock()
	if disk.system == "" {
		r.say("", "No bootable device.")
		r.waitForKeys(modeDead)
		return machineStops
	}
	return r.startSystem(disk)
}
