package tui

import (
	"fmt"
	"testing"
	"time"

	"provisioner/store"
)

// strangers are addresses that belong to no machine.
func (s *site) strangers(found ...store.DiscoveredMAC) {
	s.t.Helper()
	s.must(s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		for i, d := range found {
			d.LastSeenAt, d.TimesSeen = s.now().Add(-time.Duration(i)*time.Minute), 3
			if err := tx.Discovered(s.t.Context(), d); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (s *site) atDiscovered(w window) *seat {
	s.t.Helper()
	s.strangers(
		store.DiscoveredMAC{MAC: "b8:ca:3a:00:00:07", Vendor: "Dell Inc.", Hostname: "web-07.lab.example", ClientArch: 7},
		store.DiscoveredMAC{MAC: "52:54:00:aa:00:01", Vendor: "\x1b[2JQEMU", Hostname: "\u202eevil\x07", ClientArch: 0},
		store.DiscoveredMAC{MAC: "00:0c:29:00:00:09", ClientArch: -1},
	)
	p := s.sit(s.user("root", true), w.width, w.height)
	p.awaits("amd-rome-01")
	p.press("d")
	p.awaits("3 addresses of no machine", "b8:ca:3a:00:00:07")
	return p
}

func TestDiscoveredAddressesAreListed(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, _, _ := westLab(t)
		p := s.atDiscovered(w)
		p.golden("discovered-" + w.name)
		s.strangers(store.DiscoveredMAC{MAC: "52:54:00:aa:00:02", Hostname: "late", ClientArch: 11})
		p.press("r") // or in five seconds
		p.awaits("4 addresses", "52:54:00:aa:00:02", "UEFI arm64", "› b8:ca:3a:00:00:07")
	})
}

func TestMachineIsMadeOfADiscoveredAddress(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, _, _ := westLab(t)
		p := s.atDiscovered(w)
		p.press("n")
		p.awaits("Add a machine by b8:ca:3a:00:00:07", "web-07", "amd64/uefi")
		p.golden("add-machine-" + w.name)
		p.press(enterKey)
		p.awaits("› Machine", "as it asked")
		p.press(enterKey)
		p.awaits("enter: add web-07, amd64/uefi")
		p.press(enterKey)
		p.awaits("✓ web-07 is added. It has no BMC yet", "--bmc ADDRESS --bmc-user USER", "2 addresses of no machine")
		p.golden("added-machine-" + w.name)
		m, err := s.lab.Machine(t.Context(), s.user("root", true), "web-07")
		if err != nil || m.Arch != "amd64" || m.Subarch != "uefi" || len(m.Interfaces) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
		// The other one is a second interface of it.
		p.press("n")
		p.awaits("Add a machine by 52:54:00:aa:00:01", "amd64/bios")
		p.press(enterKey)
		p.awaits("✗ a machine needs a name")
		p.press("WEB-07", enterKey, enterKey)
		p.awaits("enter: give WEB-07 this interface")
		p.press(enterKey)
		p.awaits("✓ WEB-07 has the interface 52:54:00:aa:00:01", "1 address of no machine")
	})
}

func TestRefusedMachineKeepsTheForm(t *testing.T) {
	s, _, _ := westLab(t)
	p := s.atDiscovered(small)
	p.press("n")
	p.awaits("Add a machine by", "web-07")
	for range len("web-07") {
		p.press("\x7f")
	}
	p.press("no such name!", enterKey)
	p.awaits("› Machine")
	p.press(enterKey, enterKey)
	p.awaits(fmt.Sprintf("add machine %q", "no such name!"), "a machine name has up to 63 letters")
}
