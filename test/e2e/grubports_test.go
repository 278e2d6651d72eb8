//go:build matrix

package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGRUBTakesItsPortsAgain boots a machine three times: GRUB starts anew with the TCP ports of the boot before, of which
// our side of the connections must have nothing left. The first boot ends with a reset while the kernel comes.
func TestGRUBTakesItsPortsAgain(t *testing.T) {
	c := loaderCases["GRUB on UEFI"]
	c.mac = "52:54:00:00:00:16"
	n := c.start(t)
	eventually(t, booting, "GRUB asks for the kernel", func() bool { return len(n.kernelsTo(t)) > 0 })
	n.reset(t)
	n.phonesHome(t)
	reset := n.kernelsTo(t)

	n.ada.provision(n.installer.options)
	eventually(t, booting, "the machine phones home once more", func() bool {
		serial, err := os.ReadFile(n.bare.serial)
		return err == nil && strings.Count(string(serial), n.installer.shows[0]) == 2
	})
	n.phonesHome(t)
	again := n.kernelsTo(t)[len(reset):]

	if len(reset) < 2 || !slices.Contains(reset[:1], reset[1]) || len(again) == 0 || !slices.Contains(reset, again[0]) {
		t.Errorf("the kernel went to %q until the machine had phoned home, and then to %q: want the same ports", reset, again)
	}
	n.server.stop(t)
}

var kernelTo = regexp.MustCompile(`"HTTP boot file" method=GET file=/boot/\.\.\./kernel/\S* client=(\S+)`)

// kernelsTo are the addresses and ports that have asked for the kernel, in their order.
func (n *netboot) kernelsTo(t *testing.T) (clients []string) {
	t.Helper()
	log, err := os.ReadFile(n.server.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range kernelTo.FindAllStringSubmatch(string(log), -1) {
		clients = append(clients, match[1])
	}
	return clients
}
