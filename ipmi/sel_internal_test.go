package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

func TestEntriesInWords(t *testing.T) {
	temp, err := parseRecord(fullRecord(1, "Inlet Temp"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2022, time.December, 14, 13, 40, 44, 0, time.UTC)
	for _, tt := range []struct {
		name, raw, sensor, event string
		asserted                 bool
		status                   SensorStatus
		time                     time.Time
		since                    time.Duration
	}{
		{ // from https://github.com/ipmitool/ipmitool/issues/384
			"OEM, with a time", "02 00 df 5c d2 99 63 37 01 00 04 00 00 00 00 00", "", "OEM record DFh of enterprise 311: 04 00 00 00 00 00", true, SensorOK,
			at, 0,
		},
		{"OEM, without a time", "03 00 e1 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d", "", "OEM record E1h: 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D", true, SensorOK, time.Time{}, 0},
		{"of no known type", "03 00 10 5c d2 99 63 37 01 00 04 00 00 00 00 00", "", "record 10h: 37 01 00 04 00 00 00 00 00", true, SensorOK, at, 0},
		{"power lost", "01 00 02 5c d2 99 63 20 00 04 08 30 6f 03 ff ff", "sensor 30h", "input lost", true, SensorCritical, at, 0},
		{"power back", "01 00 02 5c d2 99 63 20 00 04 08 30 ef 03 ff ff", "sensor 30h", "input lost", false, SensorOK, at, 0},
		{"before the clock was set", "01 00 02 10 00 00 00 20 00 04 10 99 6f 02 ff ff", "sensor 99h", "log cleared", true, SensorOK, time.Time{}, 16 * time.Second},
		{"without a time", "01 00 02 ff ff ff ff 20 00 04 10 99 6f 02 ff ff", "sensor 99h", "log cleared", true, SensorOK, time.Time{}, 0},
		{"too hot", "01 00 02 5c d2 99 63 20 00 04 01 01 01 59 b6 b4", "Inlet Temp", "upper critical, going high: 91 °C, threshold 90 °C", true, SensorCritical, at, 0},
		{"too hot, without numbers", "01 00 02 5c d2 99 63 20 00 04 01 01 01 09 b6 b4", "Inlet Temp", "upper critical, going high", true, SensorCritical, at, 0},
		{"too hot, without a threshold", "01 00 02 5c d2 99 63 20 00 04 01 01 01 49 b7 b4", "Inlet Temp", "upper critical, going high: 91.5 °C", true, SensorCritical, at, 0},
		{"too hot, of another controller", "01 00 02 5c d2 99 63 2c 00 04 01 01 01 59 b6 b4", "sensor 01h", "upper critical, going high", true, SensorCritical, at, 0},
		{"too cold", "01 00 02 5c d2 99 63 20 00 04 01 01 01 50 0a 0a", "Inlet Temp", "lower non-critical, going low: 5 °C, threshold 5 °C", true, SensorWarning, at, 0},
		{"no threshold that is known", "01 00 02 5c d2 99 63 20 00 04 01 01 01 5f 0a 0a", "Inlet Temp", "state 15: 5 °C, threshold 5 °C", true, SensorOK, at, 0},
		{"unspecified", "01 00 02 5c d2 99 63 20 00 04 0f 06 00 01 02 03", "sensor 06h", "event 01 02 03", true, SensorOK, at, 0},
		{"the manufacturer's own", "01 00 02 5c d2 99 63 20 00 04 c8 06 72 a1 02 03", "sensor 06h", "event 72h, state 1, data 02 03", true, SensorOK, at, 0},
	} {
		e := parseSELEntry(rawSELEntry(unhex(t, tt.raw)), temp)
		if e.Sensor != tt.sensor || e.Event != tt.event || e.Asserted != tt.asserted || e.Status != tt.status || !e.Time.Equal(tt.time) || e.SinceStart != tt.since {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
}

// logDouble is an event log with entries of these numbers.
type logDouble struct {
	ids    []uint16
	noLast bool // it does not know which entry is the last
	asked  int
}

func (l *logDouble) do(_ context.Context, req rawRequest) (reply, error) {
	l.asked++
	id := binary.LittleEndian.Uint16(req.data[2:])
	i := slices.Index(l.ids, id)
	switch {
	case id == 0 && len(l.ids) > 0:
		i = 0
	case id == lastRecord && !l.noLast:
		i = len(l.ids) - 1
	}
	if i < 0 {
		return reply{code: uint8(types.CodeRequestedDataNotPresent)}, nil
	}
	next := uint16(lastRecord)
	if i+1 < len(l.ids) {
		next = l.ids[i+1]
	}
	p := binary.LittleEndian.AppendUint16(nil, next)
	p = binary.LittleEndian.AppendUint16(p, l.ids[i])
	return reply{data: append(p, make([]byte, selEntrySize-2)...)}, nil
}

func TestNewestEntriesOfAllKindsOfLogs(t *testing.T) {
	var long []uint16
	for id := range uint16(500) {
		long = append(long, id+100)
	}
	for _, tt := range []struct {
		name  string
		log   logDouble
		limit int
		want  []uint16
		asked int // at most
	}{
		{"numbered without gaps", logDouble{ids: long}, 3, []uint16{599, 598, 597}, 3},
		{"all", logDouble{ids: []uint16{1, 2, 3}}, 3, []uint16{3, 2, 1}, 3},
		{"numbered with gaps", logDouble{ids: []uint16{1, 5, 6, 20}}, 3, []uint16{20, 6, 5}, 6},
		{"numbered by bytes", logDouble{ids: []uint16{0, 16, 32, 48}}, 2, []uint16{48, 32}, 6},
		{"begun again from 1", logDouble{ids: []uint16{0xfffd, 0xfffe, 1, 2}}, 3, []uint16{2, 1, 0xfffe}, 6},
		{"without an idea of the last", logDouble{ids: long, noLast: true}, 2, []uint16{599, 598}, 501},
		{"cleared just now", logDouble{}, 2, nil, 2},
	} {
		raw, err := asker(tt.log.do).newestEvents(t.Context(), tt.limit)
		var got []uint16
		for _, e := range raw {
			got = append(got, e.id())
		}
		if err != nil || !slices.Equal(got, tt.want) || tt.log.asked > tt.asked {
			t.Errorf("%s: %v, %v, %d commands", tt.name, got, err, tt.log.asked)
		}
	}
	silent := asker(func(context.Context, rawRequest) (reply, error) { return reply{}, ErrNoAnswer })
	if _, err := silent.newestEvents(t.Context(), 1); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("a silent BMC: %v", err)
	}
	short := asker(func(context.Context, rawRequest) (reply, error) { return reply{data: make([]byte, 10)}, nil })
	if _, err := short.newestEvents(t.Context(), 1); !errors.Is(err, ErrProtocol) {
		t.Errorf("an entry that is cut off: %v", err)
	}
}

func FuzzSELEntry(f *testing.F) {
	f.Add(unhex(f, "01 00 02 5c d2 99 63 20 00 04 01 01 01 59 b6 b4"), fullRecord(1, "Temp"))
	f.Add(unhex(f, "02 00 df 5c d2 99 63 37 01 00 04 00 00 00 00 00"), []byte{})
	f.Add(unhex(f, "01 00 02 5c d2 99 63 b1 00 04 0c 1d 07 02 ff ff"), unhex(f, usbOvercurrent))
	f.Fuzz(func(t *testing.T, raw, record []byte) {
		if len(raw) < selEntrySize {
			return
		}
		sensors, _ := parseRecord(record)
		e := parseSELEntry(rawSELEntry(raw), sensors)
		if e.Event == "" || plain(e.Event) != e.Event || plain(e.Sensor) != e.Sensor {
			t.Errorf("%+q %+q", e.Sensor, e.Event)
		}
		if !e.Time.IsZero() && (e.SinceStart != 0 || e.Time.Year() > 2106 || e.Time.Year() < 1987) {
			t.Errorf("at %v, %v after the start", e.Time, e.SinceStart)
		}
	})
}
