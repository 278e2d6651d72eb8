package ipmi_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

func TestListsOfCipherSuites(t *testing.T) {
	for _, tt := range []struct {
		text     string
		want     []ipmi.CipherSuite
		contains string
	}{
		{text: ""},
		{text: "17", want: []ipmi.CipherSuite{17}},
		{text: "17,3, 0", want: []ipmi.CipherSuite{17, 3, 0}},
		{text: "3 17", want: []ipmi.CipherSuite{3, 17}},
		{text: "seventeen", contains: `"seventeen" is no number of a cipher suite`},
		{text: "-3", contains: "no number"},
		{text: "300", contains: "no number"},
		{text: "20", contains: "no cipher suite 20"},
		{text: "17,4", contains: "xRC4"},
		{text: "3,17,3", contains: "twice"},
	} {
		got, err := ipmi.ParseCipherSuites(tt.text)
		if tt.contains != "" {
			if err == nil || !strings.Contains(err.Error(), tt.contains) {
				t.Errorf("%q: error %v, want it to contain %q", tt.text, err, tt.contains)
			}
			continue
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
	for suite, want := range map[ipmi.CipherSuite]string{
		0: "none, none, none", 8: "HMAC-MD5, HMAC-MD5-128, AES-CBC-128", 12: "HMAC-MD5, MD5-128, AES-CBC-128",
		17: "HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128", 18: "unsupported",
	} {
		if got := suite.Describe(); got != want {
			t.Errorf("suite %v is %q, want %q", suite, got, want)
		}
	}
}

func TestKeysAsPeopleWriteThem(t *testing.T) {
	for _, tt := range []struct {
		text     string
		want     string
		contains string
	}{
		{text: "", want: ""},
		{text: "the key of the BMC", want: "the key of the BMC"},
		{text: "0x00ffA5", want: "\x00\xff\xa5"},
		{text: "0X41", want: "A"},
		{text: "0", want: "0"},
		{text: "0x", want: ""},
		{text: "0x" + strings.Repeat("00", 20), want: ""}, // IPMI v2.0 §22.25: none
		{text: "0x" + strings.Repeat("ab", 20), want: strings.Repeat("\xab", 20)},
		{text: "0x" + strings.Repeat("ab", 21), contains: "21 bytes, IPMI allows 20"},
		{text: "this key has 21 bytes", contains: "21 bytes, IPMI allows 20"},
		{text: "0x123", contains: "hexadecimal"},
		{text: "0xsecret", contains: "hexadecimal"},
	} {
		got, err := ipmi.ParseKG(tt.text)
		if string(got) != tt.want || (err != nil) != (tt.contains != "") {
			t.Errorf("%q: %x, %v", tt.text, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), tt.contains) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%q: error %q, want it to contain %q", tt.text, err, tt.contains)
		}
	}
}

// Each suite that the reference server has, with and without a key of the
// BMC's own, for commands and for the console.
func TestAllowedCipherSuitesWork(t *testing.T) {
	kg := []byte("the key of the BMC")
	for _, suite := range []ipmi.CipherSuite{0, 1, 2, 3, 15, 16, 17} {
		for _, withKG := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				hw := &machine{}
				opts := []sim.Option{sim.WithCipherSuites(suite)}
				cfg := ipmi.Config{CipherSuites: []ipmi.CipherSuite{suite}}
				if withKG {
					opts, cfg.KG = append(opts, sim.WithKG(kg)), kg
				}
				w := newWire()
				w.loss, w.double, w.late = 0.05, 0.05, 0.05
				start(t, sim.New(user, password, hw, opts...), w.bmc)
				cfg.Addr, cfg.Dial = bmcName.String(), w.Dial
				c := connect(t, cfg)
				if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
					t.Fatalf("suite %d, K_g %v: %v", suite, withKG, err)
				}
				sol := openSOL(t, c)
				printed, typed := text(4<<10), text(1<<10)
				hw.print(printed)
				got := make([]byte, len(printed))
				if _, err := io.ReadFull(sol, got); err != nil || !bytes.Equal(got, printed) {
					t.Errorf("suite %d: the console printed something else: %v", suite, err)
				}
				if _, err := sol.Write(typed); err != nil || hw.wasTyped() != string(typed) {
					t.Errorf("suite %d: the machine was typed something else: %v", suite, err)
				}
			})
		}
	}
}

func TestCipherSuitesThatWereNotAllowedAreRefused(t *testing.T) {
	for _, tt := range []struct {
		bmc, allowed []ipmi.CipherSuite
		want         string
	}{
		{[]ipmi.CipherSuite{0, 1, 2}, nil, "(17 and 3) was accepted; the BMC has 0, 1 and 2; an admin can allow others"},
		// It takes the BMC two answers to list these.
		{
			[]ipmi.CipherSuite{0, 1, 2, 3, 15, 16, 17}, []ipmi.CipherSuite{8},
			"(8) was accepted; the BMC has 0, 1, 2, 3, 15, 16 and 17; an admin can allow others",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			hw := &machine{}
			w := newWire()
			start(t, sim.New(user, password, hw, sim.WithCipherSuites(tt.bmc...)), w.bmc)
			c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial, CipherSuites: tt.allowed})
			err := c.SetPower(t.Context(), ipmi.PowerUp)
			if !errors.Is(err, ipmi.ErrRefused) || !strings.Contains(err.Error(), "none of our cipher suites "+tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if did := hw.did(); len(did) > 0 {
				t.Errorf("the machine saw %v", did)
			}
		})
	}
}

// A BMC that tells nothing of its suites delays the refusal, but not for long.
func TestRefusalOfCipherSuitesDoesNotWaitForTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{}, sim.WithCipherSuites(0))
		w.toClient = instead(0x00, func([]byte) [][]byte { return nil })
		_, err := c.Power(t.Context())
		if !errors.Is(err, ipmi.ErrRefused) || !strings.Contains(err.Error(), "does not say which it has") {
			t.Errorf("error %v", err)
		}
	})
}

func TestPreferredCipherSuiteComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		start(t, sim.New(user, password, &machine{}, sim.WithCipherSuites(2, 3)), w.bmc)
		var asked []byte
		w.toBMC = instead(openSessionRequest, func(pkt []byte) [][]byte {
			asked = append(asked, pkt[16+28]) // the confidentiality algorithm
			return one(pkt)
		})
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial, CipherSuites: []ipmi.CipherSuite{16, 2, 17}})
		for range 2 {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute) // the session is given back
		}
		// 16 was refused, 2 taken and remembered: none of them encrypts.
		if want := []byte{0, 0, 0}; !bytes.Equal(asked, want) {
			t.Errorf("asked for confidentiality algorithms % x, want % x", asked, want)
		}
	})
}
