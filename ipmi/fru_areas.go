package ipmi

import (
	"errors"
	"fmt"
	"time"
)

const (
	fruHeaderSize = 8
	fruVersion    = 1
)

// FRUChassis is what a machine is built into.
type FRUChassis struct{ PartNumber, Serial string }

// FRUBoard is a machine's main board. Made is zero where nobody said.
type FRUBoard struct {
	Manufacturer, Name, Serial, PartNumber string
	Made                                   time.Time // UTC, to the minute
}

// FRUProduct is what was sold: its Serial is the one on the machine's label.
type FRUProduct struct{ Manufacturer, Name, PartNumber, Version, Serial, AssetTag string }

// fruAreas are the offsets of the areas in bytes; 0 is an area that is not there.
type fruAreas struct{ chassis, board, product int }

// parseFRUHeader reads the common header (FRU Information Storage Definition
// v1.0 §8), of eight bytes.
func parseFRUHeader(p []byte) (areas fruAreas, problems []string) {
	if p[0]&0x0f != fruVersion {
		return fruAreas{}, []string{fmt.Sprintf("the inventory is blank, or of a version that is not known (%02Xh)", p[0])}
	}
	if sum(p) != 0 {
		problems = []string{"the header's checksum does not agree"}
	}
	return fruAreas{chassis: 8 * int(p[2]), board: 8 * int(p[3]), product: 8 * int(p[4])}, problems
}

// errChecksum is of an area that was read all the same.
var errChecksum = errors.New("its checksum does not agree")

// parse reads a chassis area (§10).
func (c *FRUChassis) parse(p []byte) error {
	const fields = 3
	return parseFRUArea(p, fields, &c.PartNumber, &c.Serial)
}

// parse reads a board area (§11).
func (b *FRUBoard) parse(p []byte) error {
	const fields = 6
	var epoch = time.Date(1996, time.January, 1, 0, 0, 0, 0, time.UTC)
	if len(p) >= fields {
		if minutes := int(p[3]) | int(p[4])<<8 | int(p[5])<<16; minutes != 0 {
			b.Made = epoch.Add(time.Duration(minutes) * time.Minute)
		}
	}
	return parseFRUArea(p, fields, &b.Manufacturer, &b.Name, &b.Serial, &b.PartNumber)
}

// parse reads a product area (§12).
func (i *FRUProduct) parse(p []byte) error {
	const fields = 3
	return parseFRUArea(p, fields, &i.Manufacturer, &i.Name, &i.PartNumber, &i.Version, &i.Serial, &i.AssetTag)
}

// parseFRUArea reads the fields of an area, which begin at an offset. Fields
// that are missing stay empty. A wrong checksum is told after all was read.
func parseFRUArea(p []byte, begin int, fields ...*string) error {
	if len(p) <= begin || p[0]&0x0f != fruVersion {
		return errors.New("it is blank, or of a version that is not known")
	}
	for rest := p[begin : len(p)-1]; len(rest) > 0 && len(fields) > 0 && !fruFieldsEnd(rest); fields = fields[1:] {
		n := min(int(rest[0]&0x3f), len(rest)-1)
		*fields[0] = fruText(rest[0]>>6, rest[1:1+n])
		rest = rest[1+n:]
	}
	if sum(p) != 0 {
		return errChecksum
	}
	return nil
}

// fruFieldsEnd reports whether no field follows: a text of one byte would begin
// with the same C1h (§13), and manufacturers write some, such as a version 2.
func fruFieldsEnd(rest []byte) bool {
	const end = encodedLatin1<<6 | 1
	return rest[0] == end && (len(rest) < 2 || rest[1] <= ' ' || rest[1] > '~')
}

// fruText reads a field (§13). Unicode, which the last encoding would be for
// languages other than English, is not told from it: what BMCs write in the
// language's byte is no guide.
func fruText(encoding uint8, p []byte) string {
	switch encoding {
	case encodedBCDPlus:
		return plain(decodeBCDPlus(p))
	case encodedSixBit:
		return plain(decodeSixBit(p))
	case encodedLatin1:
		return plain(decodeLatin1(p))
	}
	return fmt.Sprintf("%X", p) // raw bytes
}

// sum is zero over anything that ends with its checksum.
func sum(p []byte) (s uint8) {
	for _, b := range p {
		s += b
	}
	return s
}
