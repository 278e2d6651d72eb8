package e2e

import "testing"

// startDHCP runs dnsmasq as the site's DHCP server, which sends machines where the answer says.
func startDHCP(t *testing.T, answer dhcpAnswer) {
	t.Helper()
	start(t, t.TempDir(), "dnsmasq.log", "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0",
		"--interface="+bridge, "--bind-interfaces", "--dhcp-leasefile=leases", "--no-ping",
		"--dhcp-range=10.77.0.100,10.77.0.150,1h", "--dhcp-boot="+answer.bootFile+",,"+answer.nextServer)
}
