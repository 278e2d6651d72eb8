package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// udhcpcScript configures the interface, and prints what the DHCP server has said.
const udhcpcScript = `#!/bin/sh
case $1 in
deconfig) ip addr flush dev $interface ;;
bound | renew) ip addr replace $ip/$mask dev $interface ;;
esac
echo "$1: $ip/$mask via $router dns $dns in $domain called $hostname for $lease" | tee -a events
`

// startDHCPServer runs the product as the DHCP server of the cable, with a network and the machine web-01.
func startDHCPServer(t *testing.T, pool string) *product {
	t.Helper()
	newCable(t)
	t.Setenv("PROVISIONER_DHCP_SERVER", dhcpPort)
	t.Setenv("PROVISIONER_LOG_LEVEL", "debug")
	server := startProduct(t)
	server.command(t, "network", "add", "lab", "10.77.0.0/24", "--dhcp-pool", pool, "--reserved-pool", "10.77.0.50-10.77.0.59",
		"--gateway", "10.77.0.254", "--nameservers", "10.77.0.3,10.77.0.4", "--domain", "lab.example.org", "--lease-time", "10m")
	server.command(t, "machine", "add", "web-01", "--mac", netbootMAC)
	return server
}

// udhcpc asks for an address, and returns what came of it.
func (h *dhcpHost) udhcpc(t *testing.T, args string) string {
	t.Helper()
	out, _ := h.try(t, "busybox udhcpc -f -q -n -t 3 -T 1 -A 1 -i "+h.port+" -s ./udhcpc.sh "+args)
	return out
}

// newUdhcpcHost has the script of its client.
func newUdhcpcHost(t *testing.T) *dhcpHost {
	t.Helper()
	host := newDHCPHost(t)
	if err := os.WriteFile(filepath.Join(host.shell.Dir, "udhcpc.sh"), []byte(udhcpcScript), 0o700); err != nil {
		t.Fatal(err)
	}
	return host
}

// contains is a test's error where a text lacks something.
func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// lacks likewise.
func lacks(t *testing.T, text, unwanted string) {
	t.Helper()
	if strings.Contains(text, unwanted) {
		t.Errorf("%q is in:\n%s", unwanted, text)
	}
}

// TestDHCPServerServesUdhcpc has busybox's client, which many installers and initrds have, ask for all there is to ask.
func TestDHCPServerServesUdhcpc(t *testing.T) {
	require(t, "busybox", "ip", "unshare")
	server := startDHCPServer(t, "10.77.0.100-10.77.0.101")
	host := newUdhcpcHost(t)
	host.card(t, netbootMAC)
	const network = "/24 via 10.77.0.254 dns 10.77.0.3 10.77.0.4 in lab.example.org called"
	contains(t, host.udhcpc(t, "-r 10.77.0.100"), "bound: 10.77.0.100"+network+" web-01 for 600")

	// The reserved address is found at somebody else, for a while.
	server.command(t, "machine", "interface", "web-01", "--network", "lab", "--type", "dynamic-reserved", "--address", "auto")
	contains(t, host.udhcpc(t, "-r 10.77.0.100"), "bound: 10.77.0.50"+network)
	run(t, "ip", "addr", "add", "10.77.0.50/24", "dev", dhcpPort)
	out := host.udhcpc(t, "-a")
	contains(t, out, "declin", "bound: 10.77.0.10")
	lacks(t, out, "bound: 10.77.0.50")
	run(t, "ip", "addr", "del", "10.77.0.50/24", "dev", dhcpPort)

	// Others get what is left of the pool, until there is nothing left.
	for n, want := range []string{"bound: 10.77.0.10", "no lease"} {
		host.card(t, "52:54:00:00:01:0"+string(rune('0'+n)))
		out := host.udhcpc(t, "")
		contains(t, out, want)
		lacks(t, out, "web-01")
	}

	// Of one that goes on running: it renews by asking us alone, and gives its address back, which another one gets.
	host.card(t, "52:54:00:00:01:00")
	host.run(t, `rm -f events; busybox udhcpc -f -R -i `+clientPort+` -s ./udhcpc.sh >udhcpc.log 2>&1 & echo $! >pid`)
	events := filepath.Join(host.shell.Dir, "events")
	awaits := func(event string) (address string) {
		eventually(t, soon, event, func() bool {
			text, err := os.ReadFile(events)
			if err != nil {
				return false
			}
			if found := regexp.MustCompile(event + `: (10\.77\.0\.\d+)/24`).FindStringSubmatch(string(text)); found != nil {
				address = found[1]
			}
			return address != ""
		})
		return address
	}
	address := awaits("bound")
	host.run(t, "kill -USR1 $(cat pid)")
	if again := awaits("renew"); again != address {
		t.Errorf("%s was renewed as %s", address, again)
	}
	host.run(t, "kill $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do sleep 0.1; done")
	host.card(t, "52:54:00:00:01:02")
	contains(t, host.udhcpc(t, ""), "bound: "+address)
	server.stop(t)
}

// TestDHCPServerServesDhclient has ISC's client, which remembers its address over a restart (INIT-REBOOT).
func TestDHCPServerServesDhclient(t *testing.T) {
	require(t, "dhclient", "ip", "unshare")
	server := startDHCPServer(t, "10.77.0.100-10.77.0.199")
	host := newDHCPHost(t)
	host.card(t, netbootMAC)
	const files = " -cf /dev/null -lf leases -pf pid -sf $PWD/configure "
	const dhclient = "dhclient -v -1" + files + clientPort
	host.run(t, `touch leases; printf '#!/bin/sh\n[ -z "$new_ip_address" ] || ip addr replace $new_ip_address/24 dev $interface\n' >configure; chmod +x configure`)
	first := host.run(t, dhclient)
	contains(t, first, "DHCPDISCOVER", "DHCPOFFER of 10.77.0.1", "DHCPACK of 10.77.0.1", "bound to 10.77.0.1")
	host.run(t, "dhclient -x"+files)
	again := host.run(t, dhclient)
	contains(t, again, "DHCPACK of 10.77.0.1")
	lacks(t, again, "DHCPDISCOVER")
	host.run(t, "dhclient -x"+files)

	// It has another address by now: it is told so, and does not wait.
	server.command(t, "machine", "interface", "web-01", "--network", "lab", "--type", "dynamic-reserved", "--address", "10.77.0.55")
	moved := host.run(t, dhclient)
	contains(t, moved, "DHCPNAK from 10.77.0.1", "bound to 10.77.0.55")
	leases, err := os.ReadFile(filepath.Join(host.shell.Dir, "leases"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(leases), `option host-name "web-01"`, `option domain-name "lab.example.org"`, "option routers 10.77.0.254",
		"option domain-name-servers 10.77.0.3,10.77.0.4", "option dhcp-lease-time 600", "option dhcp-renewal-time 300")
	contains(t, host.run(t, "dhclient -v -r"+files+clientPort), "DHCPRELEASE of 10.77.0.55")
	eventually(t, soon, "the lease has ended", func() bool {
		return strings.Contains(run(t, os.Getenv(binaryEnv), "machine", "interface", "web-01", "--data", server.data), "10.77.0.55 (ended)")
	})
	server.stop(t)
}
