package ipmi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/bougou/go-ipmi/pkg/types"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Records of a PowerEdge FC830, from https://github.com/chu11/freeipmi-mirror/issues/29.
const (
	usbOvercurrent = "58 00 51 02 2B B1 00 1D 22 01 2E 40 0C 07 00 00 00 00 00 00 C0 00 00 11 00 00 00 00 00 00 00 D0 55 53 42 20 4F 76 65 72 2D 63 75 72 72 65 6E 74"
	postError      = "59 00 51 02 23 B1 00 1E 22 01 2E 40 0F 6F 00 00 00 00 00 00 C0 00 00 11 00 00 00 00 00 00 00 C8 50 4F 53 54 20 45 72 72"
	cpuLocator     = "04 00 51 11 0F 00 B0 00 00 00 00 00 03 01 00 C4 43 50 55 31"
)

func TestRecordsOfAPowerEdge(t *testing.T) {
	for text, want := range map[string]sensorRecord{
		usbOvercurrent: {owner: 0xb1, number: 0x1d, name: "USB Over-current", kind: 0x0c, reading: 0x07, format: analogNone},
		postError:      {owner: 0xb1, number: 0x1e, name: "POST Err", kind: 0x0f, reading: 0x6f, format: analogNone},
	} {
		got, err := parseRecord(unhex(t, text))
		if err != nil || !reflect.DeepEqual(got, []sensorRecord{want}) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	if got, err := parseRecord(unhex(t, cpuLocator)); got != nil || err != nil {
		t.Errorf("a locator is %+v, %v", got, err)
	}
	for n := range len(usbOvercurrent) / 3 {
		if _, err := parseRecord(unhex(t, usbOvercurrent)[:n]); n <= compactName && !errors.Is(err, ErrProtocol) {
			t.Errorf("%d bytes of a record: %v", n, err)
		}
	}
}

// fullRecord is a record of a sensor with a number.
func fullRecord(number uint8, name string) []byte {
	p := make([]byte, fullRecordName+1)
	copy(p, []byte{number, 0, 0x51, recordFull, 0, bmcAddr, 0, number, 3, 1, 0x7f, 0x68, uint8(SensorTemperature), readingThreshold})
	p[18] = 1<<upperCritical | 1<<lowerNonCritical
	p[21] = 1                // °C
	p[24], p[29] = 5, 0xf<<4 // 5·x/10
	p[37], p[41] = 180, 10
	p[fullRecordName] = encodedLatin1<<6 | uint8(len(name))
	p = append(p, name...)
	p[recordLengthByte] = uint8(len(p) - recordHeader)
	return p
}

func TestFullRecord(t *testing.T) {
	got, err := parseRecord(fullRecord(7, "Inlet Temp"))
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	s := got[0].at(parseReading([]byte{50, 0xc0, 0xc0}), got[0].factors)
	upper, lower := 90.0, 5.0
	want := Sensor{
		Number: 7, Name: "Inlet Temp", Type: SensorTemperature, HasValue: true, Value: 25, Unit: "°C",
		Thresholds: Thresholds{UpperCritical: &upper, LowerNonCritical: &lower},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v, want %+v", s, want)
	}
	for _, tt := range []struct {
		name   string
		answer []byte
		status SensorStatus
		has    bool
	}{
		{"above a critical threshold, says the BMC", []byte{50, 0xc0, 0x10}, SensorCritical, true},
		{"below a non-critical threshold, says the BMC", []byte{50, 0xc0, 0x01, 0x80}, SensorWarning, true},
		{"above a non-recoverable threshold, says the BMC", []byte{50, 0xc0, 0x38}, SensorFatal, true},
		{"above a critical threshold, and the BMC says nothing", []byte{190, 0xc0}, SensorCritical, true},
		{"below a non-critical threshold, and the BMC says nothing", []byte{10, 0xc0}, SensorWarning, true},
		{"unavailable", []byte{50, 0xe0, 0}, SensorUnavailable, false},
		{"not scanned", []byte{50, 0x80, 0}, SensorUnavailable, false},
		{"cut off", []byte{50}, SensorUnavailable, false},
		{"empty", nil, SensorUnavailable, false},
	} {
		if s := got[0].at(parseReading(tt.answer), got[0].factors); s.Status != tt.status || s.HasValue != tt.has {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
}

func TestReadingsBecomeNumbers(t *testing.T) {
	one := factors{m: 1}
	for _, tt := range []struct {
		name      string
		f         factors
		raw       uint8
		format    uint8
		linearize uint8
		want      float64 // NaN: no number
	}{
		{"unsigned", one, 200, analogUnsigned, linear, 200},
		{"1's complement", one, 0xfe, analogOnesComplement, linear, -1},
		{"1's complement of nothing", one, 0xff, analogOnesComplement, linear, 0},
		{"2's complement", one, 0xfe, analogTwosComplement, linear, -2},
		{"no number", one, 1, analogNone, linear, math.NaN()},
		{"all factors", factors{m: -512, b: 511, k1: 7, k2: -8}, 1, analogUnsigned, linear, (-512 + 511e7) * 1e-8},
		{"ln", one, 100, analogUnsigned, 1, math.Log(100)},
		{"log10", one, 100, analogUnsigned, 2, 2},
		{"log2", one, 64, analogUnsigned, 3, 6},
		{"e", one, 2, analogUnsigned, 4, math.E * math.E},
		{"exp10", one, 3, analogUnsigned, 5, 1000},
		{"exp2", one, 10, analogUnsigned, 6, 1024},
		{"1/x", one, 4, analogUnsigned, 7, 0.25},
		{"1/0", one, 0, analogUnsigned, 7, math.NaN()},
		{"square", one, 12, analogUnsigned, 8, 144},
		{"cube", one, 3, analogUnsigned, 9, 27},
		{"square root", one, 144, analogUnsigned, 10, 12},
		{"square root of less than nothing", one, 0xff, analogTwosComplement, 10, math.NaN()},
		{"cube root", one, 27, analogUnsigned, 11, 3},
		{"non-linear", factors{m: 2}, 4, analogUnsigned, nonLinear, 8},
		{"the manufacturer's own", one, 1, analogUnsigned, 0x71, math.NaN()},
	} {
		got, ok := tt.f.convert(tt.raw, tt.format, tt.linearize)
		if ok == math.IsNaN(tt.want) || ok && math.Abs(got-tt.want) > 1e-9*math.Abs(tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, ok, tt.want)
		}
	}
	// Table 43-1: ten bits each for M and B, four for the exponents.
	if got, want := parseFactors([6]byte{0x01, 0x80 | 0x3f, 0xff, 0x40 | 0x3f, 0xff, 0xd8}), (factors{m: -511, b: 0x1ff, k1: -8, k2: -3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestUnitsAsPeopleWriteThem(t *testing.T) {
	for _, tt := range []struct {
		flags, base, modifier uint8
		want                  string
	}{
		{0, 1, 0, "°C"}, {0, 4, 0, "V"}, {0, 6, 0, "W"}, {0, 18, 0, "RPM"}, {0, 17, 0, "CFM"}, {0, 92, 0, "grams"},
		{0x80, 20, 0, "µs"}, {0, 39, 0, "rad"}, {0, 56, 0, "mol"}, {0, 74, 0, "words"}, {0, 85, 0, "packets"},
		{1, 0, 0, "%"}, {1, 18, 0, "% RPM"}, {0x18, 85, 0, "packets/s"}, {2, 70, 22, "B/s"}, {4, 4, 5, "V·A"},
		{0, 0, 0, ""}, {0, 93, 0, ""}, {0, 255, 255, ""}, {0x38, 1, 0, "°C"},
	} {
		if got := unitOf(tt.flags, tt.base, tt.modifier); got != tt.want {
			t.Errorf("%02X %d %d: %q, want %q", tt.flags, tt.base, tt.modifier, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		typeLength uint8
		p          string
		want       string
	}{
		{0xc5, "Fan 1", "Fan 1"},
		{0xc5, "Fan", "Fan"},                // cut off
		{0xcf, "Temp\x00\x00\x00 ", "Temp"}, // padded
		{0xc4, "\x1b[2J", "\ufffd[2J"},      // obeyed by terminals
		{0xc4, "5\xb0 C", "5° C"},           // Latin 1
		{0x84, "\x29\xdc\xa6", "IPMI"},      // 6-bit ASCII, as in the specification
		{0x43, "\x1c\x2a", "1.2"},           // BCD plus
		{0x02, "\x41\x00\x42\x26", "A♂"},    // Unicode
		{0xc0, "", ""},
	} {
		if got := sensorName(tt.typeLength, []byte(tt.p)); got != tt.want {
			t.Errorf("%02X %q: %q, want %q", tt.typeLength, tt.p, got, tt.want)
		}
	}
}

func TestSensorThatIsNotLinear(t *testing.T) {
	record := fullRecord(7, "Airflow")
	record[23] = nonLinear
	sensors, err := parseRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		reading reply
		factors reply
		err     error // of the BMC
		status  SensorStatus
		value   float64
		asked   int
	}{
		{"with factors of its own", reply{data: []byte{50, 0xc0, 0}}, reply{data: []byte{51, 3, 0, 0, 0, 0, 0}}, nil, SensorOK, 150, 2},
		{"without", reply{data: []byte{50, 0xc0, 0}}, reply{code: uint8(types.CodeInvalidCommand)}, nil, SensorUnavailable, 0, 2},
		{"with half of them", reply{data: []byte{50, 0xc0, 0}}, reply{data: []byte{51, 3, 0}}, nil, SensorUnavailable, 0, 2},
		{"without a reading", reply{data: []byte{0, 0xe0, 0}}, reply{}, nil, SensorUnavailable, 0, 1},
		{"that is not there", reply{code: uint8(types.CodeRequestedDataNotPresent)}, reply{}, nil, SensorUnavailable, 0, 1},
		{"of a BMC that is gone", reply{}, reply{}, ErrNoAnswer, SensorOK, 0, 1},
	} {
		asked := 0
		do := asker(func(_ context.Context, req rawRequest) (reply, error) {
			asked++
			if req.cmd.ID == types.CommandGetSensorReading.ID {
				return tt.reading, tt.err
			}
			return tt.factors, tt.err
		})
		got, err := do.sensor(t.Context(), &sensors[0])
		if !errors.Is(err, tt.err) || got.Status != tt.status || got.Value != tt.value || asked != tt.asked || got.Thresholds != (Thresholds{}) {
			t.Errorf("%s: %+v, %v, %d commands", tt.name, got, err, asked)
		}
	}
}

func TestStatesInWords(t *testing.T) {
	for _, tt := range []struct {
		reading uint8
		kind    SensorType
		set     uint16
		want    string
		trouble bool
	}{
		{readingSensorSpecific, SensorPowerSupply, 0x01, "[present]", false},
		{readingSensorSpecific, SensorPowerSupply, 0x0b, "[present failure input lost]", true},
		{readingSensorSpecific, SensorIntrusion, 0x01, "[chassis intrusion]", true},
		{readingSensorSpecific, SensorIntrusion, 0x8000, "[]", false}, // reserved
		{readingSensorSpecific, 0xc5, 0x05, "[state 0 state 2]", false},
		{0x0b, SensorFan, 0x02, "[redundancy lost]", true},
		{0x08, 0x25, 0x02, "[present]", false},
		{0x70, SensorFan, 0x4000, "[state 14]", false},
	} {
		names, trouble := statesOf(tt.reading, tt.kind).in(tt.set)
		if fmt.Sprint(names) != tt.want || trouble != tt.trouble {
			t.Errorf("%02Xh of %v: %v, trouble %v", tt.reading, tt.kind, names, trouble)
		}
	}
	for t1, s := range specificStates {
		if len(s.names) > 15 || s.trouble>>len(s.names) != 0 {
			t.Errorf("%v: trouble %016b of %d states", t1, s.trouble, len(s.names))
		}
	}
}

func FuzzSensorRecord(f *testing.F) {
	f.Add(fullRecord(1, "Temp"), []byte{1, 0xc0, 0, 0})
	f.Add(unhex(f, usbOvercurrent), []byte{0, 0xc0, 1})
	f.Add(unhex(f, cpuLocator), []byte{})
	f.Fuzz(func(t *testing.T, record, answer []byte) {
		sensors, err := parseRecord(record)
		if err != nil {
			return
		}
		if len(sensors) > 15 {
			t.Fatalf("%d sensors of one record", len(sensors))
		}
		for _, s := range sensors {
			now := s.at(parseReading(answer), s.factors)
			if now.HasValue && (math.IsNaN(now.Value) || math.IsInf(now.Value, 0)) {
				t.Errorf("the number is %v", now.Value)
			}
			if now.Name == "" || plain(now.Name) != now.Name || len(now.States) > 15 || len(now.Name) > 100 {
				t.Errorf("%+v", now)
			}
			if now.Status == SensorUnavailable && (now.HasValue || now.States != nil) {
				t.Errorf("unavailable, with a reading: %+v", now)
			}
		}
	})
}
