package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	fruPiece    = 64 // bytes asked for at once; halved until the BMC takes it
	fruPieceMin = 8
)

// FRU is a machine's inventory: that of its FRU device 0 (IPMI v2.0 §34), in
// the areas of the Platform Management FRU Information Storage Definition v1.0.
// Texts are the manufacturers', and empty where there is none.
type FRU struct {
	Chassis FRUChassis
	Board   FRUBoard
	Product FRUProduct
	// Problems is what is wrong with it, in sentences: a checksum that does not
	// agree, an area that cannot be read. The rest is as good as it looks.
	Problems []string
}

// FRU reads the inventory of the machine. It blocks until then or the end
// of ctx, for 10 to 50 round trips. A BMC without one refuses it.
func (c *Client) FRU(ctx context.Context) (FRU, error) {
	const op = "inventory"
	r, err := c.ask(ctx, rawRequest{types.CommandGetFRUInventoryAreaInfo, []byte{0}}, true)
	if err == nil && len(r.data) < 3 {
		err = tooShort(len(r.data), 3)
	}
	if err != nil {
		return FRU{}, c.fail(op, err)
	}
	reader := fruReader{do: c.exchange, size: int(binary.LittleEndian.Uint16(r.data)), unit: 1, piece: fruPiece}
	if r.data[2]&1 != 0 {
		reader.unit = 2
	}
	if c.cfg.Cartridge != 0 {
		reader.piece = bridgedPiece
	}
	fru, err := reader.inventory(ctx)
	return fru, c.fail(op, err)
}

// fruReader reads FRU device 0 in pieces.
type fruReader struct {
	do    asker
	size  int // of the whole, in bytes
	unit  int // bytes of which offsets and counts are multiples: 1 or 2
	piece int // bytes at once
}

// inventory reads the areas that are there. An area that cannot be read is a
// problem of the inventory, and an error only when the BMC is gone.
func (f *fruReader) inventory(ctx context.Context) (FRU, error) {
	var fru FRU
	head, err := f.read(ctx, 0, fruHeaderSize)
	if err != nil {
		return fru, err
	}
	areas, problems := parseFRUHeader(head)
	fru.Problems = problems
	for _, area := range []struct {
		name   string
		offset int
		parse  func([]byte) error
	}{
		{"chassis", areas.chassis, fru.Chassis.parse},
		{"board", areas.board, fru.Board.parse},
		{"product", areas.product, fru.Product.parse},
	} {
		if area.offset == 0 {
			continue
		}
		p, err := f.area(ctx, area.offset)
		if err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrProtocol) {
			return fru, err
		}
		if err == nil {
			err = area.parse(p)
		}
		if err != nil {
			fru.Problems = append(fru.Problems, fmt.Sprintf("%s area: %v", area.name, err))
		}
	}
	return fru, nil
}

// area reads an area, whose second byte is its length in eights of bytes.
func (f *fruReader) area(ctx context.Context, offset int) ([]byte, error) {
	head, err := f.read(ctx, offset, fruHeaderSize)
	if err != nil {
		return nil, err
	}
	rest := int(head[1])*8 - len(head)
	if rest <= 0 {
		return head, nil
	}
	p, err := f.read(ctx, offset+len(head), rest)
	return append(head, p...), err
}

// read is Read FRU Data (IPMI v2.0 §34.2), as often as it takes. offset and n
// are multiples of eight.
func (f *fruReader) read(ctx context.Context, offset, n int) ([]byte, error) {
	if offset+n > f.size {
		return nil, fmt.Errorf("%w: the inventory has %d bytes and should have %d", ErrProtocol, f.size, offset+n)
	}
	p := make([]byte, 0, n)
	for len(p) < n {
		count := min(f.piece, n-len(p))
		at := (offset + len(p)) / f.unit
		r, err := f.do.read(ctx, rawRequest{types.CommandReadFRUData, []byte{0, uint8(at), uint8(at >> 8), uint8(count / f.unit)}})
		if errors.Is(err, errTooMuch) && f.piece > fruPieceMin {
			f.piece /= 2
			continue
		}
		if err != nil {
			return nil, err
		}
		part := r.data[min(1, len(r.data)):] // without the count
		part = part[:min(len(part), count)/f.unit*f.unit]
		if len(part) == 0 {
			return nil, fmt.Errorf("%w: nothing at byte %d of the inventory", ErrProtocol, offset+len(p))
		}
		p = append(p, part...)
	}
	return p, nil
}
