package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// maxPool bounds how many addresses a pool has: they are looked through for a
// free one.
const maxPool = 1 << 16

// addressPool is a range of IPv4 addresses, both ends included. The zero value
// holds none.
type addressPool struct{ first, last netip.Addr }

// parsePool reads a range (10.0.0.100-10.0.0.199), a subnet (10.0.0.128/25) or
// one address. Empty: none.
func parsePool(text string) (addressPool, error) {
	if text == "" {
		return addressPool{}, nil
	}
	p, err := readPool(text)
	switch {
	case err != nil:
		return addressPool{}, fmt.Errorf("%q is no range of IPv4 addresses, such as 10.0.0.100-10.0.0.199 or 10.0.0.128/25", text)
	case p.last.Less(p.first):
		return addressPool{}, fmt.Errorf("%s ends before it begins", text)
	case p.size() > maxPool:
		return addressPool{}, fmt.Errorf("%s has %d addresses; a pool has at most %d", text, p.size(), maxPool)
	}
	return p, nil
}

func readPool(text string) (p addressPool, err error) {
	if strings.Contains(text, "/") {
		prefix, err := parseSubnet(text)
		if err != nil {
			return p, err
		}
		return addressPool{prefix.Addr(), lastOf(prefix)}, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	if p.first, err = parseIPv4(strings.TrimSpace(first)); err != nil {
		return p, err
	}
	p.last, err = parseIPv4(strings.TrimSpace(last))
	return p, err
}

func parseIPv4(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("%q is not an IPv4 address", text)
	}
	return a, nil
}

// parseSubnet wants the first address of the subnet before the slash: another
// one is more often a mistake than meant so.
func parseSubnet(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !prefix.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("%q is not an IPv4 subnet, such as 10.0.0.0/24", text)
	}
	if prefix.Masked() != prefix {
		return netip.Prefix{}, fmt.Errorf("%s is not the beginning of a subnet; %s is", text, prefix.Masked())
	}
	return prefix, nil
}

// lastOf returns the last address of an IPv4 subnet, to which broadcasts go.
func lastOf(subnet netip.Prefix) netip.Addr {
	return addressOf(numberOf(subnet.Masked().Addr()) | uint32(1<<(32-subnet.Bits())-1))
}

// usable reports whether a host may have the address in the subnet: it is not
// the subnet's own and not for broadcasts (RFC 3021 §2.1: there are none in a
// subnet of two).
func usable(subnet netip.Prefix, a netip.Addr) bool {
	if !subnet.Contains(a) {
		return false
	}
	return subnet.Bits() >= 31 || a != subnet.Addr() && a != lastOf(subnet)
}

func (p addressPool) empty() bool { return !p.first.IsValid() }

func (p addressPool) size() int {
	if p.empty() {
		return 0
	}
	return int(numberOf(p.last)-numberOf(p.first)) + 1
}

// at returns an address of the pool, counted from 0, from its beginning again
// after its end.
func (p addressPool) at(i int) netip.Addr {
	return addressOf(numberOf(p.first) + uint32(i%p.size()))
}

func (p addressPool) contains(a netip.Addr) bool {
	return !p.empty() && a.Is4() && !a.Less(p.first) && !p.last.Less(a)
}

func (p addressPool) overlaps(other addressPool) bool {
	return !p.empty() && !other.empty() && !p.last.Less(other.first) && !other.last.Less(p.first)
}

func numberOf(a netip.Addr) uint32 {
	four := a.As4()
	return binary.BigEndian.Uint32(four[:])
}

func addressOf(n uint32) netip.Addr {
	var four [4]byte
	binary.BigEndian.PutUint32(four[:], n)
	return netip.AddrFrom4(four)
}
