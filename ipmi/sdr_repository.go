package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	// maxRecords bounds what is read of a repository; real ones have 50 to 300.
	maxRecords = 1000
	// wholeRecord asks for a record in one piece (IPMI v2.0 §33.12).
	wholeRecord = 0xff
	// pieceMax is what is asked for at once where a record is too much for the
	// BMC. It is halved until the BMC takes it, or below pieceMin.
	pieceMax = 32
	pieceMin = 4
	// bridgedPiece is what fits into the 32 bytes of a message on the IPMB,
	// with the header of that and the one of the answer.
	bridgedPiece = 16
	// maxReservations is how often a walk begins a record again because
	// somebody else has changed the repository, or reads it as we do.
	maxReservations = 10

	lastRecord = 0xffff
)

// repository is a set of commands that read sensor data records.
type repository struct {
	info    rawRequest // its answer changes when the records do
	reserve types.Command
	get     types.Command
}

var (
	// mainRepository is of the whole machine (IPMI v2.0 §33).
	mainRepository = repository{rawRequest{cmd: types.CommandGetSDRRepoInfo}, types.CommandReserveSDRRepo, types.CommandGetSDR}
	// deviceRepository is of a controller's own sensors (IPMI v2.0 §35), for
	// controllers that have nothing else, as cartridges and blades.
	deviceRepository = repository{rawRequest{cmd: types.CommandGetDeviceSDRInfo}, types.CommandReserveDeviceSDRRepo, types.CommandGetDeviceSDR}
)

// sdrCache is what a BMC's repository said last.
type sdrCache struct {
	mu      sync.Mutex
	stamp   string // the answer to repository.info at that time; empty: nothing is kept
	sensors []sensorRecord
	piece   uint8 // what the BMC takes at once; 0: not known
}

// sensorRecords reads the repository, or takes what it said before where the
// BMC says that nothing has changed since: the times of the last addition and
// of the last erasure (IPMI v2.0 §33.9).
func (c *Client) sensorRecords(ctx context.Context) ([]sensorRecord, error) {
	from := mainRepository
	info, err := c.do(ctx, from.info, true)
	if err != nil {
		return nil, err
	}
	if info.code == uint8(types.CodeInvalidCommand) {
		from = deviceRepository
		if info, err = c.ask(ctx, from.info, true); err != nil {
			return nil, err
		}
	}
	stamp := ""
	if info.code == uint8(types.CodeOK) {
		stamp = string(info.data)
	}
	c.sdrs.mu.Lock()
	known, piece := c.sdrs.sensors, c.sdrs.piece
	fresh := stamp != "" && stamp == c.sdrs.stamp
	c.sdrs.mu.Unlock()
	if fresh {
		return known, nil
	}
	if piece == 0 {
		piece = wholeRecord
		if c.cfg.Cartridge != 0 {
			piece = bridgedPiece
		}
	}
	w := sdrWalk{do: c.exchange, from: from, piece: piece}
	sensors, err := w.all(ctx)
	if err != nil {
		return nil, err
	}
	c.sdrs.mu.Lock()
	defer c.sdrs.mu.Unlock()
	c.sdrs.stamp, c.sdrs.sensors, c.sdrs.piece = stamp, sensors, w.piece
	return sensors, nil
}

// knownSensors returns what the repository said last, without asking the BMC.
func (c *Client) knownSensors() []sensorRecord {
	c.sdrs.mu.Lock()
	defer c.sdrs.mu.Unlock()
	return c.sdrs.sensors
}

// sdrWalk reads a repository once.
type sdrWalk struct {
	do           asker
	from         repository
	piece        uint8
	reservation  uint16
	reservations int
}

// all reads the sensors of all records. Records that make no sense are passed
// over, as is what follows the first thousand.
func (w *sdrWalk) all(ctx context.Context) ([]sensorRecord, error) {
	if err := w.reserve(ctx); err != nil {
		return nil, err
	}
	var sensors []sensorRecord
	seen := make(map[uint16]bool)
	id := uint16(0) // the first record, whatever its number
	for len(seen) < maxRecords && !seen[id] && id != lastRecord {
		seen[id] = true
		record, next, err := w.record(ctx, id)
		if errors.Is(err, errNotPresent) && id == 0 {
			return nil, nil // an empty repository
		}
		if err != nil {
			return nil, fmt.Errorf("sensor data record %04Xh: %w", id, err)
		}
		if found, err := parseRecord(record); err == nil {
			sensors = append(sensors, found...)
		}
		id = next
	}
	return sensors, nil
}

// reserve takes a reservation, which reading in pieces needs. A BMC that has
// none to give is read without.
func (w *sdrWalk) reserve(ctx context.Context) error {
	w.reservations++
	r, err := w.do(ctx, rawRequest{cmd: w.from.reserve})
	if err != nil {
		return err
	}
	w.reservation = 0
	if r.code == uint8(types.CodeOK) && len(r.data) >= 2 {
		w.reservation = binary.LittleEndian.Uint16(r.data)
	}
	return nil
}

// record reads one record, in one piece if the BMC can.
func (w *sdrWalk) record(ctx context.Context, id uint16) (record []byte, next uint16, err error) {
	for {
		record, next, err = w.inPieces(ctx, id)
		if !errors.Is(err, errReservationLost) || w.reservations >= maxReservations {
			return record, next, err
		}
		if err := w.reserve(ctx); err != nil {
			return nil, 0, err
		}
	}
}

func (w *sdrWalk) inPieces(ctx context.Context, id uint16) (record []byte, next uint16, err error) {
	want := recordHeader // until the header has said more
	for len(record) < want {
		count := min(int(w.piece), want-len(record))
		if w.piece == wholeRecord && len(record) == 0 {
			count = wholeRecord
		}
		var part []byte
		n, part, err := w.read(ctx, id, uint8(len(record)), uint8(count))
		if errors.Is(err, errTooMuch) && w.smaller() {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if len(part) == 0 {
			return nil, 0, tooShort(len(record), want)
		}
		next = n
		record = append(record, part...)
		if len(record) >= recordHeader {
			want = recordHeader + int(record[recordLengthByte])
		}
	}
	return record[:want], next, nil
}

// smaller makes pieces smaller, and says whether that was possible.
func (w *sdrWalk) smaller() bool {
	if w.piece > pieceMax {
		w.piece = pieceMax
		return true
	}
	w.piece /= 2
	return w.piece >= pieceMin
}

// read is Get SDR (IPMI v2.0 §33.12) or Get Device SDR (§35.3).
func (w *sdrWalk) read(ctx context.Context, id uint16, offset, count uint8) (next uint16, part []byte, err error) {
	req := binary.LittleEndian.AppendUint16(nil, w.reservation)
	req = binary.LittleEndian.AppendUint16(req, id)
	r, err := w.do.read(ctx, rawRequest{w.from.get, append(req, offset, count)})
	if err != nil {
		return 0, nil, err
	}
	next, part, err = nextRecord(r.data)
	if count != wholeRecord && len(part) > int(count) {
		part = part[:count]
	}
	return next, part, err
}
