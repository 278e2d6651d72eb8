package boot

import (
	"bytes"
	"testing"
)

func TestParseMACTakesEveryCommonSpelling(t *testing.T) {
	for _, s := range []string{
		"52:54:00:ab:cd:ef", "52:54:00:AB:CD:EF", "52-54-00-ab-cd-ef", "5254.00ab.cdef",
		"5254-00ab-cdef", "5254:00ab:cdef", "525400-abcdef", "525400abcdef", "525400ABCDEF",
	} {
		mac, err := ParseMAC(s)
		if err != nil || mac.String() != "52:54:00:ab:cd:ef" {
			t.Errorf("ParseMAC(%q) = %v, %v", s, mac, err)
		}
	}
}

func TestParseMACRefusesWhatIsNoMachine(t *testing.T) {
	for _, s := range []string{
		"", "x", ":::::", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:01", "52:54:00:ab:cd:e", "52:54-00:ab:cd:ef",
		"5:254:00:ab:cd:ef", "52:54:00:ab:cd:eg", " 52:54:00:ab:cd:ef", "52.54.00.ab.cd.ef.", "5254 00ab cdef",
		"01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "52:54:00:ab:cd:ef:52:54",
		"02:00:5e:10:00:00:00:01", "525.400.abc.def", "é2:54:00:ab:cd:e",
	} {
		if mac, err := ParseMAC(s); err == nil {
			t.Errorf("ParseMAC(%q) = %v, want an error", s, mac)
		}
	}
}

func FuzzParseMAC(f *testing.F) {
	for _, s := range []string{"52:54:00:ab:cd:ef", "5254.00ab.cdef", "525400abcdef", "a-b", "------"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mac, err := ParseMAC(s)
		if err != nil {
			return
		}
		again, err := ParseMAC(mac.String())
		if err != nil || !bytes.Equal(mac, again) || len(mac) != 6 {
			t.Fatalf("ParseMAC(%q) = %v, whose own text gives %v, %v", s, mac, again, err)
		}
	})
}
