package ipmi_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// Nothing protects session setup but the BMC's own answer: forged ones that
// come before it neither end the attempt nor bring about a pause, nor a weaker
// cipher suite.
func TestForgedRefusalsLoseToAGenuineAnswer(t *testing.T) {
	status := func(code byte) func([]byte) []byte {
		return func(pkt []byte) []byte {
			pkt[17] = code
			return pkt
		}
	}
	short := func(code byte) func([]byte) []byte {
		return func(pkt []byte) []byte {
			pkt[17], pkt[14] = code, 2
			return pkt[:16+2]
		}
	}
	last := func(pkt []byte) []byte {
		pkt[len(pkt)-1] ^= 1
		return pkt
	}
	for _, tt := range []struct {
		name  string
		of    byte
		forge func([]byte) []byte
	}{
		{"no sessions left", openSessionResponse, status(0x01)},
		{"cipher suite refused, without a session", openSessionResponse, short(0x11)},
		{"cut short", openSessionResponse, func(pkt []byte) []byte { pkt[14] = 20; return pkt[:16+20] }},
		{"other algorithms", openSessionResponse, func(pkt []byte) []byte { pkt[16+32] = 0; return pkt }},
		{"unknown user", rakp2, status(0x0d)},
		{"wrong password", rakp2, last},
		{"wrong key", rakp4, last},
		{"wrong password in RAKP 4", rakp4, short(0x0f)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := onWire(t, &machine{})
				opened := w.opened()
				w.mu.Lock()
				w.toClient = instead(tt.of, func(pkt []byte) [][]byte {
					forged := tt.forge(append([]byte(nil), pkt...))
					return [][]byte{make([]byte, 20), forged, forged, pkt}
				})
				w.mu.Unlock()
				for range 5 {
					began := time.Now()
					if _, err := c.Power(t.Context()); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 50*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					pass(time.Minute) // the session is given back
				}
				if n := opened(); n != 5 {
					t.Errorf("%d sessions were asked for, want 5", n)
				}
			})
		})
	}
}
