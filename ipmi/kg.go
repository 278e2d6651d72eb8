package ipmi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseKG reads a key K_g as people write it: as text, or as 0x and
// hexadecimal digits. It has at most 20 bytes. An empty one, or one of zeros
// only, is none (IPMI v2.0 §22.25): nil. No error shows any of it.
func ParseKG(text string) ([]byte, error) {
	kg := []byte(text)
	if len(text) >= 2 && strings.EqualFold(text[:2], "0x") {
		var err error
		if kg, err = hex.DecodeString(text[2:]); err != nil {
			return nil, errors.New("the key K_g begins with 0x, but pairs of hexadecimal digits do not follow")
		}
	}
	if len(kg) > maxPassword {
		return nil, fmt.Errorf("the key K_g has %d bytes, IPMI allows %d", len(kg), maxPassword)
	}
	if !slices.ContainsFunc(kg, func(b byte) bool { return b != 0 }) {
		return nil, nil
	}
	return kg, nil
}
