package e2e

import (
	"os/exec"
	"testing"
)

// The product's and the DHCP server's address on the machines' network.
const serverIP = "10.77.0.1"

const bridge = "lab0"

// newNetwork makes a bridge with the server's address, which machines are plugged into. It is up before they are: Kea
// listens on no other interface.
func newNetwork(t *testing.T) {
	t.Helper()
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", bridge).Run() })
	run(t, "ip", "addr", "add", serverIP+"/24", "dev", bridge)
	run(t, "ip", "link", "set", bridge, "up")
	run(t, "ip", "link", "add", "port", "type", "veth", "peer", "name", "elsewhere")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "port").Run() })
	run(t, "ip", "link", "set", "port", "master", bridge, "up")
	run(t, "ip", "link", "set", "elsewhere", "up")
}

// plug adds a port to the network, a tap device of that name.
func plug(t *testing.T, tap string) {
	t.Helper()
	run(t, "ip", "tuntap", "add", tap, "mode", "tap")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", tap).Run() })
	run(t, "ip", "link", "set", tap, "master", bridge, "up")
}
