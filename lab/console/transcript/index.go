package transcript

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"time"
)

// An index says when what was printed. A record is 16 bytes, big-endian:
//
//	8  time, in milliseconds since 1970-01-01 UTC
//	4  offset in the segment of the first byte that came at that time
//	4  CRC-32 (IEEE) of the 12 bytes before
//
// A record is written before the bytes that it is of, so that no byte is older
// than the record before it. One that is torn or damaged is passed over: its
// bytes then count as older than they are, never as newer.
const recordSize = 16

func appendRecord(b []byte, at, offset int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(offset))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[len(b)-12:]))
}

// record says when a piece of bytes came. The next one's piece ends it.
type record struct {
	at     int64 // of its first byte, in milliseconds since 1970-01-01 UTC
	offset int64 // of its first byte
}

// parseRecord reads the first record of b, which must have one; ok is false
// where it is damaged.
func parseRecord(b []byte) (r record, ok bool) {
	b = b[:recordSize]
	r.at = int64(binary.BigEndian.Uint64(b))
	r.offset = int64(binary.BigEndian.Uint32(b[8:]))
	return r, crc32.ChecksumIEEE(b[:12]) == binary.BigEndian.Uint32(b[12:])
}

// offsetSince returns where in a segment of that size begins what was printed
// at a time or later: behind everything that an index record says, or that has
// no record, of before. whole says that nothing of the segment is older, so
// that the segments before it are to be looked at, too.
func offsetSince(index io.Reader, size int64, since time.Time) (offset int64, whole bool, err error) {
	bound := since.UnixMilli()
	offset = size
	var last int64
	var seen, pending bool // pending: the newest record seen is older than since
	buffer := make([]byte, 256*recordSize)
	for {
		n, err := io.ReadFull(index, buffer)
		for b := buffer[:n]; len(b) >= recordSize; b = b[recordSize:] {
			r, ok := parseRecord(b)
			if !ok || r.offset < last || r.offset > size {
				continue
			}
			last = r.offset
			switch {
			case r.at < bound:
				offset, pending = size, true
			case !seen || pending:
				offset, pending = r.offset, false
			}
			if !seen {
				whole = r.offset == 0
			}
			seen = true
			whole = whole && r.at >= bound
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return offset, whole, nil
		default:
			return 0, false, err
		}
	}
}

// lastRecord finds the newest record of an index that is of bytes which the
// segment has, and where in the index it ends. ok is false where there is none.
func lastRecord(index io.ReaderAt, indexSize, size int64) (r record, end int64, ok bool, err error) {
	b := make([]byte, recordSize)
	for end = indexSize - indexSize%recordSize; end > 0; end -= recordSize {
		if _, err := index.ReadAt(b, end-recordSize); err != nil {
			return r, 0, false, err
		}
		if r, ok = parseRecord(b); ok && r.offset < size {
			return r, end, true, nil
		}
	}
	return record{}, 0, false, nil
}
