package transcript

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"sort"
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

// recordsOf returns when the bytes from an offset up to another one came: the
// last record of the first byte or before it, where there is one, and those
// behind it. Damaged records are passed over.
func recordsOf(index io.ReaderAt, indexSize, from, to int64) (records []record, err error) {
	b := make([]byte, recordSize)
	whole := func(i int) (r record, at int, ok bool) { // the last one of the first i+1; ok is false where there is none
		for ; i >= 0 && err == nil && !ok; i-- {
			if _, err = index.ReadAt(b, int64(i)*recordSize); err == nil {
				r, ok = parseRecord(b)
			}
		}
		return r, i + 1, ok
	}
	behind := sort.Search(int(indexSize/recordSize), func(i int) bool {
		r, _, ok := whole(i)
		return ok && r.offset > from
	})
	_, first, _ := whole(behind - 1)
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, 64*recordSize)
	for begin := int64(first) * recordSize; begin < indexSize; begin += int64(len(buffer)) {
		n, err := index.ReadAt(buffer, begin)
		if err != nil && !cut(err) {
			return nil, err
		}
		for b := buffer[:n]; len(b) >= recordSize; b = b[recordSize:] {
			r, ok := parseRecord(b)
			switch {
			case !ok, len(records) > 0 && r.offset < records[len(records)-1].offset:
			case r.offset >= to:
				return records, nil
			case r.offset <= from:
				records = append(records[:0], r)
			default:
				records = append(records, r)
			}
		}
		if err != nil {
			break
		}
	}
	return records, nil
}
