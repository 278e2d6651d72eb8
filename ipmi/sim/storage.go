package sim

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"

	"provisioner/ipmi"
)

// Inventory is what a machine is. Each text has 63 bytes at most.
type Inventory struct{ Manufacturer, Product, PartNumber, Version, Serial, Board, BoardSerial string }

// Event is an entry of a machine's event log.
type Event struct {
	At     time.Time // zero: the BMC had no time yet
	Sensor uint8     // its number
	Type   ipmi.SensorType
	State  uint8 // which of the states of that type (IPMI v2.0 Table 42-3)
	Ended  bool
}

// store gives the reference server the sensor data records and the inventory
// of a machine. It makes them when they are asked for: a thousand machines
// would keep them for nothing.
type store struct{ hw Equipped }

func (s store) FRU() hal.FRUStore { return fruStore(s) }
func (s store) SDR() hal.SDRStore { return sdrStore(s) }

type sdrStore struct{ hw Equipped }

func (s sdrStore) Read(_ context.Context, id uint16) ([]byte, error) {
	sensors := s.hw.Sensors()
	if id == 0 || int(id) > len(sensors) {
		return nil, hal.ErrNotFound
	}
	return sensors[id-1].record(id), nil
}

func (s sdrStore) RecordIDs(context.Context) ([]uint16, error) {
	ids := make([]uint16, len(s.hw.Sensors()))
	for i := range ids {
		ids[i] = uint16(i + 1)
	}
	return ids, nil
}

func (sdrStore) Write(context.Context, uint16, []byte) error { return hal.ErrNotSupported }
func (sdrStore) Delete(context.Context, uint16) error        { return hal.ErrNotSupported }

type fruStore struct{ hw Equipped }

func (s fruStore) Read(_ context.Context, device uint8) ([]byte, error) {
	if device != 0 {
		return nil, hal.ErrNotFound
	}
	const rackMount = 0x17
	i := s.hw.Inventory()
	return types.PackFRU(types.FRUPackConfig{
		Chassis: &types.FRUPackChassis{Type: rackMount, Serial: i.Serial},
		Board:   &types.FRUPackBoard{Mfg: i.Manufacturer, Product: i.Board, Serial: i.BoardSerial, MfgDate: time.Date(2024, time.May, 1, 0, 0, 0, 0, time.UTC)},
		Product: &types.FRUPackProduct{Manufacturer: i.Manufacturer, Name: i.Product, PartModel: i.PartNumber, Version: i.Version, Serial: i.Serial},
	})
}

func (fruStore) DeviceIDs(context.Context) ([]uint8, error) { return []uint8{0}, nil }
func (fruStore) Write(context.Context, uint8, []byte) error { return hal.ErrNotSupported }
func (fruStore) Delete(context.Context, uint8) error        { return hal.ErrNotSupported }

// registerEquipment adds what the reference server lacks for Equipped hardware.
func registerEquipment(reg, reference *handlers.Registry) {
	reg.RegisterFunc(types.CommandGetSensorReading, getSensorReading)
	reg.RegisterFunc(types.CommandGetSDRRepoInfo, steadyRepository(reference))
	reg.RegisterFunc(types.CommandGetSELInfo, getSELInfo)
	reg.RegisterFunc(types.CommandGetSELEntry, getSELEntry)
}

// steadyRepository is the reference server's Get SDR Repository Info, which
// says that records were added just now, whenever it is asked. Ours never change.
func steadyRepository(reference *handlers.Registry) handlers.HandlerFunc {
	cmd := types.CommandGetSDRRepoInfo
	return func(ctx context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		res, code, err := reference.Dispatch(ctx, call, uint8(cmd.NetFn), cmd.ID, req)
		const times, end = 5, 13 // of the last addition and of the last erasure
		if len(res) >= end {
			clear(res[times:end])
		}
		return res, code, err
	}
}

// getSELInfo is IPMI v2.0 §31.2.
func getSELInfo(_ context.Context, call *handlers.HandlerContext, _ []byte) ([]byte, types.CompletionCode, error) {
	hw, ok := equipped(call)
	if !ok {
		return nil, types.CodeInvalidCommand, nil
	}
	events := hw.Events()
	res := append(binary.LittleEndian.AppendUint16([]byte{version}, uint16(len(events))), 0xff, 0xff)
	newest := uint32(0)
	if len(events) > 0 {
		newest = timestamp(events[len(events)-1].At)
	}
	res = binary.LittleEndian.AppendUint32(res, newest)
	return append(res, 0, 0, 0, 0, 0), types.CodeOK, nil // never erased; no other operations
}

// getSELEntry is IPMI v2.0 §31.5, of entries that are numbered from 1 on.
func getSELEntry(_ context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	const first, last, whole, requestSize = 0, 0xffff, 0xff, 6
	hw, ok := equipped(call)
	switch {
	case !ok:
		return nil, types.CodeInvalidCommand, nil
	case len(req) < requestSize:
		return nil, types.CodeRequestDataLengthInvalid, nil
	case req[4] != 0 || req[5] != whole:
		return nil, types.CodeParameterOutOfRange, nil
	}
	events := hw.Events()
	id := int(binary.LittleEndian.Uint16(req[2:]))
	switch id {
	case first:
		id = 1
	case last:
		id = len(events)
	}
	if id < 1 || id > len(events) {
		return nil, types.CodeRequestedDataNotPresent, nil
	}
	next := id + 1
	if next > len(events) {
		next = last
	}
	return append(binary.LittleEndian.AppendUint16(nil, uint16(next)), events[id-1].entry(uint16(id))...), types.CodeOK, nil
}

// entry is the event as IPMI v2.0 Table 32-1 has it.
func (e Event) entry(id uint16) []byte {
	const systemEvent, revision, ended, unspecified = 0x02, 0x04, 0x80, 0xff
	direction := uint8(sensorSpecific)
	if e.Ended {
		direction |= ended
	}
	p := append(binary.LittleEndian.AppendUint16(nil, id), systemEvent)
	p = binary.LittleEndian.AppendUint32(p, timestamp(e.At))
	return append(p, bmcAddr, 0, revision, uint8(e.Type), e.Sensor, direction, e.State, unspecified, unspecified)
}

// timestamp is IPMI v2.0 §37.
func timestamp(t time.Time) uint32 {
	const unspecified = 0xffffffff
	if t.IsZero() {
		return unspecified
	}
	return uint32(t.Unix())
}
