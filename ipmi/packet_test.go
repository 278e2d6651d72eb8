package ipmi

import (
	"errors"
	"testing"

	"github.com/bougou/go-ipmi/pkg/types"
)

func TestWindowTakesEachNumberOnce(t *testing.T) {
	type step struct {
		seq  uint32
		want bool
	}
	const top = 0xffffffff
	tests := []struct {
		name  string
		steps []step
	}{
		{"in order", []step{{1, true}, {2, true}, {3, true}}},
		{"doubled", []step{{1, true}, {1, false}, {2, true}, {1, false}, {2, false}}},
		{"out of order", []step{{5, true}, {3, true}, {4, true}, {3, false}, {6, true}}},
		{"the number outside of a session", []step{{0, false}, {1, true}, {0, false}}},
		{"a first number that is not 1", []step{{1000, true}, {999, true}, {1000, false}}},
		{"after a burst of loss", []step{{1, true}, {5000, true}, {5001, true}}},
		{"the edge of the window", []step{{100, true}, {69, true}, {69, false}, {68, false}}},
		{"far in the past", []step{{1 << 31, true}, {1, false}}},
		{"across the wrap", []step{{top, true}, {2, true}, {1, true}, {top, false}, {top - 1, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w window
			for i, s := range tt.steps {
				if got := w.accept(s.seq); got != s.want {
					t.Fatalf("step %d: accept(%d) = %v", i+1, s.seq, got)
				}
			}
		})
	}
}

func TestNothingSealedIsChangedUnnoticed(t *testing.T) {
	for _, integrity := range []types.IntegrityAlg{types.IntegrityAlg_HMAC_SHA256_128, types.IntegrityAlg_HMAC_SHA1_96} {
		k := keysForTest()
		k.integrity = integrity
		for size := range 40 {
			plain := make([]byte, size)
			pkt, err := k.seal(types.PayloadTypeSOL, 7, 9, plain)
			if err != nil {
				t.Fatal(err)
			}
			h, payload, err := parseHeader(pkt)
			if err != nil || h.session != 7 || h.seq != 9 || h.payload != types.PayloadTypeSOL {
				t.Fatalf("header %+v, %v", h, err)
			}
			if got, err := k.open(pkt, h, payload); err != nil || len(got) != size {
				t.Fatalf("%d bytes opened as %d: %v", size, len(got), err)
			}
			for i := rmcpHeaderLen; i < len(pkt); i++ {
				pkt[i] ^= 0x10
				h, payload, err := parseHeader(pkt)
				if err == nil {
					_, err = k.open(pkt, h, payload)
				}
				if !errors.Is(err, errForged) && !errors.Is(err, errMalformed) {
					t.Errorf("size %d: byte %d changed: %v", size, i, err)
				}
				pkt[i] ^= 0x10
			}
		}
	}
}
