package ipmi

import "fmt"

// SensorType is what a sensor watches (IPMI v2.0 Table 42-3).
type SensorType uint8

// Those that something in this package depends on.
const (
	SensorTemperature SensorType = 0x01
	SensorVoltage     SensorType = 0x02
	SensorFan         SensorType = 0x04
	SensorIntrusion   SensorType = 0x05
	SensorProcessor   SensorType = 0x07
	SensorPowerSupply SensorType = 0x08
	SensorOther       SensorType = 0x0b // by its unit: power, airflow
)

var sensorTypes = [...]string{
	1: "temperature", "voltage", "current", "fan", "physical security", "platform security", "processor", "power supply",
	9: "power unit", "cooling device", "other units", "memory", "drive slot", "memory resize", "firmware progress",
	0x10: "event log", "watchdog", "system event", "critical interrupt", "button", "board", "microcontroller", "add-in card",
	0x18: "chassis", "chip set", "other FRU", "cable", "terminator", "system boot", "boot error", "OS boot", "OS stop",
	0x21: "slot", "ACPI power state", "watchdog", "platform alert", "entity presence", "monitor", "LAN", "management subsystem",
	0x29: "battery", "session audit", "version change", "FRU state",
}

// String returns the type in words.
func (t SensorType) String() string {
	switch {
	case int(t) < len(sensorTypes) && sensorTypes[t] != "":
		return sensorTypes[t]
	case t >= 0xc0:
		return fmt.Sprintf("OEM type %02Xh", uint8(t))
	}
	return fmt.Sprintf("type %02Xh", uint8(t))
}

// Event/reading types: whose states a sensor has (IPMI v2.0 Table 42-1).
const (
	readingThreshold      = 0x01 // a number, and thresholds that it may pass
	readingSensorSpecific = 0x6f // states of the sensor's type
)

// SensorStatus is how a sensor's reading is to be taken.
type SensorStatus uint8

const (
	SensorOK          SensorStatus = iota // nothing is amiss, as far as the sensor knows
	SensorWarning                         // beyond a non-critical threshold
	SensorCritical                        // beyond a critical threshold, or something has failed
	SensorFatal                           // beyond a non-recoverable threshold: damage is possible
	SensorUnavailable                     // the BMC has no reading, as of a fan while the machine is off
)

// String returns ok, warning, critical, non-recoverable or unavailable.
func (s SensorStatus) String() string {
	switch s {
	case SensorOK:
		return "ok"
	case SensorWarning:
		return "warning"
	case SensorCritical:
		return "critical"
	case SensorFatal:
		return "non-recoverable"
	case SensorUnavailable:
		return "unavailable"
	}
	return "unknown"
}

// states are what the bits of a sensor, or the events of one, mean by their
// offset. trouble has a bit for each that a person should look at.
type states struct {
	names   []string
	trouble uint16
}

// bits makes a mask of offsets.
func bits(offsets ...uint8) (mask uint16) {
	for _, o := range offsets {
		mask |= 1 << o
	}
	return mask
}

// genericStates are those of an event/reading type, whatever the sensor is of
// (IPMI v2.0 Table 42-2).
var genericStates = map[uint8]states{
	readingThreshold: {names: []string{
		"lower non-critical, going low", "lower non-critical, going high", "lower critical, going low", "lower critical, going high",
		"lower non-recoverable, going low", "lower non-recoverable, going high", "upper non-critical, going low",
		"upper non-critical, going high", "upper critical, going low", "upper critical, going high", "upper non-recoverable, going low",
		"upper non-recoverable, going high",
	}},
	0x02: {names: []string{"idle", "active", "busy"}},
	0x03: {names: []string{"state deasserted", "state asserted"}},
	0x04: {names: []string{"no failure predicted", "failure predicted"}, trouble: bits(1)},
	0x05: {names: []string{"limit not exceeded", "limit exceeded"}, trouble: bits(1)},
	0x06: {names: []string{"performance met", "performance lags"}, trouble: bits(1)},
	0x07: {names: []string{
		"ok", "non-critical from ok", "critical from less severe", "non-recoverable from less severe", "non-critical from more severe",
		"critical from non-recoverable", "non-recoverable", "monitor", "informational",
	}, trouble: bits(1, 2, 3, 4, 5, 6)},
	0x08: {names: []string{"absent", "present"}},
	0x09: {names: []string{"disabled", "enabled"}},
	0x0a: {names: []string{
		"running", "in test", "power off", "on line", "off line", "off duty", "degraded", "power save", "install error",
	}, trouble: bits(6, 8)},
	0x0b: {names: []string{
		"fully redundant", "redundancy lost", "redundancy degraded", "not redundant, resources suffice", "not redundant, resources suffice again",
		"not redundant, resources do not suffice", "redundancy degraded from full", "redundancy degraded from none",
	}, trouble: bits(1, 2, 3, 4, 5, 6, 7)},
	0x0c: {names: []string{"D0", "D1", "D2", "D3"}},
}

// specificStates are those of a sensor's type (IPMI v2.0 Table 42-3).
var specificStates = map[SensorType]states{
	SensorIntrusion: {names: []string{
		"chassis intrusion", "drive bay intrusion", "I/O card area intrusion", "processor area intrusion", "LAN unplugged",
		"unauthorized dock", "fan area intrusion",
	}, trouble: bits(0, 1, 2, 3, 4, 5, 6)},
	0x06: {names: []string{
		"secure mode violation", "wrong user password before boot", "wrong setup password", "wrong network boot password",
		"wrong password before boot", "wrong password out of band",
	}, trouble: bits(0, 1, 2, 3, 4, 5)},
	SensorProcessor: {names: []string{
		"internal error", "thermal trip", "self-test failure", "hang in POST", "processor did not start", "configuration error",
		"uncorrectable firmware error", "present", "disabled", "terminator present", "throttled", "uncorrectable machine check",
		"correctable machine check",
	}, trouble: bits(0, 1, 2, 3, 4, 5, 6, 8, 10, 11)},
	SensorPowerSupply: {names: []string{
		"present", "failure", "failure predicted", "input lost", "input lost or out of range", "input out of range",
		"configuration error", "standby",
	}, trouble: bits(1, 2, 3, 4, 5, 6)},
	0x09: {names: []string{
		"powered off", "power cycle", "240 VA power down", "interlock power down", "input lost", "soft power control failure",
		"failure", "failure predicted",
	}, trouble: bits(2, 3, 4, 5, 6, 7)},
	0x0c: {names: []string{
		"correctable error", "uncorrectable error", "parity error", "scrub failed", "device disabled", "too many correctable errors",
		"present", "configuration error", "spare", "throttled", "critical temperature",
	}, trouble: bits(1, 2, 3, 4, 5, 7, 9, 10)},
	0x0d: {names: []string{
		"present", "fault", "failure predicted", "hot spare", "consistency check", "in critical array", "in failed array",
		"rebuilding", "rebuild aborted",
	}, trouble: bits(1, 2, 5, 6, 8)},
	0x0f: {names: []string{"firmware error", "firmware hang", "firmware progress"}, trouble: bits(0, 1)},
	0x10: {names: []string{
		"correctable memory error logging disabled", "event type logging disabled", "log cleared", "all event logging disabled",
		"log full", "log almost full", "correctable machine check logging disabled",
	}, trouble: bits(3, 4, 5)},
	0x11: {names: []string{
		"BIOS reset", "OS reset", "OS shut down", "OS power down", "OS power cycle", "OS diagnostic interrupt", "OS expired", "OS pre-timeout interrupt",
	}},
	0x12: {names: []string{
		"reconfigured", "boot event", "undetermined hardware failure", "log entry added to auxiliary log", "event filter action", "time stamp",
	}, trouble: bits(2)},
	0x13: {names: []string{
		"front panel interrupt", "bus timeout", "I/O channel check", "software interrupt", "PCI parity error", "PCI system error",
		"EISA fail safe timeout", "bus correctable error", "bus uncorrectable error", "fatal interrupt", "bus fatal error", "bus degraded",
	}, trouble: bits(1, 2, 4, 5, 6, 8, 9, 10, 11)},
	0x14: {names: []string{"power button", "sleep button", "reset button", "FRU latch", "service button"}},
	0x19: {names: []string{"soft power control failure", "thermal trip"}, trouble: bits(0, 1)},
	0x1b: {names: []string{"connected", "wrong cable"}, trouble: bits(1)},
	0x1d: {names: []string{
		"power up", "hard reset", "warm reset", "boot from network asked for", "boot to diagnostics", "OS hard reset", "OS warm reset", "system restart",
	}},
	0x1e: {names: []string{
		"no bootable media", "no bootable diskette", "PXE server not found", "invalid boot sector", "timeout waiting for a boot choice",
	}, trouble: bits(0, 1, 2, 3, 4)},
	0x1f: {names: []string{
		"A: booted", "C: booted", "booted from network", "diagnostics booted", "CD booted", "ROM booted", "booted", "installation started",
		"installation completed", "installation aborted", "installation failed",
	}, trouble: bits(9, 10)},
	0x20: {names: []string{
		"stopped while loading", "stopped at run time", "graceful stop", "graceful shutdown", "soft shutdown by event filter", "agent not responding",
	}, trouble: bits(0, 1, 5)},
	0x21: {names: []string{
		"fault", "identify", "installed", "ready for installation", "ready for removal", "powered off", "removal requested", "interlock",
		"disabled", "holds spare",
	}, trouble: bits(0)},
	0x22: {names: []string{
		"S0/G0 working", "S1 sleeping", "S2 sleeping", "S3 sleeping", "S4 suspended to disk", "S5/G2 soft off", "S4/S5 soft off", "G3 mechanical off",
		"sleeping", "G1 sleeping", "S5 by override", "legacy on", "legacy off", "unknown",
	}},
	0x23: {names: []string{"timer expired", "hard reset", "power down", "power cycle", "reserved", "reserved", "reserved", "reserved", "timer interrupt"}, trouble: bits(0, 1, 2, 3)},
	0x24: {names: []string{"page", "LAN alert", "event trap", "SNMP trap"}},
	0x25: {names: []string{"present", "absent", "disabled"}},
	0x27: {names: []string{"heartbeat lost", "heartbeat"}, trouble: bits(0)},
	0x28: {names: []string{
		"sensor access degraded", "controller access degraded", "controller off line", "controller unavailable", "sensor failure", "FRU failure",
	}, trouble: bits(0, 1, 2, 3, 4, 5)},
	0x29: {names: []string{"low", "failed", "present"}, trouble: bits(0, 1)},
	0x2a: {names: []string{"session activated", "session deactivated", "invalid user name or password", "invalid password disable"}},
	0x2b: {names: []string{
		"hardware changed", "firmware or software changed", "hardware incompatible", "firmware or software incompatible", "invalid hardware version",
		"invalid firmware or software version", "hardware change successful", "firmware or software change successful",
	}, trouble: bits(2, 3, 4, 5)},
	0x2c: {names: []string{
		"not installed", "inactive", "activation requested", "activating", "active", "deactivation requested", "deactivating", "communication lost",
	}, trouble: bits(7)},
}

// statesOf returns what the states of a sensor mean; nothing for those of a
// manufacturer's own.
func statesOf(reading uint8, t SensorType) states {
	if reading == readingSensorSpecific {
		return specificStates[t]
	}
	return genericStates[reading]
}

// name returns the state at an offset, "state 3" where nobody has named it.
func (s states) name(offset uint8) string {
	if int(offset) < len(s.names) {
		return s.names[offset]
	}
	return fmt.Sprintf("state %d", offset)
}

// in returns the names of all bits that are set, lowest first, and whether one
// of them is trouble.
func (s states) in(set uint16) (names []string, trouble bool) {
	for offset := range uint8(15) { // the sixteenth is reserved
		if set&(1<<offset) != 0 {
			names = append(names, s.name(offset))
		}
	}
	return names, set&s.trouble != 0
}
