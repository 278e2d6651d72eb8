package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/bougou/go-ipmi/pkg/types"
)

// repositoryDouble is a repository with habits of real BMCs.
type repositoryDouble struct {
	records     [][]byte
	most        int // bytes of a record at once; 0: all
	stingy      int // bytes of a record at once, without saying so; 0: all
	refusal     types.CompletionCode
	unsettled   int // how many reservations are lost
	reservation uint16
	asked       int
}

func (d *repositoryDouble) do(_ context.Context, req rawRequest) (reply, error) {
	d.asked++
	if req.cmd.ID == types.CommandReserveSDRRepo.ID {
		d.reservation++
		return reply{data: binary.LittleEndian.AppendUint16(nil, d.reservation)}, nil
	}
	id, offset, count := binary.LittleEndian.Uint16(req.data[2:]), int(req.data[4]), int(req.data[5])
	if offset > 0 && (binary.LittleEndian.Uint16(req.data) != d.reservation || d.unsettled > 0) {
		d.unsettled--
		return reply{code: uint8(types.CodeReservationCanceled)}, nil
	}
	if int(id) >= len(d.records) {
		return reply{code: uint8(types.CodeRequestedDataNotPresent)}, nil
	}
	record := d.records[id]
	if count == wholeRecord {
		count = len(record) - offset
	}
	if d.most > 0 && count > d.most {
		return reply{code: uint8(d.refusal)}, nil
	}
	if d.stingy > 0 {
		count = min(count, d.stingy)
	}
	next := id + 1
	if int(next) == len(d.records) {
		next = lastRecord
	}
	return reply{data: append(binary.LittleEndian.AppendUint16(nil, next), record[offset:offset+count]...)}, nil
}

func (d *repositoryDouble) walk(t *testing.T) ([]string, error) {
	t.Helper()
	w := sdrWalk{do: d.do, from: mainRepository, piece: wholeRecord}
	sensors, err := w.all(t.Context())
	names := make([]string, len(sensors))
	for i, s := range sensors {
		names[i] = s.name
	}
	return names, err
}

func TestRepositoriesOfAllKindsAreRead(t *testing.T) {
	records := [][]byte{fullRecord(1, "Temp"), unhex(t, cpuLocator), fullRecord(2, "A name of 16 let"), unhex(t, postError)}
	want := []string{"Temp", "A name of 16 let", "POST Err"}
	for _, tt := range []struct {
		name  string
		bmc   repositoryDouble
		asked int // at most
	}{
		{"one that sends whole records", repositoryDouble{}, 5},
		{"one that sends 25 bytes", repositoryDouble{most: 25, refusal: types.CodeCannotReturnRequestedDataBytes}, 18},
		{"one that sends 16 bytes", repositoryDouble{most: 16, refusal: types.CodeRequestDataLengthInvalid}, 20},
		{"one that sends 5 bytes", repositoryDouble{most: 5, refusal: types.CodeRequestDataLengthLimitExceeded}, 60},
		{"one that knows no reason", repositoryDouble{most: 20, refusal: types.CodeUnspecifiedError}, 20},
		{"one that sends less than asked for", repositoryDouble{stingy: 30}, 10},
		{"one that others change", repositoryDouble{most: 30, refusal: types.CodeCannotReturnRequestedDataBytes, unsettled: 5}, 40},
	} {
		tt.bmc.records = records
		got, err := tt.bmc.walk(t)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		if tt.bmc.asked > tt.asked {
			t.Errorf("%s: %d commands", tt.name, tt.bmc.asked)
		}
	}
}

func TestRepositoriesThatCannotBeRead(t *testing.T) {
	empty := repositoryDouble{}
	if got, err := empty.walk(t); err != nil || len(got) != 0 {
		t.Errorf("an empty one: %q, %v", got, err)
	}
	mean := repositoryDouble{records: [][]byte{fullRecord(1, "Temp")}, most: 2, refusal: types.CodeCannotReturnRequestedDataBytes}
	if _, err := mean.walk(t); !errors.Is(err, ErrRefused) {
		t.Errorf("one that sends 2 bytes: %v", err)
	}
	restless := repositoryDouble{records: [][]byte{fullRecord(1, "Temp")}, most: 30, refusal: types.CodeCannotReturnRequestedDataBytes, unsettled: 1000}
	if _, err := restless.walk(t); !errors.Is(err, ErrRefused) || restless.asked > 100 {
		t.Errorf("one that always changes: %v after %d commands", err, restless.asked)
	}
	short := repositoryDouble{records: [][]byte{fullRecord(1, "Temp")[:20], fullRecord(2, "Fan")}}
	short.records[0][recordLengthByte] = 15
	if got, err := short.walk(t); err != nil || !slices.Equal(got, []string{"Fan"}) {
		t.Errorf("one with a record that is cut off: %q, %v", got, err)
	}
}

// A repository whose records point to each other for ever, or that never ends.
func TestRepositoriesEnd(t *testing.T) {
	asked := 0
	bmc := func(next func(id uint16) uint16) asker {
		asked = 0
		return func(_ context.Context, req rawRequest) (reply, error) {
			asked++
			if req.cmd.ID == types.CommandReserveSDRRepo.ID {
				return reply{data: []byte{1, 0}}, nil
			}
			record := fullRecord(1, "Temp")
			return reply{data: append(binary.LittleEndian.AppendUint16(nil, next(binary.LittleEndian.Uint16(req.data[2:]))), record...)}, nil
		}
	}
	for name, next := range map[string]func(uint16) uint16{
		"a circle":    func(id uint16) uint16 { return (id + 1) % 7 },
		"without end": func(id uint16) uint16 { return (id + 1) % lastRecord },
	} {
		w := sdrWalk{do: bmc(next), from: mainRepository, piece: wholeRecord}
		sensors, err := w.all(t.Context())
		if err != nil || len(sensors) > maxRecords || asked > maxRecords+1 {
			t.Errorf("%s: %d sensors of %d commands, %v", name, len(sensors), asked, err)
		}
	}
}

// FuzzRepository is a BMC that answers the walk through its repository with
// anything: each piece of data is an answer.
func FuzzRepository(f *testing.F) {
	f.Add([]byte{2, 1, 0, 8, 1, 0, 1, 0, 0x51, 1, 0, 0})
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, answers []byte) {
		do := func(context.Context, rawRequest) (reply, error) {
			if len(answers) < 2 {
				return reply{}, ErrNoAnswer
			}
			n := min(int(answers[0]), len(answers)-2)
			r := reply{code: answers[1], data: answers[2 : 2+n]}
			answers = answers[2+n:]
			return r, nil
		}
		w := sdrWalk{do: do, from: mainRepository, piece: wholeRecord}
		_, _ = w.all(t.Context())
	})
}
