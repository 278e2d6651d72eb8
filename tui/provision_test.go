package tui

import (
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

// provisionable is a lab in which machines can be provisioned.
func provisionable(t testing.TB) (*site, lab.Actor) {
	s, grace, _ := westLab(t)
	s.image("shim", store.ImageBootloader, "amd64")
	s.image("debian-12 kernel", store.ImageKernel, "amd64")
	s.image("fedora-41 kernel", store.ImageKernel, "amd64")
	s.image("debian-12 arm kernel", store.ImageKernel, "arm64")
	s.image("debian-12 initrd", store.ImageInitrd, "amd64")
	s.must(s.lab.AddPreseed(t.Context(), lab.Local, lab.NewPreseed{Name: "minimal", Type: "preseed", Content: "x", Public: true}))
	return s, grace
}

func TestProvisioningByKeys(t *testing.T) {
	s, grace := provisionable(t)
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("p")
	p.awaits("Provision amd-rome-01", "fedora-41")
	p.golden("form-80x24")
	p.press("fed")
	p.awaits("!debian-12")
	p.press(enterKey) // kernel
	p.awaits("› Initrd", "debian-12 initrd")
	p.press(downArrow, enterKey, "console=ttyS0", enterKey)
	p.awaits("› Preseed", "minimal")
	p.press(enterKey)
	p.awaits("boot amd-rome-01 from the network now")
	p.golden("form-confirm-80x24")
	p.press(enterKey)
	p.awaits("amd-rome-01 boots from the network", "provisioning", "waiting for the machine", "● live")
	d, err := s.lab.Machine(t.Context(), grace, "amd-rome-01")
	if err != nil || d.Kernel != "fedora-41 kernel" || d.Initrd != "debian-12 initrd" || d.KernelOptions != "console=ttyS0" || d.Preseed != "" {
		t.Errorf("%+v, %v", d, err)
	}
	// The next time, what was chosen is there already.
	p.press("p")
	p.awaits("Provision amd-rome-01", "› fedora-41 kernel", "console=ttyS0")
	p.press(escapeKey)
	p.awaits("● live")
	p.press("e")
	p.awaits("the run is ended", "done")
}

func TestFailedProvisioningKeepsTheForm(t *testing.T) {
	s, grace := provisionable(t)
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("p")
	p.awaits("fedora-41")
	p.press(enterKey, enterKey, "quiet splash", enterKey, enterKey)
	p.awaits("boot amd-rome-01 from")
	s.bmc("amd-rome-01").change(deadBMC)
	p.press(enterKey)
	p.awaits("no answer in 5s", "quiet splash", "boot amd-rome-01 from")
	p.golden("form-failed-80x24")
}

func TestFormWithoutKernelsSaysHowToAddOne(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 140, 40)
	p.awaits("amd-rome-01")
	p.press(enterKey)
	p.awaits("Held by")
	p.press("p")
	p.awaits("no kernel for amd64 yet", "provisioner image add NAME --type kernel --arch amd64 FILE")
	p.press(enterKey)
	p.awaits("there is no kernel to boot")
}
