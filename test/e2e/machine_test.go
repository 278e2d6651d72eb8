package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A firmware is what QEMU needs to start as that kind of machine.
type firmware func(t *testing.T, dir string) (args []string)

const (
	uefiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	uefiVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// uefi is a UEFI firmware with its own network stack: no option ROM takes its place, and it does not wait for IPv6.
func uefi(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(uefiVars)
	if err != nil {
		t.Fatal(err)
	}
	vars := filepath.Join(dir, "uefi-vars")
	if err := os.WriteFile(vars, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + uefiCode,
		"-drive", "if=pflash,format=raw,file=" + vars,
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
	}
}

// A machine is a switched-off computer without a disk, on the network. Its BMC switches it on.
type machine struct {
	dir    string   // the firmware's settings, the serial port's log
	argv   []string // the QEMU command without its serial port, which the BMC adds
	serial string   // log of the serial port
}

func newMachine(t *testing.T, fw firmware, mac string) *machine {
	t.Helper()
	return newMachineWith(t, fw, "virtio-net-pci,romfile=", mac)
}

// bios is what QEMU starts with by itself.
func bios(*testing.T, string) []string { return nil }

// newMachineWith is newMachine with another network card, by QEMU's name; its option ROM is iPXE.
func newMachineWith(t *testing.T, fw firmware, card, mac string) *machine {
	t.Helper()
	plug(t, "tap0")
	m := &machine{dir: t.TempDir()}
	m.serial = filepath.Join(m.dir, "serial.log")
	m.argv = append([]string{
		"qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none",
		"-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
		"-device", card + ",netdev=net,bootindex=1,mac=" + mac,
	}, fw(t, m.dir)...)
	showOnFailure(t, m.serial)
	return m
}

// serialTo connects the serial port to whoever connects to the address; until then the machine does not start, so
// that none of its lines is lost.
func (m *machine) serialTo(addr string) {
	host, port, _ := strings.Cut(addr, ":")
	m.argv = append(m.argv,
		"-chardev", "socket,id=serial,server=on,wait=on,host="+host+",port="+port+",logappend=on,logfile="+m.serial,
		"-serial", "chardev:serial")
}
