package ipmi_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

func TestPrivilegeLevelsHaveNames(t *testing.T) {
	for _, p := range []ipmi.Privilege{ipmi.PrivilegeDefault, ipmi.PrivilegeUser, ipmi.PrivilegeOperator, ipmi.PrivilegeAdministrator} {
		if got, err := ipmi.ParsePrivilege(p.String()); err != nil || got != p {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	if got, err := ipmi.ParsePrivilege(""); err != nil || got != ipmi.PrivilegeDefault {
		t.Errorf("nothing is read as %v, %v", got, err)
	}
	for _, text := range []string{"callback", "OEM", "root", "4"} {
		if _, err := ipmi.ParsePrivilege(text); err == nil {
			t.Errorf("%q is a privilege level", text)
		}
	}
	c := ipmi.NewClient(ipmi.Config{Addr: "bmc", Privilege: 1})
	if _, err := c.Power(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot have the privilege of callback") {
		t.Errorf("a session as callback: %v", err)
	}
}

func TestSessionsHaveThePrivilegeAskedFor(t *testing.T) {
	const low = "privilege level is too low (completion code D4h); power and console want an operator"
	for _, tt := range []struct {
		name      string
		most      ipmi.Privilege // of the user
		asked     ipmi.Privilege
		open      error // of a session
		contains  string
		power     error // of a power order
		consoleOf error
	}{
		{name: "an administrator", most: ipmi.PrivilegeAdministrator},
		{name: "an operator, by default", most: ipmi.PrivilegeOperator, consoleOf: ipmi.ErrRefused},
		{name: "an operator, as told", most: ipmi.PrivilegeAdministrator, asked: ipmi.PrivilegeOperator, consoleOf: ipmi.ErrRefused},
		{
			name: "a user, as told", most: ipmi.PrivilegeAdministrator, asked: ipmi.PrivilegeUser,
			power: ipmi.ErrRefused, consoleOf: ipmi.ErrRefused,
		},
		{
			name: "an operator who is to be administrator", most: ipmi.PrivilegeOperator, asked: ipmi.PrivilegeAdministrator,
			open: ipmi.ErrRefused, contains: "the user may not act as administrator",
		},
		{
			name: "a user, by default", most: ipmi.PrivilegeUser,
			open: ipmi.ErrRefused, contains: "the user may not act as operator",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				start(t, sim.New(user, password, &machine{}, sim.WithUserPrivilege(tt.most)), w.bmc)
				c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial, Privilege: tt.asked})
				_, err := c.Power(t.Context())
				if !errors.Is(err, tt.open) || err != nil && !strings.Contains(err.Error(), tt.contains) {
					t.Fatalf("status: %v, want %v containing %q", err, tt.open, tt.contains)
				}
				if tt.open != nil {
					return
				}
				err = c.SetPower(t.Context(), ipmi.PowerUp)
				if !errors.Is(err, tt.power) || err != nil && !strings.Contains(err.Error(), low) {
					t.Errorf("power: %v", err)
				}
				// The simulated BMC gives its console to administrators only.
				_, err = c.OpenSOL(t.Context())
				if !errors.Is(err, tt.consoleOf) || err != nil && !strings.Contains(err.Error(), low) {
					t.Errorf("console: %v", err)
				}
			})
		})
	}
}
