package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	selEntrySize = 16
	// selWalkMax bounds how much of a log is read whose newest entries cannot
	// be reached but through all others. Real logs hold 500 to 4000 entries.
	selWalkMax = 8192
)

// The types of entries (IPMI v2.0 §32).
const (
	selSystemEvent  = 0x02
	selTimedOEM     = 0xc0 // to DFh
	selUntimedOEM   = 0xe0 // to FFh
	selPreInitUntil = 0x20000000
	selNoTime       = 0xffffffff
)

// SELEntry is an entry of a machine's system event log.
type SELEntry struct {
	ID uint16
	// Time is by the BMC's clock, taken for UTC. It is zero where the BMC had
	// no time: then SinceStart, where not 0, is how long it had been running,
	// in whole seconds.
	Time       time.Time
	SinceStart time.Duration
	// Sensor is what reported it: a name if the machine's sensors have been
	// read before, a number if not, empty for entries of the manufacturer's own.
	Sensor string
	Type   SensorType
	// Event is what happened, and Asserted whether it began or ended.
	Event    string
	Asserted bool
	// Status is how bad that is. What has ended is SensorOK.
	Status SensorStatus
	// Raw is the entry as it is in the log.
	Raw [selEntrySize]byte
}

// SEL reads the newest entries of the machine's system event log (IPMI v2.0
// §31), newest first, limit at most. It blocks until then or the end of ctx:
// for one round trip an entry, or for one each of the whole log where a BMC
// has numbered it with gaps.
func (c *Client) SEL(ctx context.Context, limit int) ([]SELEntry, error) {
	const op = "event log"
	r, err := c.ask(ctx, rawRequest{cmd: types.CommandGetSELInfo}, true)
	if err == nil && len(r.data) < 3 {
		err = tooShort(len(r.data), 3)
	}
	if err != nil {
		return nil, c.fail(op, err)
	}
	limit = min(limit, int(binary.LittleEndian.Uint16(r.data[1:])), selWalkMax)
	if limit <= 0 {
		return nil, nil
	}
	raw, err := asker(c.exchange).newestEvents(ctx, limit)
	if err != nil {
		return nil, c.fail(op, err)
	}
	sensors := c.knownSensors()
	entries := make([]SELEntry, len(raw))
	for i, e := range raw {
		entries[i] = parseSELEntry(e, sensors)
	}
	return entries, nil
}

// newestEvents returns the end of the log, newest first.
func (do asker) newestEvents(ctx context.Context, limit int) ([]rawSELEntry, error) {
	entries, complete, err := do.eventsBackwards(ctx, limit)
	if err == nil && !complete {
		entries, err = do.eventsForwards(ctx, limit)
	}
	return entries, err
}

type rawSELEntry [selEntrySize]byte

func (e *rawSELEntry) id() uint16 { return binary.LittleEndian.Uint16(e[:]) }

// event is Get SEL Entry (IPMI v2.0 §31.5). A whole entry needs no
// reservation.
func (do asker) event(ctx context.Context, id uint16) (e rawSELEntry, next uint16, err error) {
	req := binary.LittleEndian.AppendUint16([]byte{0, 0}, id)
	r, err := do.read(ctx, rawRequest{types.CommandGetSELEntry, append(req, 0, wholeRecord)})
	switch {
	case err != nil:
		return e, 0, err
	case len(r.data) < 2+selEntrySize:
		return e, 0, tooShort(len(r.data), 2+selEntrySize)
	}
	return rawSELEntry(r.data[2:]), binary.LittleEndian.Uint16(r.data), nil
}

// eventsBackwards reads from the last entry on, newest first. The log is linked
// forwards only, so that the entry before one is guessed to have the number
// before; complete is false where that proves wrong.
func (do asker) eventsBackwards(ctx context.Context, limit int) (entries []rawSELEntry, complete bool, err error) {
	e, _, err := do.event(ctx, lastRecord)
	for {
		if errors.Is(err, ErrRefused) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
		if len(entries) == limit {
			return entries, true, nil
		}
		id := e.id()
		if id <= 1 { // 0 would be the first again
			return nil, false, nil
		}
		var next uint16
		e, next, err = do.event(ctx, id-1)
		if err == nil && (e.id() != id-1 || next != id) {
			return nil, false, nil
		}
	}
}

// eventsForwards reads the whole log and returns its end, newest first.
func (do asker) eventsForwards(ctx context.Context, limit int) ([]rawSELEntry, error) {
	var entries []rawSELEntry
	id := uint16(0) // the first entry
	for range selWalkMax {
		e, next, err := do.event(ctx, id)
		if errors.Is(err, errNotPresent) {
			break // it was cleared meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("entry %04Xh: %w", id, err)
		}
		if len(entries) >= 2*limit {
			entries = append(entries[:0], entries[len(entries)-limit:]...)
		}
		entries = append(entries, e)
		if next == lastRecord || next == id {
			break
		}
		id = next
	}
	entries = entries[max(0, len(entries)-limit):]
	slices.Reverse(entries)
	return entries, nil
}

// parseSELEntry reads IPMI v2.0 §32. sensors are those that are known.
func parseSELEntry(p rawSELEntry, sensors []sensorRecord) SELEntry {
	e := SELEntry{ID: p.id(), Raw: p, Asserted: true}
	kind := p[2]
	if kind < selUntimedOEM {
		e.Time, e.SinceStart = selTime(binary.LittleEndian.Uint32(p[3:]))
	}
	switch {
	case kind >= selUntimedOEM:
		e.Event = fmt.Sprintf("OEM record %02Xh: % X", kind, p[3:])
	case kind >= selTimedOEM:
		maker := Manufacturer(uint32(p[7]) | uint32(p[8])<<8 | uint32(p[9]&0x0f)<<16)
		e.Event = fmt.Sprintf("OEM record %02Xh of %v: % X", kind, maker, p[10:])
	case kind != selSystemEvent:
		e.Event = fmt.Sprintf("record %02Xh: % X", kind, p[7:])
	default:
		e.systemEvent(sensors)
	}
	return e
}

// selTime reads a time stamp (IPMI v2.0 §37).
func selTime(stamp uint32) (time.Time, time.Duration) {
	switch {
	case stamp == selNoTime:
		return time.Time{}, 0
	case stamp <= selPreInitUntil:
		return time.Time{}, time.Duration(stamp) * time.Second
	}
	return time.Unix(int64(stamp), 0).UTC(), 0
}

// systemEvent reads the rest of Table 32-1, from the generator on.
func (e *SELEntry) systemEvent(sensors []sensorRecord) {
	generator, number, eventType := e.Raw[7], e.Raw[11], e.Raw[12]&0x7f
	e.Type = SensorType(e.Raw[10])
	e.Asserted = e.Raw[12]&0x80 == 0
	e.Sensor = fmt.Sprintf("sensor %02Xh", number)
	var sensor *sensorRecord
	for i := range sensors {
		s := &sensors[i]
		if s.number == number && s.owner == generator && s.lun == e.Raw[8]&3 && s.kind == e.Type {
			sensor, e.Sensor = s, s.title()
			break
		}
	}
	if eventType == readingThreshold {
		e.thresholdEvent(sensor)
		return
	}
	offset := e.Raw[13] & 0x0f
	if eventType == 0 { // unspecified, as BIOSes send it
		e.Event = fmt.Sprintf("event % X", e.Raw[13:])
		return
	}
	meaning := statesOf(eventType, e.Type)
	e.Event = meaning.name(offset)
	if len(meaning.names) <= int(offset) { // the manufacturer's own
		e.Event = fmt.Sprintf("event %02Xh, state %d, data % X", eventType, offset, e.Raw[14:])
	}
	if e.Asserted && meaning.trouble&(1<<offset) != 0 {
		e.Status = SensorCritical
	}
}

// thresholdEvent says which threshold was passed, and in numbers where the
// entry has them and the sensor is known (IPMI v2.0 Table 29-6).
func (e *SELEntry) thresholdEvent(sensor *sensorRecord) {
	data := e.Raw[13]
	offset := data & 0x0f
	e.Event = genericStates[readingThreshold].name(offset)
	if e.Asserted && offset < 2*thresholds { // two for each threshold
		e.Status = judge(1 << (offset / 2))
	}
	const isReading, isThreshold = 0x40, 0x10
	if sensor == nil || sensor.linearize == nonLinear || data&0xc0 != isReading {
		return
	}
	value, ok := sensor.factors.convert(e.Raw[14], sensor.format, sensor.linearize)
	if !ok {
		return
	}
	e.Event += ": " + quantity(value, sensor.unit)
	if data&0x30 != isThreshold {
		return
	}
	if limit, ok := sensor.factors.convert(e.Raw[15], sensor.format, sensor.linearize); ok {
		e.Event += ", threshold " + quantity(limit, sensor.unit)
	}
}

// quantity is a value as people write it: three decimals at most.
func quantity(value float64, unit string) string {
	text := strconv.FormatFloat(math.Round(value*1000)/1000, 'f', -1, 64)
	if unit == "" {
		return text
	}
	return text + " " + unit
}
