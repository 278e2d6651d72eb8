package boot

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxScriptLeases bounds how many leases one call of Kea's script may have.
const maxScriptLeases = 1000

// DnsmasqScript reads what dnsmasq tells its dhcp-script: the arguments
// add|old|del MAC IP [HOSTNAME], and the environment. none says that it is
// nothing to us: another event, another network than Ethernet, or IPv6.
func DnsmasqScript(args []string, getenv func(string) string) (lease LeaseRequest, none bool, err error) {
	if len(args) == 0 {
		return lease, false, errors.New("dnsmasq gives add, old or del, a MAC and an IP address; is this its dhcp-script?")
	}
	switch args[0] {
	case "add", "old", "del":
	default:
		return lease, true, nil
	}
	if len(args) < 3 {
		return lease, false, fmt.Errorf("dnsmasq gives %s, a MAC and an IP address: %q", args[0], args)
	}
	address, err := netip.ParseAddr(args[2])
	if err != nil {
		return lease, false, fmt.Errorf("dnsmasq's %s: %w", args[0], err)
	}
	if !address.Is4() || strings.IndexByte(args[1], '-') == 2 && len(args[1]) != len("aa-bb-cc-dd-ee-ff") {
		return lease, true, nil // 06-...: the number of another kind of network comes first
	}
	if lease.MAC, err = ParseMAC(args[1]); err != nil {
		return lease, false, err
	}
	lease.IPv4 = address
	if args[0] != "del" {
		lease.Duration, err = seconds(getenv("DNSMASQ_TIME_REMAINING"))
	}
	return lease, false, err
}

// KeaScript reads what Kea's run_script library tells its script: the name of
// the hook point as its argument, and the environment.
func KeaScript(args []string, getenv func(string) string) ([]LeaseRequest, error) {
	if len(args) == 0 {
		return nil, errors.New("Kea gives the name of a hook point; is this the script of its run_script library?") //nolint:staticcheck // a name
	}
	switch args[0] {
	case "leases4_committed":
		return keaLeases(getenv)
	case "lease4_release", "lease4_expire":
		lease, err := keaLease("LEASE4_", getenv)
		if err != nil {
			return nil, err
		}
		lease.Duration = 0
		return []LeaseRequest{lease}, nil
	}
	return nil, nil // lease4_renew comes with leases4_committed; the rest is nothing to us
}

func keaLeases(getenv func(string) string) ([]LeaseRequest, error) {
	size, err := strconv.ParseUint(getenv("LEASES4_SIZE"), 10, 32)
	if err != nil || size > maxScriptLeases {
		return nil, fmt.Errorf("LEASES4_SIZE=%q: a number up to %d is expected", getenv("LEASES4_SIZE"), maxScriptLeases)
	}
	var leases []LeaseRequest
	for i := range size {
		lease, err := keaLease(fmt.Sprintf("LEASES4_AT%d_", i), getenv)
		if err != nil {
			return leases, err
		}
		leases = append(leases, lease)
	}
	return leases, nil
}

func keaLease(prefix string, getenv func(string) string) (lease LeaseRequest, err error) {
	if lease.MAC, err = ParseMAC(getenv(prefix + "HWADDR")); err != nil {
		return lease, fmt.Errorf("%sHWADDR: %w", prefix, err)
	}
	if lease.IPv4, err = netip.ParseAddr(getenv(prefix + "ADDRESS")); err != nil || !lease.IPv4.Is4() {
		return lease, fmt.Errorf("%sADDRESS=%q is not an IPv4 address", prefix, getenv(prefix+"ADDRESS"))
	}
	lease.Duration, err = seconds(getenv(prefix + "VALID_LIFETIME"))
	return lease, err
}

// seconds reads a duration as DHCP has it (RFC 2132 §9.2).
func seconds(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration in seconds", s)
	}
	return time.Duration(n) * time.Second, nil
}
