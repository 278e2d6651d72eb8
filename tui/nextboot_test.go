package tui

import (
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

func TestWhatAMachineWouldBoot(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace := provisionable(t)
		p := s.atMachine(grace, w, "amd-rome-01")
		p.press("w")
		p.awaits("What would amd-rome-01 boot now?", "from its disk", "netboot is off", "No kernel was chosen for it yet", "grub.cfg-01-52-54-00-00-00-01")
		p.golden("nextboot-disk-" + w.name)
		s.must(s.lab.Provision(t.Context(), grace, "amd-rome-01", lab.ProvisionRequest{
			Kernel: "debian-12 kernel", Initrd: "debian-12 initrd", Options: "console=ttyS0,115200", Preseed: "minimal",
		}))
		p.awaits("from the network", "debian-12 initrd", "console=ttyS0,115200", "http://10.0.0.1:8080/bootloaders/amd64/uefi/file")
		p.press("G")
		p.awaits("linux", "BOOTIF=01-52-54-00-00-00-01")
		p.press(escapeKey)
		p.awaits("● live")
	})
}

func TestTokenOfARunLeavesTheScreenWithTheMachine(t *testing.T) {
	s, grace := provisionable(t)
	s.must(s.lab.Provision(t.Context(), grace, "amd-rome-01", lab.ProvisionRequest{Kernel: "debian-12 kernel", Preseed: "minimal"}))
	token := ""
	s.must(s.db.Read(t.Context(), func(tx *store.Tx) error {
		m, err := tx.Machine(t.Context(), "amd-rome-01")
		if err != nil {
			return err
		}
		run, err := tx.RunningRun(t.Context(), m.ID)
		token = run.Token[:8] // a line may break behind it
		return err
	}))
	p := s.sit(grace, 120, 40)
	p.awaits("amd-rome-01")
	p.press("w")
	p.awaits(token)
	s.must(s.lab.Release(t.Context(), s.user("root", true), "amd-rome-01"))
	p.awaits("nobody holds it", "!"+token)
	p.golden("nextboot-released-120x40")

	ada := s.sit(s.user("ada", false), 80, 24)
	ada.awaits("amd-rome-01")
	ada.press("w")
	ada.awaits("✗ amd-rome-01: nobody holds it; reserve it first")
}

func TestWhatKeepsAMachineFromTheNetworkIsSaid(t *testing.T) {
	s, grace, _ := westLab(t)
	s.must(s.lab.AddMachine(t.Context(), lab.Local, lab.NewMachine{Name: "bare", Arch: "amd64", Subarch: "uefi"}))
	s.must(s.lab.Reserve(t.Context(), grace, "bare", ""))
	p := s.sit(grace, 80, 24)
	p.awaits("bare")
	p.press("/bare", enterKey, "w")
	p.awaits("it has no MAC address by which it could be known", "provisioner machine add bare --mac ADDRESS")
	p.golden("nextboot-no-mac-80x24")
	p.press(escapeKey)
	p.awaits("1 of 6")
	p.press(escapeKey)
	p.awaits("!1 of 6")
	p.press("g", "w")
	p.awaits("What would amd-rome-01 boot now?", "amd64/uefi has no bootloader", "provisioner bootloader import")
	p.golden("nextboot-no-bootloader-80x24")
}

func TestDashboardLeadsEverywhere(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press("a")
	p.awaits("what would it boot now?", "images to boot", "addresses of no machine ✗")
	p.golden("dashboard-actions-80x24")
	p.press("d")
	p.awaits("\n ✗ only an admin sees them")
	p.press(escapeKey)
	p.awaits("!esc closes")
	p.press("d")
	p.awaits("✗ discovered addresses: only an admin sees them", "!esc closes")
}
