//go:build matrix

package e2e

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"provisioner/boot"
)

// TestProxyDHCPBesideDnsmasq has both listen on one interface, and a machine ask.
func TestProxyDHCPBesideDnsmasq(t *testing.T) {
	require(t, "ip", "dnsmasq")
	newCable(t)
	machines := &knownMachines{}
	proxy := boot.NewProxyDHCP(machines, slog.New(slog.DiscardHandler))
	if err := proxy.Listen(t.Context(), dhcpPort, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- proxy.Serve(ctx) }() // ends with cancel
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	command := dnsmasqOn(dhcpPort)
	start(t, t.TempDir(), "dnsmasq.log", command[0], command[1:]...)
	uefi := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")),
	}
	machine := newDHCPClient(t, netbootMAC, uefi...)
	lent, told := machine.offers(t, true)
	if next, file, option := sentTo(told); next != "10.77.0.8" || file != "bootloaders/amd64/uefi/grubx64.efi" || option != file {
		t.Errorf("sent to %q, %q, option %q", next, file, option)
	}
	if _, file, option := sentTo(lent); file != "" || option != "" {
		t.Errorf("dnsmasq names the boot file %q, option %q", file, option)
	}
	if told.ServerIdentifier().String() != serverIP || told.ClassIdentifier() != "PXEClient" {
		t.Errorf("from %s, class %q", told.ServerIdentifier(), told.ClassIdentifier())
	}
	// What was answered to its earlier requests may come first. The server has our address, and we its REQUEST.
	eventually(t, soon, "the lease", func() bool {
		answer := machine.request(t, lent)
		if answer.MessageType() == dhcpv4.MessageTypeAck && !answer.YourIPAddr.Equal(lent.YourIPAddr) {
			t.Fatalf("a lease of something else: %s", answer.Summary())
		}
		return answer.MessageType() == dhcpv4.MessageTypeAck
	})

	for _, mac := range []string{diskMAC, unknownMAC} {
		newDHCPClient(t, mac, uefi...).offers(t, false)
	}
	newDHCPClient(t, netbootMAC).offers(t, false) // its operating system
	eventually(t, soon, "those who are not told what to boot are counted", func() bool {
		stats := proxy.Stats()
		return stats.FromDisk > 0 && stats.Unknown > 0 && stats.Ignored > 0
	})
}

// offers asks until an offer of an address has come and, where it is to be told what to boot, one of a boot file.
func (c *dhcpClient) offers(t *testing.T, told bool) (address, file *dhcpv4.DHCPv4) {
	t.Helper()
	request, err := dhcpv4.NewDiscovery(c.mac, c.options...)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); {
		offer, err := c.ask(request, time.Second)
		switch {
		case err != nil: // dnsmasq may not listen yet
		case offer.YourIPAddr.IsUnspecified():
			file = offer
		default:
			address = offer
		}
		if address != nil && (file != nil || !told) {
			break
		}
	}
	if address == nil || (file != nil) != told {
		t.Fatalf("%s: an address %v, told what to boot %v; want an address, and told %v", c.mac, address != nil, file != nil, told)
	}
	return address, file
}

var proxyCases = map[string]netbootCase{
	// The network card's own, with the DHCP server on the same host.
	"iPXE": {
		firmware: bios, mac: "52:54:00:00:00:40", card: cardWithIPXE, needs: romNeeds,
		disk:   mbrDisk,
		site:   func(t *testing.T, _ *product) { startDnsmasq(t) },
		logged: [][]string{{"method=GET", "file=/ipxe/"}, {"method=GET", "file=/boot/.../kernel/"}},
	},
	// UEFI by way of the bootloader, with the DHCP server on another host.
	"UEFI": {
		firmware: uefi, mac: "52:54:00:00:00:41", card: plainCard, needs: append([]string{"unshare"}, uefiNeeds...),
		disk: firmwareDisk,
		site: func(t *testing.T, _ *product) { startDHCPElsewhere(t) },
		logged: [][]string{
			{"TFTP transfer", "file=bootloaders/amd64/uefi/snponly.efi"}, {"method=GET", "file=/ipxe/"}, {"method=GET", "file=/boot/.../kernel/"},
		},
	},
}

// untold is how long a machine takes to its disk when nobody tells it what to boot: UEFI firmware asks for a minute and more
// in each of the ways that a network card has.
const untold = 3 * booting

// TestProxyDHCP boots machines that get their addresses from a DHCP server that says nothing else, until they phone
// home; then they are no longer told what to boot, and have only their disks.
func TestProxyDHCP(t *testing.T) {
	for name, c := range proxyCases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PROVISIONER_PROXY_DHCP", bridge)
			c.needs = append(c.needs, "/usr/lib/ipxe/snponly.efi")
			c.bootloader = []string{"ipxe"}
			n := c.start(t)
			n.phonesHome(t)
			told := count(t, n.server.log, "ProxyDHCP answers")
			if told == 0 {
				t.Error("nobody told the machine what to boot")
			}
			n.bootsFromDisk(t, untold)
			if again := count(t, n.server.log, "ProxyDHCP answers"); again != told {
				t.Errorf("a machine that has phoned home was told what to boot, %d times", again-told)
			}
			n.server.stop(t)
		})
	}
}

// startDHCPElsewhere runs it in a network namespace with an address and a cable of its own.
func startDHCPElsewhere(t *testing.T) {
	t.Helper()
	const cable = "uplink"
	dir := t.TempDir()
	script := `: >ready
until ip link show ` + cable + ` >/dev/null 2>&1; do sleep 0.1; done
ip link set lo up
ip addr add 10.77.0.2/24 dev ` + cable + `
ip link set ` + cable + ` up
exec "$@"`
	host, _ := start(t, dir, "dnsmasq.log", "unshare", append([]string{"--net", "sh", "-ec", script, "sh"}, dnsmasqOn(cable)...)...)
	eventually(t, soon, "the other host is there", func() bool {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err == nil
	})
	run(t, "ip", "link", "add", "host2", "type", "veth", "peer", "name", cable, "netns", strconv.Itoa(host.Process.Pid))
	run(t, "ip", "link", "set", "host2", "master", bridge, "up")
}

// count tells how often a text stands in a log.
func count(t *testing.T, path, text string) int {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), text)
}
