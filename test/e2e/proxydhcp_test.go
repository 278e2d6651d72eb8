//go:build matrix

package e2e

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// A proxyCase is a machine whose site has a DHCP server that knows of no boot.
type proxyCase struct {
	firmware firmware
	card     string   // QEMU's name of the network card
	needs    []string // files, besides those of every case
	network  func(t *testing.T) (log string)
	loaded   []string // what the server's log says of the way to the kernel
}

var proxyCases = map[string]proxyCase{
	// The network card's own, with the DHCP server on the same host.
	"iPXE": {
		firmware: bios, card: "virtio-net-pci", needs: []string{"/usr/lib/ipxe/qemu/pxe-virtio.rom"},
		network: func(t *testing.T) string { return startPlainDHCP(t, bridge) },
		loaded:  []string{"method=GET file=/ipxe/", "method=GET file=/boot/.../kernel/"},
	},
	// UEFI by way of the bootloader, with the DHCP server on another host.
	"UEFI": {
		firmware: uefi, card: "virtio-net-pci,romfile=", needs: []string{uefiCode, uefiVars},
		network: startDHCPElsewhere,
		loaded: []string{
			`"TFTP transfer" file=bootloaders/amd64/uefi/snponly.efi`, "method=GET file=/ipxe/", "method=GET file=/boot/.../kernel/",
		},
	},
}

// TestProxyDHCP boots machines that get their addresses from a DHCP server that says nothing else, until they phone
// home; then they are no longer told what to boot.
func TestProxyDHCP(t *testing.T) {
	for name, c := range proxyCases {
		t.Run(name, func(t *testing.T) { c.run(t) })
	}
}

func (c proxyCase) run(t *testing.T) {
	require(t, append(slices.Clone(c.needs), "busybox", "cpio", "dnsmasq", "ip", "ipmi_sim", "qemu-system-x86_64", "ssh", "ssh-keygen",
		"tmux", "unshare", "/usr/lib/ipxe/snponly.efi", kernelDir())...)
	const mac = "52:54:00:00:00:01"
	newNetwork(t)
	bare := newMachineWith(t, c.firmware, c.card, mac)
	bmc := newBMC(t, bare, 9001)
	t.Setenv("PROVISIONER_PROXY_DHCP", bridge)
	t.Setenv("PROVISIONER_LOG_LEVEL", "debug")
	server := startProduct(t)
	leases := c.network(t)
	key := sshKey(t)
	server.command(t, "user", "add", "ada", "--admin", "--key", key+".pub")
	server.command(t, "bootloader", "import", "ipxe")
	server.command(t, "image", "add", "debian-kernel", "--type", "kernel", "--arch", "amd64", kernelImage(t))
	server.command(t, "image", "add", "debian-initrd", "--type", "initrd", "--arch", "amd64", newInitrd(t))
	server.command(t, "preseed", "add", "installer", "--type", "preseed", "testdata/preseed")
	server.command(t, "machine", "add", "bare-1", "--arch", "amd64", "--mac", mac,
		"--bmc", bmc.addr, "--bmc-user", bmc.user, "--bmc-password-file", bmc.passwordFile(t))

	ada := newPerson(t, sshCommand(key, "ada")...)
	ada.sees(soon, "bare-1", "off")
	ada.press(keyTake)
	ada.sees(soon, "Held by   you", mac)
	ada.provision()
	ada.sees(booting, "initrd: phoned home", "initrd#")
	for _, line := range c.loaded {
		if count(t, server.log, line) == 0 {
			t.Errorf("the log does not say %s", line)
		}
	}

	told, lent := count(t, server.log, "ProxyDHCP answers"), count(t, leases, "DHCPOFFER", "DHCPACK")
	if told == 0 {
		t.Error("nobody told the machine what to boot")
	}
	ada.press(keyReset)
	ada.sees(soon, "Reset bare-1")
	ada.press(keyYes)
	eventually(t, booting, "the DHCP server is asked again", func() bool { return count(t, leases, "DHCPOFFER", "DHCPACK") >= lent+2 })
	if again := count(t, server.log, "ProxyDHCP answers"); again != told {
		t.Errorf("a machine that has phoned home was told what to boot, %d times", again-told)
	}
	server.stop(t)
}

// startDHCPElsewhere runs it in a network namespace with an address and a cable of its own.
func startDHCPElsewhere(t *testing.T) (log string) {
	t.Helper()
	const cable = "uplink"
	dir := t.TempDir()
	script := `: >ready
until ip link show ` + cable + ` >/dev/null 2>&1; do sleep 0.1; done
ip link set lo up
ip addr add 10.77.0.2/24 dev ` + cable + `
ip link set ` + cable + ` up
exec "$@"`
	host, _ := start(t, dir, "dnsmasq.log", "unshare", append([]string{"--net", "sh", "-ec", script, "sh"}, plainDHCP(cable)...)...)
	eventually(t, soon, "the other host is there", func() bool {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err == nil
	})
	run(t, "ip", "link", "add", "host2", "type", "veth", "peer", "name", cable, "netns", strconv.Itoa(host.Process.Pid))
	run(t, "ip", "link", "set", "host2", "master", bridge, "up")
	return filepath.Join(dir, "dnsmasq.log")
}

// count tells how often the texts stand in a log.
func count(t *testing.T, path string, texts ...string) (n int) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		n += strings.Count(string(log), text)
	}
	return n
}
