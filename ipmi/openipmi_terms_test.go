package ipmi_test

import (
	"errors"
	"strings"
	"testing"

	"provisioner/ipmi"
)

// ipmi_sim has no HMAC-SHA256. With HMAC-MD5 it derives other keys than the
// specification (§13.32), ipmitool and we do, so that of the suites 6 to 12
// those work that have no use for keys.
func TestOpenIPMISpeaksTheSuitesThatItHas(t *testing.T) {
	o := startOpenIPMI(t)
	for _, suite := range []ipmi.CipherSuite{0, 1, 2, 3, 6, 11} {
		c := connect(t, ipmi.Config{
			Addr: o.addr, Username: "ipmiusr", Password: "test", CipherSuites: []ipmi.CipherSuite{suite},
		})
		if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
			t.Errorf("suite %d: %v", suite, err)
			continue
		}
		sol := openSOL(t, c)
		speak(t, o, sol, 1000)
		if err := sol.Close(); err != nil {
			t.Errorf("suite %d: %v", suite, err)
		}
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("suite %d after the console: %v", suite, err)
		}
	}
}

func TestOpenIPMIGivesThePrivilegeAskedFor(t *testing.T) {
	o := startOpenIPMI(t)
	as := func(user string, p ipmi.Privilege) *ipmi.Client {
		return connect(t, ipmi.Config{Addr: o.addr, Username: user, Password: "test", Privilege: p})
	}
	c := as("ipmiusr", ipmi.PrivilegeUser)
	if _, err := c.Power(t.Context()); err != nil {
		t.Errorf("status as user: %v", err)
	}
	if err := c.SetPower(t.Context(), ipmi.PowerUp); !errors.Is(err, ipmi.ErrRefused) {
		t.Errorf("power as user: %v", err)
	}
	if err := as("ipmiusr", ipmi.PrivilegeOperator).SetPower(t.Context(), ipmi.PowerUp); err != nil {
		t.Errorf("power as operator: %v", err)
	}
}

func TestOpenIPMIOverIPv6(t *testing.T) {
	o := startOpenIPMIOn(t, "::1")
	c := o.client(t, "ipmiusr")
	if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
		t.Fatal(err)
	}
	speak(t, o, openSOL(t, c), 1000)
}

// ipmi_sim does not tell a console that it was taken over. It does say who has
// it, but not from where.
func TestOpenIPMISaysWhoHasTheConsole(t *testing.T) {
	o := startOpenIPMI(t)
	first, second := o.client(t, "ipmiusr"), o.client(t, "operator")
	sol := openSOL(t, first)
	sol.KeepAlive()
	_, err := second.OpenFreeSOL(t.Context())
	var active *ipmi.SOLActiveError
	if !errors.As(err, &active) || active.Lost || active.Holder.User != "ipmiusr" || active.Holder.Privilege != ipmi.PrivilegeAdministrator {
		t.Errorf("a console in use: %v", err)
	}
	if err == nil || !strings.HasSuffix(err.Error(), "console in use by ipmiusr") {
		t.Errorf("a console in use: %v", err)
	}

	openSOL(t, second)
	sol.KeepAlive()
	_, err = sol.Read(make([]byte, 1))
	for err == nil { // what the console printed meanwhile
		_, err = sol.Read(make([]byte, 100))
	}
	if !errors.Is(err, ipmi.ErrSOLActive) || !strings.HasSuffix(err.Error(), "console taken over by operator") {
		t.Errorf("a console that was taken over: %v", err)
	}
	if _, err := first.Power(t.Context()); err != nil {
		t.Errorf("the session after that: %v", err)
	}
}
