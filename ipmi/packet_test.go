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
	for _, suite := range []CipherSuite{2, 3, 7, 8, 11, 12, 16, 17} {
		k := keysForTest()
		k.algorithms, _ = suite.algorithms()
		for size := range 40 {
			plain := make([]byte, size)
			pkt, err := k.seal(types.PayloadTypeSOL, 7, 9, plain)
			if err != nil {
				t.Fatal(err)
			}
			h, payload, err := parseHeader(pkt)
			if err != nil || h.session != 7 || h.seq != 9 || h.payload != types.PayloadTypeSOL {
				t.Fatalf("suite %d: header %+v, %v", suite, h, err)
			}
			if got, err := k.open(pkt, h, payload); err != nil || len(got) != size {
				t.Fatalf("suite %d: %d bytes opened as %d: %v", suite, size, len(got), err)
			}
			for i := rmcpHeaderLen; i < len(pkt); i++ {
				pkt[i] ^= 0x10
				h, payload, err := parseHeader(pkt)
				if err == nil {
					_, err = k.open(pkt, h, payload)
				}
				if !errors.Is(err, errForged) && !errors.Is(err, errMalformed) {
					t.Errorf("suite %d, size %d: byte %d changed: %v", suite, size, i, err)
				}
				pkt[i] ^= 0x10
			}
		}
	}
}

func TestPacketsHaveTheAgreedProtectionOnly(t *testing.T) {
	const authenticated, encrypted = types.PayloadFlagAuthenticated, types.PayloadFlagEncrypted
	supported := []CipherSuite{0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17}
	for _, sent := range supported {
		for _, agreed := range supported {
			from, to := keysForTest(), keysForTest()
			from.algorithms, _ = sent.algorithms()
			to.algorithms, _ = agreed.algorithms()
			pkt, err := from.seal(types.PayloadTypeIPMI, 7, 9, response(1, 2, 3))
			if err != nil {
				t.Fatal(err)
			}
			h, payload, err := parseHeader(pkt)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := to.open(pkt, h, payload)
			same := from.integrity == to.integrity && from.crypt == to.crypt
			if same && (err != nil || string(plain) != string(response(1, 2, 3))) {
				t.Errorf("agreed on %d, sent by %d: % x, %v", agreed, sent, plain, err)
			}
			if !same && !errors.Is(err, errForged) && !errors.Is(err, errMalformed) {
				t.Errorf("agreed on %d, sent by %d: error %v", agreed, sent, err)
			}
			wantFlags := map[bool]uint8{true: 0, false: authenticated}[from.integrity == types.IntegrityAlg_None] |
				map[bool]uint8{true: 0, false: encrypted}[from.crypt == types.CryptAlg_None]
			if h.flags&protected != wantFlags {
				t.Errorf("suite %d has flags %02x", sent, h.flags)
			}
		}
	}
}
