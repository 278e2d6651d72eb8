package shellguard

import (
	"slices"
	"strings"
)

// Sequence is a run of bytes that a BMC may take for itself.
type Sequence struct {
	Keys   string // how people write it, such as "ESC ("
	Does   string // what the BMC does when it sees it
	Source string // where that is documented

	bytes string
	of    []uint32 // IANA enterprise numbers of the manufacturers; none: every BMC
}

// IANA enterprise numbers, as BMCs give them in their Device ID (IPMI v2.0
// §20.1). Companies that were renamed or sold kept the old ones in older BMCs.
const (
	dell = 674
)

// basicModeHeader is the beginning of an application request to a BMC, in the
// serial basic mode of IPMI v2.0 §14.4: the start character, the BMC's address,
// the network function, and the checksum of these two.
const basicModeHeader = "\xa0\x20\x18\xc8"

// ipmi25 is where the switches of a BMC's serial port multiplexer are listed.
const ipmi25 = "IPMI v2.0 §25, Table 25-4, parameter 8 (Mux Switch Control); [MS-VUVP] §2.2.1"

// table is every sequence that is kept from a machine. It is checked against
// docs/consoles.md by a test.
//
// HPE iLO, Moonshot and LO100, Lenovo XCC ("console 1"), IBM BladeCenter, Sun and
// Oracle ILOM ("start /SP/console") and Intel BMCs have their command shells
// behind ESC ( as well, so that they need no row of their own. Vendors document
// their sequences for their ssh consoles and for the serial port itself; none
// says that they are without effect in Serial over LAN.
//
// A sequence that a person needs for ordinary work is not listed: Ctrl+X ends
// `connect host` of Cisco's CIMC, and also every edit with nano.
var table = []Sequence{
	{
		Keys: "ESC (", bytes: "\x1b(", Does: "gives the serial port to the BMC, or leaves the console for its shell",
		Source: ipmi25 + `; HPE iLO, vsp: "Press 'ESC (' to return to the CLI Session"; Dell OpenManage BMC User's Guide, Serial Port Console Redirection: Esc+Shift+9`,
	},
	{
		Keys: "ESC Q", bytes: "\x1bQ", Does: "gives the serial port back to the system",
		Source: ipmi25 + "; Dell, likewise: Esc+Shift+q",
	},
	{
		Keys: "ESC R ESC r ESC R", bytes: "\x1bR\x1br\x1bR", Does: "resets the system",
		Source: ipmi25,
	},
	{
		Keys: "ESC ^", bytes: "\x1b^", Does: "turns the system on, or wakes it up",
		Source: ipmi25,
	},
	{
		Keys: "A0h 20h 18h C8h", bytes: basicModeHeader, Does: "gives the serial port to the BMC, as the header of a Get Channel Authentication Capabilities request",
		Source: "IPMI v2.0 §25, Table 25-4, parameter 8; §14.4 (basic mode)",
	},
	{
		Keys: `Ctrl+\`, bytes: "\x1c", Does: "leaves `console com2` for the shell of an iDRAC",
		Source: "Dell iDRAC, console com2: \"To end type: ^\\\"", of: []uint32{dell},
	},
}

// Sequences returns what a [Filter] for a manufacturer refuses. 0 is a
// manufacturer that is not known.
func Sequences(manufacturer uint32) []Sequence {
	return slices.DeleteFunc(slices.Clone(table), func(s Sequence) bool {
		return len(s.of) > 0 && !slices.Contains(s.of, manufacturer)
	})
}

// manufacturers names whose BMCs know a sequence, for the documentation.
func (s Sequence) manufacturers() string {
	if len(s.of) == 0 {
		return "every BMC"
	}
	names := make([]string, len(s.of))
	for i, id := range s.of {
		names[i] = manufacturerNames[id]
	}
	return strings.Join(names, ", ")
}

var manufacturerNames = map[uint32]string{dell: "Dell"}
