package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// fruArea makes an area of its first bytes, which have no length yet, and fields.
func fruArea(begin []byte, fields ...string) []byte {
	p := append([]byte{}, begin...)
	for _, f := range fields {
		p = append(append(p, encodedLatin1<<6|uint8(len(f))), f...)
	}
	p = append(p, 0xc1)
	for len(p)%8 != 7 {
		p = append(p, 0)
	}
	p[1] = uint8(len(p)/8 + 1)
	return append(p, -sum(p))
}

// inventoryForTest has all areas that are read.
func inventoryForTest() []byte {
	chassis := fruArea([]byte{1, 0, 0x17}, "CH-1", "chassis serial")
	board := fruArea([]byte{1, 0, 25, 0x90, 0x05, 0x00}, "Maker", "Board", "B0", "BP")
	product := fruArea([]byte{1, 0, 25}, "Seller", "R640", "PN", "01", "SVCTAG7", "asset 12")
	head := []byte{1, 0, 1, uint8(1 + len(chassis)/8), uint8(1 + (len(chassis)+len(board))/8), 0, 0, 0}
	head[7] = -sum(head)
	return append(append(append(head, chassis...), board...), product...)
}

// fruDouble is FRU device 0 of a BMC with habits.
type fruDouble struct {
	data  []byte
	words bool
	most  int // bytes at once; 0: all
	lost  int // reading from this byte on is refused; 0: nowhere
	asked int
}

func (d *fruDouble) do(_ context.Context, req rawRequest) (reply, error) {
	d.asked++
	unit := 1
	if d.words {
		unit = 2
	}
	offset, count := int(binary.LittleEndian.Uint16(req.data[1:]))*unit, int(req.data[3])*unit
	switch {
	case d.most > 0 && count > d.most:
		return reply{code: uint8(types.CodeCannotReturnRequestedDataBytes)}, nil
	case d.lost > 0 && offset >= d.lost || offset+count > len(d.data):
		return reply{code: uint8(types.CodeRequestedDataNotPresent)}, nil
	}
	return reply{data: append([]byte{uint8(count / unit)}, d.data[offset:offset+count]...)}, nil
}

func (d *fruDouble) read(t *testing.T) (FRU, error) {
	t.Helper()
	r := fruReader{do: d.do, size: len(d.data), unit: 1, piece: fruPiece}
	if d.words {
		r.unit = 2
	}
	return r.inventory(t.Context())
}

func TestInventoriesOfAllKindsAreRead(t *testing.T) {
	want := FRU{
		Chassis: FRUChassis{"CH-1", "chassis serial"},
		Board:   FRUBoard{"Maker", "Board", "B0", "BP", time.Date(1996, time.January, 1, 23, 44, 0, 0, time.UTC)},
		Product: FRUProduct{"Seller", "R640", "PN", "01", "SVCTAG7", "asset 12"},
	}
	for _, tt := range []struct {
		name  string
		bmc   fruDouble
		asked int
	}{
		{"by bytes", fruDouble{}, 7},
		{"by words", fruDouble{words: true}, 7},
		{"16 bytes at once", fruDouble{most: 16}, 20},
		{"8 bytes at once, by words", fruDouble{most: 8, words: true}, 30},
	} {
		tt.bmc.data = inventoryForTest()
		got, err := tt.bmc.read(t)
		if err != nil || !reflect.DeepEqual(got, want) || tt.bmc.asked > tt.asked {
			t.Errorf("%s: %+v, %v, %d commands", tt.name, got, err, tt.bmc.asked)
		}
	}
}

func TestWhatIsWrongWithAnInventoryIsSaid(t *testing.T) {
	change := func(at int, to byte) []byte {
		p := inventoryForTest()
		p[at] = to
		return p
	}
	for _, tt := range []struct {
		name     string
		bmc      fruDouble
		problems string
		serial   string // of the product
	}{
		{"blank", fruDouble{data: make([]byte, 256)}, "the inventory is blank", ""},
		{"erased", fruDouble{data: []byte(strings.Repeat("\xff", 256))}, "the inventory is blank", ""},
		{"header", fruDouble{data: change(6, 1)}, "the header's checksum does not agree", "SVCTAG7"},
		{"letter", fruDouble{data: change(13, 'X')}, "chassis area: its checksum does not agree", "SVCTAG7"},
		{"version", fruDouble{data: change(8, 7)}, "chassis area: it is blank, or of a version that is not known", "SVCTAG7"},
		{"length", fruDouble{data: change(9, 200)}, "chassis area: answered wrongly: the inventory has", "SVCTAG7"},
		{"no end", fruDouble{data: change(9, 1)}, "chassis area: its checksum does not agree", "SVCTAG7"},
		{"cannot be read", fruDouble{data: inventoryForTest(), lost: len(inventoryForTest()) - 40}, "product area: refused: there is no such thing", ""},
	} {
		got, err := tt.bmc.read(t)
		if err != nil || !strings.Contains(strings.Join(got.Problems, "\n"), tt.problems) || got.Product.Serial != tt.serial {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	silent := fruReader{do: func(context.Context, rawRequest) (reply, error) { return reply{}, ErrNoAnswer }, size: 256, unit: 1, piece: fruPiece}
	if _, err := silent.inventory(t.Context()); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("a silent BMC: %v", err)
	}
	empty := fruReader{do: func(context.Context, rawRequest) (reply, error) { return reply{}, nil }, size: 256, unit: 1, piece: fruPiece}
	if _, err := empty.inventory(t.Context()); !errors.Is(err, ErrProtocol) {
		t.Errorf("a BMC without a word: %v", err)
	}
	small := fruReader{do: empty.do, size: 4, unit: 1, piece: fruPiece}
	if _, err := small.inventory(t.Context()); !errors.Is(err, ErrProtocol) {
		t.Errorf("an inventory of 4 bytes: %v", err)
	}
}

func TestTextOfOneByteIsNotTheEnd(t *testing.T) {
	p := fruArea([]byte{1, 0, 25}, "Seller", "R640", "", "2", "SVCTAG7")
	var got FRUProduct
	if err := got.parse(p); err != nil || got != (FRUProduct{Manufacturer: "Seller", Name: "R640", Version: "2", Serial: "SVCTAG7"}) {
		t.Errorf("%+v, %v", got, err)
	}
	// The end, with nothing but a checksum that is a letter behind it.
	p = fruArea([]byte{1, 0, 0}, "ABC", "DEF", "GH")
	p[15] = 'K'
	p[2] = -sum(p) // the language, which nobody reads
	got = FRUProduct{}
	if err := got.parse(p); err != nil || got != (FRUProduct{Manufacturer: "ABC", Name: "DEF", PartNumber: "GH"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFieldsOfAllEncodings(t *testing.T) {
	for _, tt := range []struct {
		encoding uint8
		p, want  string
	}{
		{encodedUnicode, "\xde\xad", "DEAD"}, // raw bytes here
		{encodedBCDPlus, "\x12\xb5", "12-5"},
		{encodedSixBit, "\x29\xdc\xa6", "IPMI"},
		{encodedLatin1, "S/N \x00\x00", "S/N"},
		{encodedLatin1, "", ""},
	} {
		if got := fruText(tt.encoding, []byte(tt.p)); got != tt.want {
			t.Errorf("%d %q: %q, want %q", tt.encoding, tt.p, got, tt.want)
		}
	}
}

func FuzzFRU(f *testing.F) {
	f.Add(inventoryForTest(), uint8(0))
	f.Add(inventoryForTest(), uint8(1))
	f.Add(make([]byte, 64), uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, habits uint8) {
		d := fruDouble{data: data, words: habits&1 != 0, most: int(habits >> 2)}
		got, err := d.read(t)
		if err != nil {
			return
		}
		for _, text := range []string{got.Chassis.Serial, got.Board.Name, got.Product.Manufacturer, got.Product.AssetTag} {
			if plain(text) != text || len(text) > 3*0x3f {
				t.Errorf("%+q", text)
			}
		}
		if d.asked > 1000 {
			t.Errorf("%d commands", d.asked)
		}
	})
}
