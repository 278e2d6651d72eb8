package tui

import (
	"slices"
	"testing"

	"charm.land/bubbles/v2/key"
)

func TestActionsOfAMachine(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace, _ := westLab(t)
		b := s.bmc("amd-rome-01")
		p := s.atMachine(grace, w, "amd-rome-01")
		p.press("a")
		p.awaits("Actions on amd-rome-01", "no run is going on", "you hold it already")
		p.golden("actions-" + w.name)
		p.press("e")
		p.awaits("\n ✗ no run is going on", "Actions on")
		p.press("C")
		p.awaits("!Actions on", "Turn amd-rome-01 off at once", "and on again?")
		p.press("y")
		p.awaits("✓ amd-rome-01 is told to turn off and on")
		// By choosing instead of by their keys.
		p.press("a", downArrow, enterKey)
		p.awaits("Ask the system of amd-rome-01 to shut down?")
		p.press("y")
		p.awaits("✓ the system of amd-rome-01 is asked to shut down")
		p.press("N")
		p.awaits("diagnostic interrupt (NMI)?")
		p.press("y")
		p.awaits("✓ amd-rome-01 is sent a diagnostic interrupt")
		if got := b.told(); !slices.Equal(got, []string{"power cycle", "power soft", "power diag"}) {
			t.Errorf("the BMC was told %q", got)
		}
		p.press("a", escapeKey)
		p.awaits("!Actions on", "● live")
	})
}

func TestActionsOnAMachineOfSomebodyElseSayWhyNot(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.atMachine(grace, small, "ampere-01")
	p.press("a")
	p.awaits("Actions on ampere-01", "power off ✗", "✗ it is held by ada; ask them, or an admin")
	p.golden("actions-refused-80x24")
	p.press("b")
	p.awaits("\n ✗ it is held by ada; ask them, or an admin")
	p.press(escapeKey)
	p.awaits("!Actions on")
	p.press("l")
	p.awaits("✗ ampere-01: it is held by ada; ask them, or an admin")
}

func TestBootDeviceIsChosen(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace, _ := westLab(t)
		b := s.bmc("amd-rome-01")
		p := s.atMachine(grace, w, "amd-rome-01")
		p.press("a", "b")
		p.awaits("Start amd-rome-01 from", "the next boot only", "the machine's own, UEFI")
		p.golden("boot-" + w.name)
		p.press("p")
		p.awaits("✓ the next boot of amd-rome-01 is from the network (PXE); nothing was started")
		p.press("b", "e", "f", "f", downArrow, enterKey)
		p.awaits("✓ amd-rome-01 boots from disk from now on; nothing was started")
		p.press("b", "n")
		p.awaits("✓ amd-rome-01 boots as its firmware is set up")
		if got := b.told(); !slices.Equal(got, []string{
			"boot pxe efi=true persistent=false", "boot disk efi=false persistent=true", "boot none efi=true persistent=false",
		}) {
			t.Errorf("the BMC was told %q", got)
		}
	})
}

func TestLightIsTurnedOn(t *testing.T) {
	s, grace, _ := westLab(t)
	b := s.bmc("amd-rome-01")
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("l")
	p.awaits("Light of amd-rome-01")
	p.golden("light-80x24")
	p.press("l")
	p.awaits("✓ the light of amd-rome-01 is on for 15 s")
	p.press("l", "o")
	p.awaits("is on until it is turned off")
	p.press("l", "f")
	p.awaits("✓ the light of amd-rome-01 is off")
	if got := b.told(); len(got) != 3 {
		t.Errorf("the BMC was told %q", got)
	}
}

func TestNoKeyMeansTwoThingsInAMenu(t *testing.T) {
	page := newMachinePage(&app{ctx: t.Context()}, "amd-rome-01")
	defer page.cancel()
	menus := []*menu{{title: "actions", items: page.actions()}}
	for _, open := range []func() any{func() any { return page.chooseBoot() }, func() any { return page.chooseLight() }} {
		open()
		menus = append(menus, page.menu)
	}
	for _, m := range menus {
		seen := make(map[string]bool)
		for _, b := range append(m.bindings(), menuKeys.Up, menuKeys.Down, menuKeys.Choose, menuKeys.Close) {
			for _, name := range b.Keys() {
				if seen[name] {
					t.Errorf("%s: %s means two things", m.title, name)
				}
				seen[name] = true
			}
		}
	}
	// What an action's key is in the menu it is on the page.
	for _, i := range page.actions() {
		if !slices.ContainsFunc(machineHelp(true, true, true).all, func(b key.Binding) bool { return slices.Equal(b.Keys(), i.key.Keys()) }) {
			t.Errorf("%s is not among the keys of the page", i.key.Help().Desc)
		}
	}
}
