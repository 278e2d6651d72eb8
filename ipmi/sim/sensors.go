package sim

import (
	"context"

	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"

	"provisioner/ipmi"
)

// Equipped is Hardware with sensors, an event log and an inventory. Its methods
// are called concurrently and must not block. The BMC keeps nothing of what
// they return.
type Equipped interface {
	// Sensors are those of the machine: always the same ones.
	Sensors() []Sensor
	// ReadSensor is what one of them says now.
	ReadSensor(number uint8) Reading
	// Events is what has happened, oldest first. It only grows.
	Events() []Event
	Inventory() Inventory
}

// Sensor describes a sensor to the BMC's clients.
type Sensor struct {
	Number uint8
	Name   string // 16 bytes at most
	Type   ipmi.SensorType
	// Unit is a number of IPMI v2.0 Table 43-15, such as 1 for °C. A sensor
	// with a unit has a value: a reading times Multiplier times 10 to the power
	// of Exponent (-8 to 7). One without has states of its type.
	Unit       uint8
	Multiplier int16 // -512 to 511
	Exponent   int8
	// Bounds of normal values, as readings; 0: none.
	LowerCritical, UpperNonCritical, UpperCritical uint8
}

// Reading is what a sensor says.
type Reading struct {
	Unavailable bool
	Raw         uint8  // of a sensor with a unit
	States      uint16 // of one without, a bit for each (Table 42-3)
}

// What IPMI calls things. Thresholds are bits of masks.
const (
	thresholdBased, sensorSpecific                 = 0x01, 0x6f
	lowerCritical, upperNonCritical, upperCritical = 1 << 1, 1 << 3, 1 << 4
	version                                        = 0x51 // of sensor data records and of the event log
	latin1                                         = 0xc0 // of a name's type/length byte
)

// record is the sensor data record of a sensor: a full one (IPMI v2.0 Table
// 43-1) for one with a value, else a compact one (Table 43-2).
func (s *Sensor) record(id uint16) []byte {
	const systemBoard, full, compact = 7, 1, 2
	const fullName, compactName = 47, 31 // where the name is
	kind, name, reading := uint8(full), fullName, uint8(thresholdBased)
	if s.Unit == 0 {
		kind, name, reading = compact, compactName, sensorSpecific
	}
	p := make([]byte, name, name+1+len(s.Name))
	copy(p, []byte{uint8(id), uint8(id >> 8), version, kind, 0, bmcAddr, 0, s.Number, systemBoard, s.Number, 0x63, 0x40, uint8(s.Type), reading})
	p = append(append(p, latin1|uint8(len(s.Name))), s.Name...)
	p[4] = uint8(len(p) - 5)
	if kind == compact {
		p[20] = 0xc0 // no number
		return p
	}
	p[18] = s.thresholds()
	p[21] = s.Unit
	p[24], p[25] = uint8(s.Multiplier), uint8(s.Multiplier>>8)<<6
	p[29] = uint8(s.Exponent) << 4
	p[37], p[38], p[40] = s.UpperCritical, s.UpperNonCritical, s.LowerCritical
	return p
}

const bmcAddr = 0x20

// thresholds is a mask of those that the sensor has.
func (s *Sensor) thresholds() (mask uint8) {
	if s.LowerCritical != 0 {
		mask |= lowerCritical
	}
	if s.UpperNonCritical != 0 {
		mask |= upperNonCritical
	}
	if s.UpperCritical != 0 {
		mask |= upperCritical
	}
	return mask
}

// passed is a mask of the thresholds that a reading has passed.
func (s *Sensor) passed(raw uint8) (mask uint8) {
	if raw <= s.LowerCritical {
		mask |= lowerCritical
	}
	if raw >= s.UpperNonCritical {
		mask |= upperNonCritical
	}
	if raw >= s.UpperCritical {
		mask |= upperCritical
	}
	return mask & s.thresholds()
}

// equipped returns the hardware that a command is about, if it is equipped.
func equipped(call *handlers.HandlerContext) (Equipped, bool) {
	if c, ok := call.BMC.HAL().Chassis().(*chassis); ok {
		hw, ok := c.hw.(Equipped)
		return hw, ok
	}
	return nil, false
}

// getSensorReading is IPMI v2.0 §35.14.
func getSensorReading(_ context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	const scanning, unavailable, reserved = 0x40, 0x20, 0x80
	hw, ok := equipped(call)
	switch {
	case !ok:
		return nil, types.CodeInvalidCommand, nil
	case len(req) < 1:
		return nil, types.CodeRequestDataLengthInvalid, nil
	}
	for _, s := range hw.Sensors() {
		if s.Number != req[0] {
			continue
		}
		r := hw.ReadSensor(s.Number)
		switch {
		case r.Unavailable:
			return []byte{0, scanning | unavailable, 0}, types.CodeOK, nil
		case s.Unit == 0:
			return []byte{0, scanning, uint8(r.States), uint8(r.States>>8) | reserved}, types.CodeOK, nil
		}
		return []byte{r.Raw, scanning, s.passed(r.Raw) | 0xc0}, types.CodeOK, nil
	}
	return nil, types.CodeRequestedDataNotPresent, nil
}
