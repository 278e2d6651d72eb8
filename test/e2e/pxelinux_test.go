package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	pxelinux   = "/usr/lib/PXELINUX/pxelinux.0"
	pxelinuxIn = "/usr/lib/syslinux/modules/bios/ldlinux.c32" // what it loads beside itself
)

// TestPXELINUXBehindKea boots a BIOS that Kea's hook sends to PXELINUX. Whoever the hook has nothing for is sent by Kea to
// the site's own PXELINUX, which leaves the machine to its disk.
func TestPXELINUXBehindKea(t *testing.T) {
	n := netbootCase{
		firmware: biosPXE, card: plainCard, mac: "52:54:00:00:00:10",
		needs:      append([]string{pxelinux, pxelinuxIn, ipxeKernel}, keaNeeds...),
		bootloader: []string{"pxelinux", "--tftp"}, machine: []string{"--firmware", "bios"},
		disk: mbrDisk,
		site: func(t *testing.T, server *product) {
			t.Helper()
			own := filepath.Join(server.data, "tftp/site")
			if err := os.MkdirAll(own, 0o700); err != nil {
				t.Fatal(err)
			}
			run(t, "cp", pxelinux, pxelinuxIn, own)
			keaSite{
				iface: bridge, nextServer: serverIP, bootFile: "site/pxelinux.0",
				libraries: []keaLibrary{keaHook(t, "http://"+serverIP+":8080/dhcp")},
			}.start(t)
		},
		logged: [][]string{
			{"TFTP transfer", "file=bootloaders/amd64/bios/pxelinux.0"},
			{"TFTP transfer", "file=bootloaders/amd64/bios/pxelinux.cfg/"},
			{"TFTP transfer", "file=/boot/.../kernel/"},
		},
	}.start(t)
	n.phonesHome(t)
	n.bootsFromDisk(t, booting)
	if !n.server.logs(t, "TFTP transfer", "file=site/pxelinux.cfg/") {
		t.Error("the disk was not started by PXELINUX")
	}
	n.server.stop(t)
}
