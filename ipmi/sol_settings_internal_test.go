package ipmi

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsThatABMCLacksAreForgiven(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answer   func(selector uint8) (uint8, []byte)
		want     SOLSettings
		err      error
		contains string
	}{
		{
			name: "some only, and one cut short",
			answer: func(selector uint8) (uint8, []byte) {
				switch selector {
				case 1:
					return 0, []byte{0x11, 0xff}
				case 2:
					return 0, []byte{0x11, 0xc3, 0, 0} // longer than it should be
				case 3:
					return 0, []byte{0x11, 12}
				case 6:
					return 0, []byte{0x11, 0x17}
				}
				return 0x80, nil
			},
			want: SOLSettings{
				Enabled: true, ForceEncryption: true, ForceAuthentication: true, Privilege: PrivilegeOperator, BitRate: 19200,
				Unknown: []string{
					"accumulate interval and threshold", "retry", "non-volatile bit rate", "payload channel", "payload port",
				},
			},
		},
		{
			name:   "none",
			answer: func(uint8) (uint8, []byte) { return 0xd4, nil },
			err:    ErrRefused, contains: "BMC bmc:623: console settings: refused: the session's privilege level is too low",
		},
		{
			name:   "all cut short",
			answer: func(uint8) (uint8, []byte) { return 0, []byte{0x11} },
			err:    ErrProtocol, contains: "cut short",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, b := scriptedSession()
			defer s.end(ErrClosed)
			b.command = func(_ uint8, data []byte) (uint8, []byte) { return tt.answer(data[1]) }
			c := s.sol.client
			c.current = s
			got, err := c.SOLSettings(t.Context())
			if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.contains) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			c.stopIdle()
		})
	}
}
