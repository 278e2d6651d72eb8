package ipmi

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPoliteActivationTakesNothingFromOthers(t *testing.T) {
	const activate, deactivate, info, session, username = 0x48, 0x49, 0x4b, 0x3d, 0x46
	const ours, former, other = 0x05060708, 0x05060707, 0x0a0b0c0d
	elsewhere := []byte{1, 4, 2, 3, 4, 0x11, 10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0x41, 0x9c} // 10.0.0.5:40001
	here := []byte{1, 4, 2, 3, 4, 0x11, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x41, 0x9c}
	for _, tt := range []struct {
		name     string
		holder   uint32 // 0: the BMC does not say
		whose    []byte // what it says of that session
		want     error
		commands []uint8
	}{
		{"another client has it", other, nil, ErrSOLActive, []uint8{activate, info, session}},
		{"nobody knows who has it", 0, nil, ErrSOLActive, []uint8{activate, info}},
		{"it is our own, whose answer was lost", ours, nil, nil, []uint8{activate, info, deactivate, activate}},
		{"it is the session before, which the BMC has not missed yet", former, here, nil, []uint8{activate, info, session, username, deactivate, activate}},
		{"likewise, of a BMC that says no more", former, nil, nil, []uint8{activate, info, session, deactivate, activate}},
		{"the number of the session before is another client's now", former, elsewhere, ErrSOLActive, []uint8{activate, info, session, username}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, b := scriptedSession()
			defer s.end(ErrClosed)
			s.sol.polite = true
			s.bmcID = former
			s.sol.client.hasConsole(s)
			s.bmcID = ours
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
				case cmd == session && tt.whose == nil:
					return 0xc1, nil
				case cmd == session:
					return 0, tt.whose
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
