package ipmi

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// The types of record that describe sensors (IPMI v2.0 §43).
const (
	recordFull    = 0x01
	recordCompact = 0x02
)

// Sizes of a sensor data record, in bytes.
const (
	recordHeader     = 5  // ID, version, type, length of the rest
	fullRecordName   = 47 // where the name's type/length byte is (Table 43-1)
	compactName      = 31 // likewise (Table 43-2)
	recordLengthByte = 4
	recordTypeByte   = 3
)

// sensorRecord is what a record of the repository says of one sensor.
type sensorRecord struct {
	owner     uint8 // the address of the controller that has it
	lun       uint8 // which of that controller's units, 0 to 3
	number    uint8
	name      string
	kind      SensorType
	reading   uint8 // the event/reading type
	unit      string
	format    uint8 // of the reading: analogUnsigned...
	linearize uint8
	factors   factors
	limits    rawLimits
}

// rawLimits are a sensor's thresholds as its readings are; readable has a bit
// for each that there is (IPMI v2.0 Table 43-1, byte 19; Table 35-9).
type rawLimits struct {
	readable uint8
	raw      [6]uint8 // in the order of readable's bits
}

// Bits of rawLimits.readable, and of a reading's comparison with them.
const (
	lowerNonCritical = iota
	lowerCritical
	lowerNonRecoverable
	upperNonCritical
	upperCritical
	upperNonRecoverable
	thresholds
)

// parseRecord reads the sensors that a record describes: none where it is of
// another kind, several where they share it (IPMI v2.0 §43.2). It fails where
// the record is cut off.
func parseRecord(p []byte) ([]sensorRecord, error) {
	if len(p) < recordHeader {
		return nil, tooShort(len(p), recordHeader)
	}
	switch p[recordTypeByte] {
	case recordFull:
		s, err := parseFullRecord(p)
		if err != nil {
			return nil, err
		}
		return []sensorRecord{s}, nil
	case recordCompact:
		return parseCompactRecord(p)
	}
	return nil, nil
}

// parseFullRecord reads Table 43-1.
func parseFullRecord(p []byte) (sensorRecord, error) {
	if len(p) <= fullRecordName {
		return sensorRecord{}, tooShort(len(p), fullRecordName+1)
	}
	s := parseCommon(p)
	s.name = sensorName(p[fullRecordName], p[fullRecordName+1:])
	s.format = p[20] >> 6
	s.linearize = p[23] & linearization
	s.factors = parseFactors([6]byte(p[24:30]))
	if s.reading == readingThreshold {
		s.limits.readable = p[18] & (1<<thresholds - 1)
		// The record has them from the highest to the lowest of the upper
		// ones, and then of the lower ones.
		s.limits.raw = [6]uint8{
			upperNonRecoverable: p[36], upperCritical: p[37], upperNonCritical: p[38],
			lowerNonRecoverable: p[39], lowerCritical: p[40], lowerNonCritical: p[41],
		}
	} else if s.unit == "" {
		s.format = analogNone // many BMCs say 0 of what has only states
	}
	return s, nil
}

// parseCompactRecord reads Table 43-2. Its sensors have no numbers.
func parseCompactRecord(p []byte) ([]sensorRecord, error) {
	if len(p) <= compactName {
		return nil, tooShort(len(p), compactName+1)
	}
	first := parseCommon(p)
	first.format = analogNone
	first.name = sensorName(p[compactName], p[compactName+1:])
	count := int(p[23] & 0x0f)
	if count < 2 {
		return []sensorRecord{first}, nil
	}
	const alphabetic, base = 1, 26
	all := make([]sensorRecord, count)
	for i := range all {
		all[i] = first
		all[i].number += uint8(i)
		instance := int(p[24]&0x7f) + i
		if p[23]>>4&3 != alphabetic {
			all[i].name += strconv.Itoa(instance)
			continue
		}
		if instance >= base {
			all[i].name += string(rune('A' + instance/base - 1))
		}
		all[i].name += string(rune('A' + instance%base))
	}
	return all, nil
}

// parseCommon reads what both kinds of record begin with, up to the units.
func parseCommon(p []byte) sensorRecord {
	return sensorRecord{
		owner: p[5], lun: p[6] & 3, number: p[7],
		kind: SensorType(p[12]), reading: p[13],
		unit: unitOf(p[20], p[21], p[22]),
	}
}

// sensorName reads a name by its type/length byte, whose length is of
// characters (IPMI v2.0 §43.15). A name that is cut off is as long as it is.
func sensorName(typeLength uint8, p []byte) string {
	n := int(typeLength & 0x1f)
	cut := func(size int) []byte { return p[:min(len(p), size)] }
	var name string
	switch typeLength >> 6 {
	case encodedUnicode:
		name = decodeUTF16(cut(2 * n))
	case encodedBCDPlus:
		name = decodeBCDPlus(cut((n + 1) / 2))
	case encodedSixBit:
		name = decodeSixBit(cut((n*6 + 7) / 8))
	case encodedLatin1:
		name = decodeLatin1(cut(n))
	}
	return plain(name)
}

// nextRecord splits the answer to Get SDR (IPMI v2.0 §33.12).
func nextRecord(data []byte) (next uint16, record []byte, err error) {
	if len(data) < 2 {
		return 0, nil, tooShort(len(data), 2)
	}
	return binary.LittleEndian.Uint16(data), data[2:], nil
}

// title is how a sensor without a name is called.
func (s *sensorRecord) title() string {
	if s.name != "" {
		return s.name
	}
	return fmt.Sprintf("sensor %02Xh", s.number)
}
