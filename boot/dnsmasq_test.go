package boot

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestNoNameInjectsIntoDnsmasqFiles(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	const line = "52:54:00:00:00:01,10.0.0.5"
	for name, want := range map[string]string{
		"web-01": line + ",web-01", "45m": line, "3600": line, "infinite": line, "Ignore": line, "1h": line, "m": line,
		"a,ignore": line, "a\ndhcp-script=/bin/sh": line, "set:x": line, "10.0.0.6": line, "": line, "#": line, "é": line,
	} {
		got := DnsmasqHosts([]DnsmasqHost{{MAC: mac, IPv4: netip.MustParseAddr("10.0.0.5"), Name: name}})
		if got != dnsmasqHead+want+"\n" {
			t.Errorf("%q: %q", name, got)
		}
	}
	next := netip.MustParseAddr("10.0.0.1")
	for _, file := range []string{"a\nb", `a"b`, `a\b`, "é", "", "a\x00", strings.Repeat("x", 256)} {
		got, err := DnsmasqOptions([]DnsmasqBoot{{MAC: mac, Answer: DHCPAnswer{BootFile: file, NextServer: next}}})
		if err == nil || got != dnsmasqHead {
			t.Errorf("%q: %q, %v", file, got, err)
		}
	}
	for _, dir := range []string{"relative", "/a\"b", "/a\nb", ""} {
		if got, err := DnsmasqConf(dir); err == nil {
			t.Errorf("%q: %q", dir, got)
		}
	}
}

func TestDnsmasqScript(t *testing.T) {
	env := func(value string) func(string) string {
		return func(name string) string { return map[string]string{"DNSMASQ_TIME_REMAINING": value}[name] }
	}
	const mac = "52:54:00:00:00:01"
	for _, test := range []struct {
		args      string
		remaining string
		want      time.Duration
		none, bad bool
	}{
		{"add " + mac + " 10.0.0.5 web-01", "3600", time.Hour, false, false},
		{"old " + mac + " 10.0.0.5", "60", time.Minute, false, false},
		{"del " + mac + " 10.0.0.5", "", 0, false, false},
		{"tftp 123 10.0.0.5 /file", "", 0, true, false},
		{"add " + mac + " fe80::1", "60", 0, true, false},
		{"add 06-" + mac + " 10.0.0.5", "60", 0, true, false},
		{"add " + mac, "60", 0, false, true},
		{"add " + mac + " nowhere", "60", 0, false, true},
		{"add nobody 10.0.0.5", "60", 0, false, true},
		{"add " + mac + " 10.0.0.5", "-1", 0, false, true},
		{"", "", 0, false, true},
	} {
		lease, none, err := DnsmasqScript(strings.Fields(test.args), env(test.remaining))
		if none != test.none || (err != nil) != test.bad || err == nil && lease.Duration != test.want {
			t.Errorf("%s: %+v, %t, %v", test.args, lease, none, err)
		}
	}
}

func TestKeaScript(t *testing.T) {
	values := map[string]string{
		"LEASES4_SIZE": "1", "LEASES4_AT0_HWADDR": "52:54:00:00:00:01", "LEASES4_AT0_ADDRESS": "10.0.0.5", "LEASES4_AT0_VALID_LIFETIME": "60",
		"LEASE4_HWADDR": "52:54:00:00:00:02", "LEASE4_ADDRESS": "10.0.0.6", "LEASE4_VALID_LIFETIME": "60",
	}
	getenv := func(name string) string { return values[name] }
	leases, err := KeaScript([]string{"leases4_committed"}, getenv)
	if err != nil || len(leases) != 1 || leases[0].IPv4.String() != "10.0.0.5" || leases[0].Duration != time.Minute {
		t.Errorf("committed: %+v, %v", leases, err)
	}
	leases, err = KeaScript([]string{"lease4_release"}, getenv)
	if err != nil || len(leases) != 1 || leases[0].IPv4.String() != "10.0.0.6" || leases[0].Duration != 0 {
		t.Errorf("released: %+v, %v", leases, err)
	}
	for _, size := range []string{"", "-1", "4000000000", "2"} {
		values["LEASES4_SIZE"] = size
		if leases, err := KeaScript([]string{"leases4_committed"}, getenv); err == nil {
			t.Errorf("%q leases: %+v", size, leases)
		}
	}
	if leases, err := KeaScript([]string{"lease4_decline"}, getenv); err != nil || leases != nil {
		t.Errorf("declined: %+v, %v", leases, err)
	}
}
