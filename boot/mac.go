package boot

import (
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// ParseMAC reads the Ethernet address of one machine in any common spelling:
// aa:bb:cc:dd:ee:ff, AA-BB-CC-DD-EE-FF, aabb.ccdd.eeff, aabb-ccdd-eeff,
// aabbcc-ddeeff, aabbccddeeff. The result's String method gives the canonical
// one, lower case with colons.
//
// An address that cannot be one machine's (multicast, broadcast, all zero) is
// an error.
func ParseMAC(s string) (net.HardwareAddr, error) {
	digits := s
	if i := strings.IndexAny(s, ":-."); i >= 0 {
		groups := strings.Split(s, s[i:i+1])
		for _, group := range groups {
			if len(group) != len(groups[0]) {
				return nil, badMAC(s)
			}
		}
		if n := len(groups); n != 2 && n != 3 && n != 6 {
			return nil, badMAC(s)
		}
		digits = strings.Join(groups, "")
	}
	if len(digits) != 12 {
		return nil, badMAC(s)
	}
	mac, err := hex.DecodeString(digits)
	if err != nil {
		return nil, badMAC(s)
	}
	switch {
	case mac[0]&1 != 0: // IEEE 802-2014 §8.2.2: the group bit
		return nil, fmt.Errorf("MAC address %q is a group's, not one machine's", s)
	case [6]byte(mac) == [6]byte{}:
		return nil, fmt.Errorf("MAC address %q is all zero", s)
	}
	return mac, nil
}

func badMAC(s string) error {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return fmt.Errorf("%q is not a MAC address: 6 bytes such as 52:54:00:12:34:56 are expected", s)
}
