package tui

import (
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
