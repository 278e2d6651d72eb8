package boot

import (
	_ "embed" // the table below
	"encoding/hex"
	"net"
	"strings"
)

//go:embed oui.txt
var ouiTable string

// Vendor names the maker of a network interface by the first three bytes of
// its address: the makers of servers, of their network cards and of virtual
// machines, not every maker there is. Empty where it is none of them.
func Vendor(mac net.HardwareAddr) string {
	if len(mac) != 6 {
		return ""
	}
	prefix := hex.EncodeToString(mac[:3])
	for line := range strings.Lines(ouiTable) {
		// No match is made of two prefixes: there is a space between them.
		maker, prefixes, ok := strings.Cut(line, "\t")
		if ok && strings.Contains(prefixes, prefix) {
			return maker
		}
	}
	return ""
}
