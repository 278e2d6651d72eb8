package boot

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// checkScriptLease fails where a lease is none that the hook would take.
func checkScriptLease(t *testing.T, lease LeaseRequest) {
	t.Helper()
	if mac, err := ParseMAC(lease.MAC.String()); err != nil || mac.String() != lease.MAC.String() {
		t.Errorf("MAC %v: %v", lease.MAC, err)
	}
	if !lease.IPv4.Is4() || lease.Duration < 0 || lease.Duration > 1<<32*time.Second || lease.Duration%time.Second != 0 {
		t.Errorf("lease %+v", lease)
	}
}

func FuzzDnsmasqScript(f *testing.F) {
	f.Add("add\n52:54:00:00:00:01\n10.0.0.5\nweb-01", "3600")
	f.Add("old\n06-52:54:00:00:00:01\n10.0.0.5", "0")
	f.Add("del\n52-54-00-00-00-01\n::ffff:10.0.0.5", "")
	f.Add("tftp\n1\n10.0.0.5\n/file", "")
	f.Add("add\n-\n10.0.0.5\n", "4294967296")
	f.Add("add\n\x00-\xff\nfe80::1%eth0", "+1")
	f.Fuzz(func(t *testing.T, args, remaining string) {
		words := strings.Split(args, "\n")
		lease, none, err := DnsmasqScript(words, func(name string) string {
			if name != "DNSMASQ_TIME_REMAINING" {
				t.Errorf("asks for %s", name)
			}
			return remaining
		})
		switch {
		case none && err != nil:
			t.Errorf("%q is nothing to us, and wrong: %v", words, err)
		case err == nil && !none:
			checkScriptLease(t, lease)
			if address, _ := netip.ParseAddr(words[2]); lease.IPv4 != address {
				t.Errorf("%q: %+v", words, lease)
			}
		}
	})
}

// FuzzKeaScript sets the environment from lines of NAME=VALUE.
func FuzzKeaScript(f *testing.F) {
	f.Add("leases4_committed", "LEASES4_SIZE=2\nLEASES4_AT0_HWADDR=52:54:00:00:00:01\nLEASES4_AT0_ADDRESS=10.0.0.5\nLEASES4_AT0_VALID_LIFETIME=60\n"+
		"LEASES4_AT1_HWADDR=52:54:00:00:00:02\nLEASES4_AT1_ADDRESS=10.0.0.6\nLEASES4_AT1_VALID_LIFETIME=4294967295")
	f.Add("leases4_committed", "LEASES4_SIZE=1000")
	f.Add("leases4_committed", "LEASES4_SIZE=18446744073709551616")
	f.Add("lease4_release", "LEASE4_HWADDR=525400000001\nLEASE4_ADDRESS=10.0.0.6\nLEASE4_VALID_LIFETIME=0")
	f.Add("lease4_expire", "LEASE4_HWADDR=\nLEASE4_ADDRESS=\nLEASE4_VALID_LIFETIME=")
	f.Add("lease4_renew", "")
	f.Fuzz(func(t *testing.T, point, environment string) {
		values := make(map[string]string)
		for line := range strings.SplitSeq(environment, "\n") {
			name, value, _ := strings.Cut(line, "=")
			values[name] = value
		}
		leases, err := KeaScript([]string{point}, func(name string) string { return values[name] })
		if len(leases) > maxScriptLeases {
			t.Errorf("%d leases", len(leases))
		}
		for _, lease := range leases { // those before an error are told, too
			checkScriptLease(t, lease)
			if err == nil && point != "leases4_committed" && lease.Duration != 0 {
				t.Errorf("%s: %+v", point, lease)
			}
		}
	})
}
