package e2e

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"provisioner/boot"
)

// plainDHCP is a DHCP server that hands out addresses on an interface, and says nothing of a boot.
func plainDHCP(iface string) []string {
	return []string{"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0", "--interface=" + iface,
		"--bind-interfaces", "--dhcp-leasefile=leases", "--no-ping", "--dhcp-range=10.77.0.100,10.77.0.150,1h"}
}

// startPlainDHCP runs it on this host: it shares UDP port 67 with us.
func startPlainDHCP(t *testing.T, iface string) (log string) {
	t.Helper()
	dir := t.TempDir()
	command := plainDHCP(iface)
	start(t, dir, "dnsmasq.log", command[0], command[1:]...)
	return filepath.Join(dir, "dnsmasq.log")
}

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
	startPlainDHCP(t, dhcpPort)
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
