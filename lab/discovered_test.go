package lab_test

import (
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

func TestMachineIsSuggestedByWhatWasDiscovered(t *testing.T) {
	flavours := []store.Subarch{{Arch: "amd64", Name: "bios"}, {Arch: "amd64", Name: "uefi"}, {Arch: "arm64", Name: "uefi"}}
	for _, test := range []struct {
		hostname string
		arch     int
		asksAs   string
		want     lab.NewMachine
	}{
		{"web-07.lab.example", 7, "UEFI amd64", lab.NewMachine{Name: "web-07", Arch: "amd64", Subarch: "uefi"}},
		{"", 0, "BIOS amd64", lab.NewMachine{Arch: "amd64", Subarch: "bios"}},
		{"-\x1b[2J", 11, "UEFI arm64", lab.NewMachine{Arch: "arm64", Subarch: "uefi"}},
		{"ppc", 14, "ppc64el", lab.NewMachine{Name: "ppc"}},
		{"riscv", 27, "UEFI riscv64", lab.NewMachine{Name: "riscv"}}, // no such flavour here
		{"silent", -1, "", lab.NewMachine{Name: "silent"}},
	} {
		d := store.DiscoveredMAC{MAC: "52:54:00:99:99:99", Hostname: test.hostname, ClientArch: test.arch}
		got := lab.SuggestMachine(d, flavours)
		if got.Name != test.want.Name || got.Arch != test.want.Arch || got.Subarch != test.want.Subarch || len(got.MACs) != 1 || got.MACs[0] != d.MAC {
			t.Errorf("%q, %d: %+v", test.hostname, test.arch, got)
		}
		if as := lab.AsksAs(d); as != test.asksAs {
			t.Errorf("%d asks as %q, not %q", test.arch, as, test.asksAs)
		}
	}
}
