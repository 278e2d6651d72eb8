package ipmi_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
)

// payloadType is the type of an RMCP+ datagram, without its flags.
func payloadType(pkt []byte) byte {
	if len(pkt) < 16 {
		return 0xff
	}
	return pkt[5] & 0x3f
}

const (
	openSessionRequest, openSessionResponse = 0x10, 0x11
	rakp1, rakp2, rakp3, rakp4              = 0x12, 0x13, 0x14, 0x15
)

// instead returns what replaces the BMC's messages of one type.
func instead(of byte, change func(pkt []byte) [][]byte) func([]byte) [][]byte {
	return func(pkt []byte) [][]byte {
		if payloadType(pkt) != of {
			return [][]byte{pkt}
		}
		return change(pkt)
	}
}

func one(pkt []byte) [][]byte { return [][]byte{pkt} }

func TestWrongAnswersInSessionSetup(t *testing.T) {
	tests := []struct {
		name     string
		toClient func([]byte) [][]byte
		want     error
		contains string
		took     time.Duration
	}{
		{
			name:     "rubbish only",
			toClient: func(pkt []byte) [][]byte { return one(make([]byte, len(pkt))) },
			want:     ipmi.ErrNoAnswer, contains: "packets that make no sense", took: 5 * time.Second,
		},
		{
			name: "answers to somebody else",
			toClient: instead(openSessionResponse, func(pkt []byte) [][]byte {
				binary.LittleEndian.PutUint32(pkt[20:], 1)
				return one(pkt)
			}),
			want: ipmi.ErrNoAnswer, took: 5 * time.Second,
		},
		{
			name: "other algorithms than proposed",
			toClient: instead(openSessionResponse, func(pkt []byte) [][]byte {
				pkt[16+32] = 0 // no encryption
				return one(pkt)
			}),
			want: ipmi.ErrProtocol, contains: "other algorithms",
		},
		{
			name: "open session response cut short",
			toClient: instead(openSessionResponse, func(pkt []byte) [][]byte {
				pkt[14] = 20
				return one(pkt[:16+20])
			}),
			want: ipmi.ErrProtocol, contains: "open session",
		},
		{
			name: "no cipher suite in common",
			toClient: instead(openSessionResponse, func(pkt []byte) [][]byte {
				pkt[17] = 0x11
				return one(pkt)
			}),
			want: ipmi.ErrRefused, contains: "none of our cipher suites (17 and 3) was accepted; the BMC has 3 and 17; an admin can allow others",
		},
		{
			name: "no session left",
			toClient: instead(openSessionResponse, func(pkt []byte) [][]byte {
				pkt[17] = 0x01
				return one(pkt)
			}),
			want: ipmi.ErrRefused, contains: "insufficient resources to create a session (status 01h",
		},
		{
			name: "RAKP 2 cut short",
			toClient: instead(rakp2, func(pkt []byte) [][]byte {
				pkt[14] = 30
				return one(pkt[:16+30])
			}),
			want: ipmi.ErrProtocol, contains: "RAKP 2",
		},
		{
			name: "RAKP 2 by somebody without the password",
			toClient: instead(rakp2, func(pkt []byte) [][]byte {
				pkt[len(pkt)-1] ^= 1
				return one(pkt)
			}),
			want: ipmi.ErrBadCredentials,
		},
		{
			name: "RAKP 4 with a wrong check value",
			toClient: instead(rakp4, func(pkt []byte) [][]byte {
				pkt[len(pkt)-1] ^= 1
				return one(pkt)
			}),
			want: ipmi.ErrBadCredentials, contains: "K_g",
		},
		{
			name: "RAKP 4 refuses and persists",
			toClient: instead(rakp4, func(pkt []byte) [][]byte {
				pkt[17] = 0x0d
				return one(pkt)
			}),
			want: ipmi.ErrBadCredentials, contains: "unauthorized name (status 0Dh in RAKP 4)",
		},
		{
			name: "no privilege at all",
			toClient: instead(rakp2, func(pkt []byte) [][]byte {
				pkt[17] = 0x0a
				return one(pkt)
			}),
			want: ipmi.ErrRefused, contains: "privilege",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := onWire(t, &machine{})
				w.toClient = tt.toClient
				began := time.Now()
				_, err := c.Power(t.Context())
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.contains) {
					t.Errorf("error %v, want %v containing %q", err, tt.want, tt.contains)
				}
				if took := time.Since(began); tt.took != 0 && took != tt.took || took > 5*time.Second {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// The reference BMC forgets its first random number when RAKP 1 comes twice,
// and then refuses RAKP 3 as it does a wrong password.
func TestDoubledHandshakeMessagesDoNoHarm(t *testing.T) {
	for _, doubled := range []byte{openSessionRequest, rakp1, rakp3} {
		synctest.Test(t, func(t *testing.T) {
			w, c := onWire(t, &machine{})
			times := 0
			w.toBMC = instead(doubled, func(pkt []byte) [][]byte {
				if times++; times > 2 {
					return one(pkt)
				}
				return [][]byte{pkt, append([]byte(nil), pkt...)}
			})
			if _, err := c.Power(t.Context()); err != nil {
				t.Errorf("payload type %02Xh doubled: %v", doubled, err)
			}
		})
	}
}

func TestRubbishInASessionIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		w, c := onWire(t, hw)
		sol := openSOL(t, c)
		w.mu.Lock()
		rng := rand.New(rand.NewPCG(5, 6))
		w.toClient = func(pkt []byte) [][]byte {
			changed := func(change func(p []byte) []byte) []byte { return change(append([]byte(nil), pkt...)) }
			return [][]byte{
				changed(func(p []byte) []byte { p[rng.IntN(len(p)-4)+4] ^= 1 << rng.IntN(8); return p }), // HMAC
				changed(func(p []byte) []byte { p[len(p)-1] ^= 0x80; return p }),
				changed(func(p []byte) []byte { return p[:rng.IntN(len(p))] }),
				changed(func(p []byte) []byte { p[5] &= 0x3f; return p }),              // unprotected
				changed(func(p []byte) []byte { p[5] &^= 0x80; return p }),             // not encrypted
				changed(func(p []byte) []byte { p[6] ^= 1; return p }),                 // another session
				changed(func(p []byte) []byte { p[14], p[15] = 0xff, 0xff; return p }), // length
				changed(func(p []byte) []byte { p[3] = 6; return p }),                  // ASF
				make([]byte, 20), // the datagram that panics the library's client
				pkt, pkt, pkt,
			}
		}
		w.mu.Unlock()
		for range 20 {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := sol.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s := c.Stats()
		if s.Forged < 40 || s.Malformed < 40 || s.Replayed < 40 || s.Unexpected < 20 {
			t.Errorf("too few were dropped: %+v", s)
		}
		if want := strings.Repeat("x", 20); hw.wasTyped() != want {
			t.Errorf("typed %q, want %q", hw.wasTyped(), want)
		}
	})
}

// An attacker who records and replays, or makes things up, changes nothing.
func TestForgedAndReplayedPacketsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		w, c := onWire(t, hw)
		sol := openSOL(t, c)
		var recorded [][]byte
		w.mu.Lock()
		w.toClient = func(pkt []byte) [][]byte {
			recorded = append(recorded, append([]byte(nil), pkt...))
			return one(pkt)
		}
		w.mu.Unlock()

		hw.print([]byte("once"))
		buf := make([]byte, 100)
		n, err := sol.Read(buf)
		if err != nil || string(buf[:n]) != "once" {
			t.Fatalf("read %q, %v", buf[:n], err)
		}
		if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		replay := recorded
		w.mu.Unlock()
		for range 40 { // also beyond the sliding window
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, pkt := range replay {
				w.inject(pkt)
			}
		}
		hw.print([]byte("twice"))
		n, err = sol.Read(buf)
		if err != nil || string(buf[:n]) != "twice" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if s := c.Stats(); s.Replayed < uint64(40*len(replay)) {
			t.Errorf("%d packets were dropped as replayed, want %d", s.Replayed, 40*len(replay))
		}
	})
}

func TestLostHandshakeAnswersAreAskedForAgain(t *testing.T) {
	for _, lost := range []byte{openSessionResponse, rakp2, rakp4} {
		synctest.Test(t, func(t *testing.T) {
			w, c := onWire(t, &machine{})
			times := 0
			w.toClient = instead(lost, func(pkt []byte) [][]byte {
				if times++; times == 1 {
					return nil
				}
				return one(pkt)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := c.Power(ctx); err != nil {
				t.Errorf("payload type %02Xh lost: %v", lost, err)
			}
		})
	}
}
