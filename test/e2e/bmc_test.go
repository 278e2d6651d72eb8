package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A bmc is OpenIPMI's ipmi_sim in front of a machine.
type bmc struct {
	addr           string // host:port of RMCP+
	user, password string
	dir            string // of testdata/chassis.sh
}

// %[1]d: the UDP port, %[2]s: the address of the machine's serial port, %[3]s and %[4]s: the chassis script, its folder,
// %[5]s, %[6]s: user and password.
const ipmiSimConfig = `
name "machine"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %[1]d
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  sol "tcp:%[2]s" 115200 history=4000
  chassis_control "%[3]s %[4]s"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "%[5]s" "%[6]s" admin 10 none md2 md5 straight
`

const ipmiSimCommands = `
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`

// newBMC starts the BMC of a machine and listens on a UDP port of 127.0.0.1. The machine's serial port uses the TCP port of the
// same number.
func newBMC(t *testing.T, m *machine, port int) *bmc {
	t.Helper()
	b := &bmc{addr: fmt.Sprintf("127.0.0.1:%d", port), user: "operator", password: "horse-battery", dir: t.TempDir()}
	m.serialTo(b.addr)

	chassis, err := filepath.Abs("testdata/chassis.sh")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(ipmiSimConfig, port, b.addr, chassis, b.dir, b.user, b.password)
	for name, content := range map[string]string{
		"lan.conf": config,
		"commands": ipmiSimCommands,
		"argv":     strings.Join(m.argv, "\n") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	showOnFailure(t, filepath.Join(b.dir, "machine.log"))
	state := filepath.Join(b.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command(chassis, b.dir, "set", "power", "0").Run() })
	start(t, b.dir, "ipmi_sim.log", "ipmi_sim", "-n", "-c", "lan.conf", "-f", "commands", "-s", state)
	return b
}

// passwordFile is the BMC's password as an admin hands it over.
func (b *bmc) passwordFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bmc-password")
	if err := os.WriteFile(path, []byte(b.password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bootDevice is what the BMC was told last.
func (b *bmc) bootDevice(t *testing.T) string {
	t.Helper()
	device, err := os.ReadFile(filepath.Join(b.dir, "boot"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(device))
}
