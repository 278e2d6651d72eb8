package sim

import (
	"fmt"
	"strings"

	"provisioner/ipmi"
	bmc "provisioner/ipmi/sim"
)

// The machine's sensors, by number.
const (
	inletTemp = 1 + iota
	cpuTemp
	fan1
	fan2
	volts12
	power
	supply1
	supply2
	intrusion

	eventLog = 0x99 // has events, and no reading
)

// Units of IPMI v2.0 Table 43-15, and states of Table 42-3.
const (
	celsius, volt, watt, rpm     = 1, 4, 6, 18
	typeEventLog, typeBoot       = 0x10, 0x1d
	logCleared, present, powerUp = 2, 0, 0
	inputLost                    = 3
)

var sensors = []bmc.Sensor{
	{Number: inletTemp, Name: "Inlet Temp", Type: ipmi.SensorTemperature, Unit: celsius, Multiplier: 1, LowerCritical: 3, UpperNonCritical: 42, UpperCritical: 47},
	{Number: cpuTemp, Name: "CPU Temp", Type: ipmi.SensorTemperature, Unit: celsius, Multiplier: 1, UpperNonCritical: 90, UpperCritical: 95},
	{Number: fan1, Name: "FAN1", Type: ipmi.SensorFan, Unit: rpm, Multiplier: 75, LowerCritical: 8},
	{Number: fan2, Name: "FAN2", Type: ipmi.SensorFan, Unit: rpm, Multiplier: 75, LowerCritical: 8},
	{Number: volts12, Name: "12V", Type: ipmi.SensorVoltage, Unit: volt, Multiplier: 60, Exponent: -3, LowerCritical: 180, UpperCritical: 220},
	{Number: power, Name: "Power", Type: ipmi.SensorOther, Unit: watt, Multiplier: 4},
	{Number: supply1, Name: "PS1 Status", Type: ipmi.SensorPowerSupply},
	{Number: supply2, Name: "PS2 Status", Type: ipmi.SensorPowerSupply},
	{Number: intrusion, Name: "Intrusion", Type: ipmi.SensorIntrusion},
}

// Sensors are the same for all machines.
func (m *Machine) Sensors() []bmc.Sensor { return sensors }

// ReadSensor follows the machine's power, and changes a little with the
// minutes. A machine that is off has no fans that turn.
func (m *Machine) ReadSensor(number uint8) bmc.Reading {
	on := m.PoweredOn()
	own := m.cfg.MAC[5]
	drift := uint8(m.cfg.Now().Unix()/60+int64(own)*7) % 3
	inlet := 21 + own%4 + drift
	switch number {
	case inletTemp:
		return bmc.Reading{Raw: inlet}
	case cpuTemp:
		if !on {
			return bmc.Reading{Raw: inlet + 1}
		}
		return bmc.Reading{Raw: inlet + 24 + own%9 + drift}
	case fan1, fan2:
		return bmc.Reading{Unavailable: !on, Raw: 56 + own%8 + drift + number}
	case volts12:
		return bmc.Reading{Unavailable: !on, Raw: 200 + drift}
	case power:
		if !on {
			return bmc.Reading{Raw: 3}
		}
		return bmc.Reading{Raw: 40 + own%16 + drift}
	case supply1:
		return bmc.Reading{States: 1 << present}
	case supply2:
		states := uint16(1 << present)
		if m.unpluggedSupply() {
			states |= 1 << inputLost
		}
		return bmc.Reading{States: states}
	case intrusion:
		return bmc.Reading{}
	}
	return bmc.Reading{Unavailable: true}
}

// unpluggedSupply says whether somebody forgot the second power cord, as with
// one machine in nine.
func (m *Machine) unpluggedSupply() bool { return m.cfg.MAC[5]%9 == 4 }

// Events are what the machine's BMC has seen: the power supplies, and the last
// start of the system.
func (m *Machine) Events() []bmc.Event {
	events := []bmc.Event{
		{Sensor: eventLog, Type: typeEventLog, State: logCleared},
		{At: m.since, Sensor: supply1, Type: ipmi.SensorPowerSupply, State: present},
		{At: m.since, Sensor: supply2, Type: ipmi.SensorPowerSupply, State: present},
		{At: m.since, Sensor: supply2, Type: ipmi.SensorPowerSupply, State: inputLost},
	}
	if !m.unpluggedSupply() {
		events = append(events, bmc.Event{At: m.since, Sensor: supply2, Type: ipmi.SensorPowerSupply, State: inputLost, Ended: true})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.booted.IsZero() {
		events = append(events, bmc.Event{At: m.booted, Type: typeBoot, State: powerUp})
	}
	return events
}

// Inventory is made of the machine's model and MAC.
func (m *Machine) Inventory() bmc.Inventory {
	serial := strings.ToUpper(fmt.Sprintf("SIM%x", []byte(m.cfg.MAC)))
	return bmc.Inventory{
		Manufacturer: "Simulated", Product: m.cfg.Model, PartNumber: m.cfg.Arch, Version: "1", Serial: serial,
		Board: m.cfg.Processor, BoardSerial: serial + "B",
	}
}
