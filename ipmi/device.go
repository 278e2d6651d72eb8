package ipmi

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"
)

// DeviceInfo is who a BMC says it is (Get Device ID, IPMI v2.0 §20.1).
type DeviceInfo struct {
	// Manufacturer made the BMC's firmware, which need not be who sold the
	// machine: that is in the [FRU].
	Manufacturer Manufacturer
	// Product is a number that the manufacturer chose; 0 is unspecified.
	Product uint16
	// Firmware is the revision, such as "2.81". Many BMCs have more of it in
	// Auxiliary.
	Firmware string
	// Auxiliary is more of the revision, in the manufacturer's own way; all 0
	// where the BMC says nothing.
	Auxiliary [4]byte
	// IPMIVersion is "1.5" or "2.0".
	IPMIVersion string
	// DeviceID and Revision tell the manufacturer's controllers apart.
	DeviceID, Revision uint8
	// Updating says that the BMC starts, or has its firmware changed, and
	// does little else.
	Updating bool
	// Supports is what the BMC has beyond the mandatory commands.
	Supports DeviceSupport
}

// DeviceSupport is a set of a controller's optional functions (IPMI v2.0 Table
// 20-2, "additional device support").
type DeviceSupport uint8

const (
	SupportsSensors        DeviceSupport = 1 << iota // reads sensors
	SupportsSDRs                                     // describes them in a repository
	SupportsSEL                                      // keeps an event log
	SupportsFRU                                      // keeps the machine's inventory
	SupportsEventReceiver                            // takes events of other controllers
	SupportsEventGenerator                           // sends events
	SupportsBridge                                   // passes messages on
	SupportsChassis                                  // controls power
)

// Has reports whether all functions in f are there. BMCs err in both
// directions: it tells what to expect, not what to leave unasked.
func (s DeviceSupport) Has(f DeviceSupport) bool { return s&f == f }

// Manufacturer is an IANA private enterprise number; 0 is unspecified.
type Manufacturer uint32

// manufacturers are those whose machines stand in labs. The numbers are in
// IANA's registry, https://www.iana.org/assignments/enterprise-numbers, but
// for one.
var manufacturers = map[Manufacturer]string{
	2:     "IBM",
	11:    "HPE", // as Hewlett-Packard: iLO, to this day
	42:    "Oracle",
	119:   "NEC",
	343:   "Intel",
	674:   "Dell",
	2011:  "Huawei",
	2623:  "ASUS",
	5703:  "NVIDIA",
	5771:  "Cisco",
	6653:  "Tyan",
	7244:  "Quanta",
	10368: "Fujitsu",
	10876: "Supermicro",
	15000: "Kontron",
	15370: "Gigabyte",
	19046: "Lenovo",
	20301: "Lenovo", // IBM eServer X, which Lenovo bought and went on with
	20974: "AMI",
	22238: "Foxconn",
	25506: "H3C",
	37945: "Inspur",
	40092: "Wiwynn",
	40981: "Facebook",
	42817: "IBM", // OpenPOWER
	47196: "HPE",
	47488: "Supermicro", // of another in the registry; their X10 and later BMCs send it
	49622: "ASRock Rack",
	49769: "Yadro",
	52538: "Ampere",
	58132: "xFusion",
}

// String returns the name by which people know the manufacturer, or its number.
func (m Manufacturer) String() string {
	if name, ok := manufacturers[m]; ok {
		return name
	}
	if m == 0 {
		return "unspecified"
	}
	return fmt.Sprintf("enterprise %d", uint32(m))
}

// DeviceInfo asks the BMC who it is (Get Device ID, IPMI v2.0 §20.1). A
// Moonshot cartridge answers for itself, not for its chassis. It blocks until
// the answer, the end of ctx, or the Client's timeout.
func (c *Client) DeviceInfo(ctx context.Context) (DeviceInfo, error) {
	r, err := c.ask(ctx, rawRequest{cmd: types.CommandGetDeviceID}, true)
	if err != nil {
		return DeviceInfo{}, c.fail("device ID", err)
	}
	info, err := parseDeviceInfo(r.data)
	return info, c.fail("device ID", err)
}

// parseDeviceInfo reads Table 20-2, from after the completion code. BMCs of
// old stop at the product, or send less of the auxiliary revision.
func parseDeviceInfo(data []byte) (DeviceInfo, error) {
	if len(data) < 11 {
		return DeviceInfo{}, tooShort(len(data), 11)
	}
	info := DeviceInfo{
		DeviceID:     data[0],
		Revision:     data[1] & 0x0f,
		Updating:     data[2]&0x80 != 0,
		Firmware:     fmt.Sprintf("%d.%02x", data[2]&0x7f, data[3]), // the second is BCD
		IPMIVersion:  fmt.Sprintf("%x.%x", data[4]&0x0f, data[4]>>4),
		Supports:     DeviceSupport(data[5]),
		Manufacturer: Manufacturer(uint32(data[6]) | uint32(data[7])<<8 | uint32(data[8]&0x0f)<<16),
		Product:      binary.LittleEndian.Uint16(data[9:]),
	}
	copy(info.Auxiliary[:], data[11:])
	return info, nil
}

// tooShort is the error of an answer in which something is missing.
func tooShort(have, want int) error {
	return fmt.Errorf("%w: %d bytes of data, at least %d are due", ErrProtocol, have, want)
}
