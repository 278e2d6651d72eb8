package ipmi

import (
	"strings"
	"unicode"
	"unicode/utf16"
)

// How the characters of a name are encoded: bits 7:6 of its type/length byte
// (IPMI v2.0 §43.15; Platform Management FRU Information Storage Definition
// v1.0 §13). The first differs: Unicode in a sensor's record, raw bytes in a FRU.
const (
	encodedUnicode = iota
	encodedBCDPlus
	encodedSixBit
	encodedLatin1
)

// decodeSixBit reads 6-bit ASCII: four characters in three bytes, the first in
// the lowest bits.
func decodeSixBit(p []byte) string {
	var text strings.Builder
	for i := range len(p) * 8 / 6 {
		at, shift := i*6/8, i*6%8
		c := uint16(p[at])
		if at+1 < len(p) {
			c |= uint16(p[at+1]) << 8
		}
		text.WriteByte(' ' + byte(c>>shift)&0x3f)
	}
	return text.String()
}

// decodeBCDPlus reads two characters from each byte, the first from the high bits.
func decodeBCDPlus(p []byte) string {
	const digits = "0123456789 -.:,_"
	text := make([]byte, 0, 2*len(p))
	for _, b := range p {
		text = append(text, digits[b>>4], digits[b&0x0f])
	}
	return string(text)
}

func decodeUTF16(p []byte) string {
	units := make([]uint16, len(p)/2)
	for i := range units {
		units[i] = uint16(p[2*i]) | uint16(p[2*i+1])<<8
	}
	return string(utf16.Decode(units))
}

func decodeLatin1(p []byte) string {
	runes := make([]rune, len(p))
	for i, b := range p {
		runes[i] = rune(b)
	}
	return string(runes)
}

// plain makes a text of a BMC's fit to be shown: without the padding that many
// have, and with U+FFFD for what a terminal would not print but obey.
func plain(s string) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s))
}
