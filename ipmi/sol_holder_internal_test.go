package ipmi

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPoliteActivationTakesNothingFromOthers(t *testing.T) {
	const activate, deactivate, info, session = 0x48, 0x49, 0x4b, 0x3d
	const ours, other = 0x05060708, 0x0a0b0c0d
	for _, tt := range []struct {
		name     string
		holder   uint32 // 0: the BMC does not say
		want     error
		commands []uint8
	}{
		{"another client has it", other, ErrSOLActive, []uint8{activate, info, session}},
		{"nobody knows who has it", 0, ErrSOLActive, []uint8{activate, info}},
		{"it is our own, whose answer was lost", ours, nil, []uint8{activate, info, deactivate, activate}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, b := scriptedSession()
			defer s.end(ErrClosed)
			s.sol.polite = true
			var commands []uint8
			b.command = func(cmd uint8, _ []byte) (uint8, []byte) {
				commands = append(commands, cmd)
				switch {
				case cmd == activate && len(commands) == 1:
					return 0x80, nil
				case cmd == activate:
					return 0, []byte{0, 0, 0, 0, 255, 0, 255, 0, 623 & 0xff, 623 >> 8, 0xff, 0xff}
				case cmd == info && tt.holder == 0:
					return 0xc1, nil
				case cmd == info:
					return 0, append(binary.LittleEndian.AppendUint32(nil, tt.holder), make([]byte, 8)...)
				}
				return 0, nil
			}
			if err := s.sol.activate(t.Context(), time.Second); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if diff := cmp.Diff(tt.commands, commands); diff != "" {
				t.Errorf("commands: %s", diff)
			}
		})
	}
}
