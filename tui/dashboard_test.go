package tui

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"provisioner/lab"
)

// westLab has machines in every state that the list shows.
func westLab(t testing.TB) (*site, lab.Actor, lab.Actor) {
	s := newSite(t)
	grace, ada := s.user("grace", false), s.user("ada", false)
	s.machine("amd-rome-01", "amd64", poweredOn)
	s.machine("amd-rome-02", "amd64")
	s.machine("ampere-01", "arm64", poweredOn)
	s.machine("ampere-02", "arm64", deadBMC)
	s.machine("thunderx-01", "arm64")
	s.must(s.lab.Reserve(t.Context(), grace, "amd-rome-01", "kernel bisect"))
	s.must(s.lab.Reserve(t.Context(), ada, "ampere-01", "CI"))
	return s, grace, ada
}

func TestDashboardShowsAllMachines(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"dashboard-80x24", 80, 24}, {"dashboard-140x40", 140, 40}, {"dashboard-44x12", 44, 12}} {
		t.Run(size.name, func(t *testing.T) {
			s, grace, _ := westLab(t)
			p := s.sit(grace, size.width, size.height)
			p.awaits("thunderx-01", "enter open")
			p.golden(size.name)
		})
	}
}

func TestDashboardShowsHowFarARunIs(t *testing.T) {
	s, grace := provisionable(t)
	p := s.sit(s.user("ada", false), 140, 40)
	p.awaits("thunderx-01")
	s.must(s.lab.Provision(t.Context(), grace, "amd-rome-01", lab.ProvisionRequest{
		Kernel: "debian-12 kernel", Initrd: "debian-12 initrd", Options: "console=ttyS0,115200", Preseed: "minimal",
	}))
	p.awaits("▶ waiting for the machine")
	p.golden("provisioning-140x40")
	again := s.sit(s.user("ada", false), 140, 40)
	again.awaits("▶ waiting for the machine")
	page := s.sit(grace, 80, 24)
	page.awaits("▶ waiting for the machine")
	page.press(enterKey)
	page.awaits("▶ waiting for the machine", "● live")
	page.golden("running-80x24")
	s.must(s.lab.EndRun(t.Context(), grace, "amd-rome-01"))
	p.awaits("ready", "!waiting")
	page.awaits("✓ done", "ready")
}

func TestNothingOthersHaveWrittenReachesTheTerminalAsControl(t *testing.T) {
	s, grace, _ := westLab(t)
	evil := "\x1b]0;owned\x07\x1b[2J\u202e\u009b5n\r\nreason"
	s.machine("xevil", "amd64", func(b *fakeBMC) { b.dead = errors.New(evil) })
	s.must(s.lab.Reserve(t.Context(), grace, "xevil", ""))
	p := s.sit(grace, 140, 40)
	p.awaits("xevil")
	p.press("G", enterKey)
	p.awaits("]0;owned[2J5n  reason", "lost: ]0;owned")
	p.press("o")
	p.awaits("✗ power on xevil")
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, bad := range []string{"\x1b]", "\u202e", "\u009b", "\x1b[5n"} {
		if strings.Contains(p.raw.String(), bad) {
			t.Errorf("the terminal was sent %q", bad)
		}
	}
}

func TestMachineThatIsRemovedLeavesTheScreen(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.atMachine(grace, small, "thunderx-01")
	s.must(s.lab.RemoveMachine(t.Context(), lab.Local, "thunderx-01"))
	p.awaits("HELD BY", "no machine", "4 in all")
}

func TestNoColorSendsNone(t *testing.T) {
	s, grace, _ := westLab(t)
	for _, env := range [][]string{{"TERM=xterm-256color", "NO_COLOR=1"}, {"TERM=dumb"}, {}} {
		p := s.sitWith(Config{Actor: grace}, 80, 24, env)
		p.awaits("thunderx-01", "› amd-rome-01")
		p.mu.Lock()
		if colour := regexp.MustCompile(`\x1b\[([0-9;]*;)?(3[0-7]|4[0-7]|9[0-7])m`).Find(p.raw.Bytes()); colour != nil {
			t.Errorf("%v: the terminal was sent %q", env, colour)
		}
		p.mu.Unlock()
	}
}

func TestNamesAreOrderedAsPeopleCount(t *testing.T) {
	want := []string{"a", "a-1", "a-02", "a-2", "a-9", "A-10", "a-10b", "a-100", "b", "b2x3", "b2x20"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareNames)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestFilterShowsAsMuchOfItselfAsThereIsRoomFor(t *testing.T) {
	l := newList(func(s string) string { return s }, func(s string) string { return s })
	l.typing = true
	l.filter.Focus()
	l.filter.SetValue(strings.Repeat("0123456789", 4))
	l.filterLine(newTheme(), strings.Repeat("n", 40), 80) // where there is little room
	if line := l.filterLine(newTheme(), "", 80); !strings.Contains(line, "/ "+l.filter.Value()+" ") {
		t.Errorf("%q", line)
	}
	if line := l.filterLine(newTheme(), strings.Repeat("n", 40), 80); !strings.Contains(line, "789 ") || strings.Contains(line, l.filter.Value()) {
		t.Errorf("where there is little room: %q", line)
	}
}
