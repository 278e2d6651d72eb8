package ipmi

import (
	"context"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"
)

// bmcAddr is the BMC's address as the owner of a sensor (IPMI v2.0 Table 5-4).
const bmcAddr = 0x20

// Sensor is a sensor of a machine and what it says now.
type Sensor struct {
	// Number is the BMC's. Sensors that share a name differ in it.
	Number uint8
	// Name is the manufacturer's, as short as it has to be: "CPU1 Temp".
	Name string
	Type SensorType
	// Status is SensorUnavailable where there is neither Value nor States.
	Status SensorStatus
	// Value is in Unit where HasValue says that there is one. Unit may be
	// empty.
	HasValue bool
	Value    float64
	Unit     string
	// States are those that a sensor without a number is in: "present",
	// "input lost". None is normal.
	States     []string
	Thresholds Thresholds
}

// Thresholds are the bounds of a sensor's normal values, in its unit. nil is
// one that the sensor does not have.
type Thresholds struct {
	LowerNonRecoverable, LowerCritical, LowerNonCritical *float64
	UpperNonCritical, UpperCritical, UpperNonRecoverable *float64
}

// Sensors reads the sensors of the machine, in the order of its repository
// (IPMI v2.0 §33, §35.14). A BMC without a repository of sensors refuses it.
// The first call reads the repository, which takes 100 to 1000 round trips;
// later ones only the readings, one round trip for each sensor, unless the BMC
// says that the repository has changed. It blocks until then or the end of ctx.
//
// Sensors of other controllers, which the BMC would have to be asked to pass a
// message to, and of the BMC's other logical units are left out. Thresholds are
// those of the repository: what was set later is not seen in them, but in
// Status, which is the BMC's own judgement.
func (c *Client) Sensors(ctx context.Context) ([]Sensor, error) {
	const op = "sensors"
	records, err := c.sensorRecords(ctx)
	if err != nil {
		return nil, c.fail(op, err)
	}
	sensors := make([]Sensor, 0, len(records))
	for i := range records {
		s := &records[i]
		if !c.reaches(s) {
			continue
		}
		now, err := asker(c.exchange).sensor(ctx, s)
		if err != nil {
			return nil, c.fail(op, fmt.Errorf("%s: %w", s.title(), err))
		}
		sensors = append(sensors, now)
	}
	return sensors, nil
}

// reaches reports whether a sensor belongs to the controller that is asked.
func (c *Client) reaches(s *sensorRecord) bool {
	own := s.owner == bmcAddr
	if c.cfg.Cartridge != 0 {
		own = own || s.owner == moonshot(c.cfg.Cartridge).target.addr
	}
	return own && s.lun == 0
}

// sensor reads one sensor. That the BMC refuses that is an unavailable sensor,
// not an error: many list sensors that the machine does not have.
func (do asker) sensor(ctx context.Context, s *sensorRecord) (Sensor, error) {
	r, err := do.read(ctx, rawRequest{types.CommandGetSensorReading, []byte{s.number}})
	if errors.Is(err, ErrRefused) {
		return s.absent(), nil
	}
	if err != nil {
		return Sensor{}, err
	}
	now := parseReading(r.data)
	if s.linearize != nonLinear || !now.available {
		return s.at(now, s.factors), nil
	}
	f, err := do.readingFactors(ctx, s.number, now.raw)
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrProtocol) {
		return s.absent(), nil // a reading that nobody can understand
	}
	return s.at(now, f), err
}

// readingFactors asks how a reading of a sensor that is not linear is to be
// understood (IPMI v2.0 §35.5).
func (do asker) readingFactors(ctx context.Context, number, raw uint8) (factors, error) {
	r, err := do.read(ctx, rawRequest{types.CommandGetSensorReadingFactors, []byte{number, raw}})
	switch {
	case err != nil:
		return factors{}, err
	case len(r.data) < 7:
		return factors{}, tooShort(len(r.data), 7)
	}
	return parseFactors([6]byte(r.data[1:7])), nil
}

// reading is the answer to Get Sensor Reading (IPMI v2.0 §35.14).
type reading struct {
	available bool
	raw       uint8
	judged    bool   // states is there
	states    uint16 // of a threshold sensor: the comparison with its thresholds
}

// parseReading reads an answer that may have one byte to four.
func parseReading(data []byte) reading {
	const scanning, unavailable = 0x40, 0x20
	if len(data) < 2 {
		return reading{}
	}
	r := reading{raw: data[0], available: data[1]&scanning != 0 && data[1]&unavailable == 0}
	if len(data) > 2 {
		r.judged = true
		r.states = uint16(data[2])
	}
	if len(data) > 3 {
		r.states |= uint16(data[3]&0x7f) << 8
	}
	return r
}

// absent is a sensor that has no reading.
func (s *sensorRecord) absent() Sensor {
	return Sensor{
		Number: s.number, Name: s.title(), Type: s.kind, Unit: s.unit,
		Status: SensorUnavailable, Thresholds: s.thresholds(),
	}
}

// at is the sensor at a reading.
func (s *sensorRecord) at(r reading, f factors) Sensor {
	now := s.absent()
	if !r.available {
		return now
	}
	now.Status = SensorOK
	now.Value, now.HasValue = f.convert(r.raw, s.format, s.linearize)
	if s.reading != readingThreshold {
		var trouble bool
		if now.States, trouble = statesOf(s.reading, s.kind).in(r.states); trouble {
			now.Status = SensorCritical
		}
		return now
	}
	passed := r.states
	if !r.judged && now.HasValue {
		passed = now.Thresholds.passed(now.Value)
	}
	now.Status = judge(passed)
	return now
}

// judge makes a status of the comparison with thresholds (IPMI v2.0 Table 35-15).
func judge(passed uint16) SensorStatus {
	switch {
	case passed&bits(lowerNonRecoverable, upperNonRecoverable) != 0:
		return SensorFatal
	case passed&bits(lowerCritical, upperCritical) != 0:
		return SensorCritical
	case passed&bits(lowerNonCritical, upperNonCritical) != 0:
		return SensorWarning
	}
	return SensorOK
}

// thresholds are the limits of the record in the sensor's unit. A sensor whose
// factors differ from reading to reading has none that could be told.
func (s *sensorRecord) thresholds() Thresholds {
	var t Thresholds
	for i, to := range t.all() {
		if s.limits.readable&(1<<i) == 0 || s.linearize == nonLinear {
			continue
		}
		if value, ok := s.factors.convert(s.limits.raw[i], s.format, s.linearize); ok {
			*to = &value
		}
	}
	return t
}

// all are the thresholds in the order of their bits.
func (t *Thresholds) all() [thresholds]**float64 {
	return [thresholds]**float64{
		lowerNonCritical: &t.LowerNonCritical, lowerCritical: &t.LowerCritical, lowerNonRecoverable: &t.LowerNonRecoverable,
		upperNonCritical: &t.UpperNonCritical, upperCritical: &t.UpperCritical, upperNonRecoverable: &t.UpperNonRecoverable,
	}
}

// passed has a bit for each threshold that a value has reached.
func (t *Thresholds) passed(value float64) (passed uint16) {
	for i, limit := range t.all() {
		if *limit == nil {
			continue
		}
		if lower := i <= lowerNonRecoverable; lower && value <= **limit || !lower && value >= **limit {
			passed |= 1 << i
		}
	}
	return passed
}
