package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// A machine is a switched-off computer, on the network. Its BMC switches it on.
type machine struct {
	dir    string   // the firmware's settings, the serial port's log
	argv   []string // the QEMU command without its serial port, which the BMC adds
	serial string   // log of the serial port
}

// newMachine plugs a machine in. Its network card is named as QEMU names it.
func newMachine(t *testing.T, fw firmware, card, mac string) *machine {
	t.Helper()
	plug(t, "tap0")
	m := &machine{dir: t.TempDir()}
	m.serial = filepath.Join(m.dir, "serial.log")
	m.argv = append(fw(t, m.dir), "-accel", "tcg", "-m", "1024", "-nodefaults", "-display", "none",
		"-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
		"-device", card+",netdev=net,mac="+mac+",bootindex=1")
	showOnFailure(t, m.serial)
	return m
}

// addDisk makes the drive, by QEMU's name, the second to boot from.
func (m *machine) addDisk(drive string) {
	m.argv = append(m.argv, "-drive", "if=none,id=disk,"+drive, "-device", "virtio-blk-pci,drive=disk,bootindex=2")
}

// serialTo connects the serial port to whoever connects to the address; until then the machine does not start, so
// that none of its lines is lost.
func (m *machine) serialTo(addr string) {
	host, port, _ := strings.Cut(addr, ":")
	m.argv = append(m.argv,
		"-chardev", "socket,id=serial,server=on,wait=on,host="+host+",port="+port+",logappend=on,logfile="+m.serial,
		"-serial", "chardev:serial")
}
