package ipmi_test

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

func TestSettingsOfTheConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := onWire(t, &machine{}, sim.WithSOLPort(7000), sim.WithSOLTiming(20*time.Millisecond, 300*time.Millisecond))
		got, err := c.SOLSettings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := ipmi.SOLSettings{
			Enabled: true, Privilege: ipmi.PrivilegeAdministrator,
			AccumulateInterval: 20 * time.Millisecond, SendThreshold: 251,
			RetryCount: 7, RetryInterval: 300 * time.Millisecond,
			BitRate: 115200, NonVolatileBitRate: 115200, Channel: 1, Port: 7000,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// ipmitool reads the same of the same BMC.
func TestSettingsOfTheConsoleAreThoseThatIPMIToolSees(t *testing.T) {
	rate := func(bits int) string {
		if bits == 0 {
			return "IPMI-Over-Serial-Setting"
		}
		return fmt.Sprintf("%.1f", float64(bits)/1000)
	}
	type row struct{ setting, label, value string } // setting is what Unknown calls it
	rows := func(s ipmi.SOLSettings) []row {
		return []row{
			{"enabled", "Enabled", fmt.Sprint(s.Enabled)},
			{"protection and privilege", "Force Encryption", fmt.Sprint(s.ForceEncryption)},
			{"protection and privilege", "Force Authentication", fmt.Sprint(s.ForceAuthentication)},
			{"protection and privilege", "Privilege Level", strings.ToUpper(s.Privilege.String())},
			{"accumulate interval and threshold", "Character Accumulate Level (ms)", fmt.Sprint(s.AccumulateInterval.Milliseconds())},
			{"accumulate interval and threshold", "Character Send Threshold", fmt.Sprint(s.SendThreshold)},
			{"retry", "Retry Count", fmt.Sprint(s.RetryCount)},
			{"retry", "Retry Interval (ms)", fmt.Sprint(s.RetryInterval.Milliseconds())},
			{"volatile bit rate", "Volatile Bit Rate (kbps)", rate(s.BitRate)},
			{"non-volatile bit rate", "Non-Volatile Bit Rate (kbps)", rate(s.NonVolatileBitRate)},
			{"payload channel", "Payload Channel", fmt.Sprintf("%d (0x%02x)", s.Channel, s.Channel)},
			{"payload port", "Payload Port", fmt.Sprint(s.Port)},
		}
	}
	for _, tt := range []struct {
		name, user, password, suite string
		addr                        func(t *testing.T) string
		unknown                     []string
	}{
		{
			name: "simulated BMC", user: user, password: password, suite: "17",
			addr: func(t *testing.T) string { return onLoopback(t, sim.New(user, password, &machine{})) },
		},
		{
			name: "ipmi_sim", user: "ipmiusr", password: "test", suite: "3",
			addr: func(t *testing.T) string { return startOpenIPMI(t).addr },
			unknown: []string{
				"protection and privilege", "accumulate interval and threshold", "retry", "payload channel", "payload port",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := tt.addr(t)
			s, err := connect(t, ipmi.Config{Addr: addr, Username: tt.user, Password: tt.password}).SOLSettings(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.unknown, s.Unknown); diff != "" {
				t.Errorf("unknown: %s", diff)
			}
			host, port, _ := net.SplitHostPort(addr)
			out, err := exec.Command("ipmitool", "-I", "lanplus", "-H", host, "-p", port,
				"-U", tt.user, "-P", tt.password, "-C", tt.suite, "sol", "info").CombinedOutput()
			if err != nil {
				t.Fatalf("ipmitool: %v: %s", err, out)
			}
			theirs := map[string]string{}
			for line := range strings.Lines(string(out)) {
				label, value, _ := strings.Cut(line, ":")
				theirs[strings.TrimSpace(label)] = strings.TrimSpace(value)
			}
			for _, row := range rows(s) {
				if !slices.Contains(s.Unknown, row.setting) && theirs[row.label] != row.value {
					t.Errorf("%s: %q, and by ipmitool %q", row.label, row.value, theirs[row.label])
				}
			}
		})
	}
}
