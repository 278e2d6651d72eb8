package sim_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// What ipmitool and our client can do to the same cartridge: they put the same
// bytes on the wire, or one of them would be refused.
func TestIpmitoolDrivesACartridge(t *testing.T) {
	tool := program(t, "ipmitool", "ipmitool")
	const slot = 7
	hw := &machine{}
	addr := serve(t, sim.NewMoonshot("ADMIN", "secret", slot, hw))
	run := func(cartridge string, args ...string) (string, error) {
		t.Helper()
		_, port, _ := strings.Cut(addr.String(), ":")
		args = append([]string{
			"-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", port, "-U", "ADMIN", "-E", "-N", "2", "-R", "1",
			"-B", "0", "-T", cartridge, "-b", "7", "-t", "0x72",
		}, args...)
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Env = append(os.Environ(), "IPMI_PASSWORD=secret", "IPMITOOL_PASSWORD=secret")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	for _, args := range [][]string{
		{"power", "on"},
		{"power", "cycle"},
		{"bootdev", "pxe", "options=efiboot"},
		{"identify"},
	} {
		if out, err := run("0x8e", append([]string{"chassis"}, args...)...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if out, err := run("0x8e", "chassis", "power", "status"); err != nil || !strings.Contains(out, "is on") {
		t.Errorf("power status: %v\n%s", err, out)
	}
	if dev, _, efi := hw.bootDevice(); dev != ipmi.BootPXE || !efi {
		t.Errorf("boot device %v, efi %v", dev, efi)
	}
	if out, err := run("0x8e", "chassis", "power", "reset"); err == nil || !strings.Contains(out, "0x80") {
		t.Errorf("reset, which a cartridge refuses: %v\n%s", err, out)
	}
	if out, err := run("0x90", "chassis", "power", "off"); err == nil || !hw.PoweredOn() {
		t.Errorf("power off of an empty slot: %v\n%s", err, out)
	}

	c := ipmi.NewClient(ipmi.Config{Addr: addr.String(), Username: "ADMIN", Password: "secret", Cartridge: slot})
	defer func() { _ = c.Close(t.Context()) }()
	if err := c.SetPower(t.Context(), ipmi.PowerReset); err != nil {
		t.Errorf("reset by our client, which cycles: %v", err)
	}
	if err := c.SetPower(t.Context(), ipmi.PowerDown); err != nil || hw.PoweredOn() {
		t.Errorf("power off by our client: %v", err)
	}
	empty := ipmi.NewClient(ipmi.Config{Addr: addr.String(), Username: "ADMIN", Password: "secret", Cartridge: slot + 1})
	defer func() { _ = empty.Close(t.Context()) }()
	if _, err := empty.Power(t.Context()); !errors.Is(err, ipmi.ErrRefused) {
		t.Errorf("an empty slot: %v", err)
	}
}
