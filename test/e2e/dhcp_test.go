package e2e

import (
	"path/filepath"
	"testing"
)

// startDHCP runs dnsmasq as the site's DHCP server, which sends machines where the answer says.
func startDHCP(t *testing.T, answer dhcpAnswer) {
	t.Helper()
	startDnsmasq(t, "--dhcp-boot="+answer.bootFile+",,"+answer.nextServer)
}

// startDnsmasq runs it on this host: it shares UDP port 67 with us. It says nothing of a boot unless it is told to.
func startDnsmasq(t *testing.T, args ...string) (log string) {
	t.Helper()
	dir := t.TempDir()
	command := dnsmasqOn(bridge)
	start(t, dir, "dnsmasq.log", command[0], append(command[1:], args...)...)
	return filepath.Join(dir, "dnsmasq.log")
}

// dnsmasqOn is the command of a dnsmasq that hands out addresses on an interface.
func dnsmasqOn(iface string) []string {
	return []string{"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0", "--interface=" + iface,
		"--bind-interfaces", "--dhcp-leasefile=leases", "--no-ping", "--dhcp-range=10.77.0.100,10.77.0.150,1h"}
}
