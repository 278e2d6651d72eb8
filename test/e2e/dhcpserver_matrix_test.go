//go:build matrix

package e2e

import (
	"regexp"
	"testing"
)

// TestDHCPServerServesBehindARelay has dnsmasq forward what a client on another wire asks.
func TestDHCPServerServesBehindARelay(t *testing.T) {
	require(t, "busybox", "dnsmasq", "ip", "unshare")
	server := startDHCPServer(t, "10.77.0.100-10.77.0.199")
	server.command(t, "network", "add", "far", "10.5.0.0/24", "--dhcp-pool", "10.5.0.100-10.5.0.101", "--gateway", "10.5.0.1")
	relay := newUdhcpcHost(t)
	run(t, "ip", "route", "add", "10.5.0.0/24", "via", "10.77.0.2")
	relay.run(t, "ip addr add 10.77.0.2/24 dev "+clientPort+` && ip link add relay type veth peer name far &&
		ip addr add 10.5.0.1/24 dev relay && ip link set relay up && ip link set far address `+netbootMAC+" up")
	relay.run(t, "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --port=0 --log-facility=- --dhcp-relay=10.5.0.1,"+serverIP+" >dnsmasq.log 2>&1 &")
	relay.port = "far"
	contains(t, relay.udhcpc(t, "-t 10"), "bound: 10.5.0.10", "/24 via 10.5.0.1 dns")
	server.stop(t)
}

// TestDHCPServerServesManyClients has Kea's load generator be two hundred clients.
func TestDHCPServerServesManyClients(t *testing.T) {
	require(t, "ip", "perfdhcp", "unshare")
	server := startDHCPServer(t, "10.77.0.20-10.77.0.49")
	server.command(t, "network", "set", "lab", "--subnet", "10.77.0.0/16", "--dhcp-pool", "10.77.1.0-10.77.1.199")
	host := newDHCPHost(t)
	host.run(t, "ip addr add 10.77.0.2/24 dev "+clientPort)
	out, _ := host.try(t, "perfdhcp -4 -l "+clientPort+" -r 100 -n 400 -R 200 -W 1000000")
	for _, exchange := range regexp.MustCompile(`(?s)Statistics for: (\S+).*?sent packets: (\d+)\nreceived packets: (\d+)`).FindAllStringSubmatch(out, -1) {
		if exchange[2] == "0" || exchange[2] != exchange[3] {
			t.Errorf("%s: %s sent, %s answered", exchange[1], exchange[2], exchange[3])
		}
	}
	contains(t, out, "DISCOVER-OFFER", "REQUEST-ACK")
	server.stop(t)
}

// dhcpBoots are machines that have no server but us.
var dhcpBoots = map[string]netbootCase{
	// The network card's own.
	"iPXE": {
		firmware: bios, mac: "52:54:00:00:00:50", card: cardWithIPXE, needs: append([]string{"/usr/lib/ipxe/snponly.efi"}, romNeeds...),
		bootloader: []string{"ipxe"}, disk: mbrDisk,
		logged: [][]string{{"method=GET", "file=/ipxe/"}, {"method=GET", "file=/boot/.../kernel/"}},
	},
	"GRUB on UEFI": {
		firmware: uefi, mac: "52:54:00:00:00:51", card: plainCard, needs: uefiNeeds,
		bootloader: []string{"grub-efi"}, disk: firmwareDisk,
		logged: [][]string{{"TFTP transfer", "file=bootloaders/amd64/uefi/"}, {"method=GET", "file=/boot/.../kernel/"}},
	},
	"UEFI HTTP boot": {
		firmware: uefiHTTP, mac: "52:54:00:00:00:52", card: plainCard, needs: uefiNeeds,
		bootloader: []string{"grub-efi"}, disk: firmwareDisk,
		logged: [][]string{{"method=GET", "file=/bootloaders/amd64/uefi/"}, {"method=GET", "file=/boot/.../kernel/"}},
	},
}

// TestDHCPServerBootsMachines has machines get their address and all else from us, until they phone home; then they have
// only their disks.
func TestDHCPServerBootsMachines(t *testing.T) {
	for name, c := range dhcpBoots {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PROVISIONER_DHCP_SERVER", bridge)
			c.site = func(t *testing.T, server *product) {
				t.Helper()
				server.command(t, "network", "add", "lab", "10.77.0.0/24", "--dhcp-pool", "10.77.0.100-10.77.0.150", "--reserved-pool", "10.77.0.50-10.77.0.59")
				server.command(t, "machine", "interface", "bare-1", "--network", "lab", "--type", "dynamic-reserved", "--address", "auto")
			}
			c.logged = append(c.logged, []string{"with=ACK address=10.77.0.50"})
			n := c.start(t)
			n.phonesHome(t)
			n.bootsFromDisk(t, untold)
			for _, text := range []string{"with=NAK", "address=10.77.0.1"} {
				if count(t, n.server.log, text) > 0 {
					t.Errorf("the machine had another address than its reserved one: %s", text)
				}
			}
			n.server.stop(t)
		})
	}
}
