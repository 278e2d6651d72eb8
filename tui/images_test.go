package tui

import (
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

// stocked is a lab with images of several people.
func stocked(t testing.TB) (*site, lab.Actor) {
	s, grace := provisionable(t)
	s.must(s.lab.AddImage(t.Context(), grace, lab.NewImage{
		Name: "bisect-12", Description: "with the fix of the scheduler", Type: store.ImageKernel, Arch: "amd64", Filename: "bzImage",
	}, strings.NewReader("kernel")))
	yes := true
	s.must(s.lab.ChangeImage(t.Context(), lab.Local, "debian-12 kernel", lab.ImageChange{KnownGood: &yes}))
	return s, grace
}

// atImages sits somebody down before the list of images.
func (s *site) atImages(actor lab.Actor, w window) *seat {
	s.t.Helper()
	p := s.sit(actor, w.width, w.height)
	p.awaits("amd-rome-01")
	p.press("i")
	p.awaits("6 images", "fedora-41 kernel")
	return p
}

func TestImagesAreListed(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace := stocked(t)
		p := s.atImages(grace, w)
		p.golden("images-" + w.name)
		// An upload of somebody else shows up by itself.
		s.image("arch-linux", store.ImageKernel, "amd64")
		p.awaits("7 images", "arch-linux", "› bisect-12")
		p.press("/", "known arm64")
		p.awaits("0 of 7", "Nothing matches")
		p.press(escapeKey)
		p.awaits("arch-linux")
	})
}

func TestImageAndWhoUsesIt(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace := stocked(t)
		p := s.atImages(grace, w)
		image, err := s.lab.Image(t.Context(), grace, "bisect-12")
		s.must(err)
		p.press(enterKey)
		p.awaits("Image bisect-12", image.SHA256, "with the fix", "nobody")
		s.must(s.lab.Provision(t.Context(), grace, "amd-rome-01", lab.ProvisionRequest{Kernel: "bisect-12"}))
		p.awaits("Now on    amd-rome-01")
		p.golden("image-" + w.name)
		p.press("d")
		p.awaits("✗ bisect-12 stays: it is being installed on amd-rome-01")
		s.must(s.lab.EndRun(t.Context(), grace, "amd-rome-01"))
		p.awaits("Last on   amd-rome-01")
	})
}

func TestOwnerChangesAndDeletesAnImage(t *testing.T) {
	s, grace := stocked(t)
	p := s.atImages(grace, small)
	p.press("a")
	p.awaits("mark as known good", "make public", "delete", "how to upload one")
	p.golden("image-actions-80x24")
	p.press("K")
	p.awaits("✓ bisect-12 is known good")
	p.press("P")
	p.awaits("✓ bisect-12 is public: everybody may boot it", "d1b  ✓     ✓")
	p.press("a")
	p.awaits("mark as not known good any more", "make private")
	p.press("K")
	p.awaits("is not known good any more")
	p.press(enterKey)
	p.awaits("Image bisect-12", "✓ public")
	p.press("d")
	p.awaits("Delete the kernel bisect-12? It cannot be had back.")
	p.press("y")
	p.awaits("✓ bisect-12 is deleted", "5 images", "!Image bisect-12")
	p.press("d")
	p.awaits("✗ debian-12 arm kernel: only an admin may", "!Sure?")
}

func TestAdminDeletesAnImageThatAMachineRemembers(t *testing.T) {
	s, grace := stocked(t)
	s.must(s.lab.Provision(t.Context(), grace, "amd-rome-01", lab.ProvisionRequest{Kernel: "bisect-12"}))
	s.must(s.lab.EndRun(t.Context(), grace, "amd-rome-01"))
	p := s.atImages(grace, small)
	p.press("d")
	p.awaits("✗ bisect-12 stays: it was last installed on amd-rome-01")
	admin := s.atImages(s.user("root", true), small)
	admin.press("/", "bisect", enterKey, "d")
	admin.awaits("have machines forget it?", "Now it was last installed on amd-rome-01.")
	admin.press("y")
	admin.awaits("✓ bisect-12 is deleted")
	p.awaits("5 images")
}

func TestUploadIsALineToCopy(t *testing.T) {
	s, grace := stocked(t)
	p := s.sitAt(grace, small, "10.0.0.1:2222")
	p.awaits("amd-rome-01")
	p.press("i")
	p.awaits("6 images")
	p.press("u")
	p.awaits("scp -P 2222 FILE grace@10.0.0.1:images/kernel/amd64/", "ssh -p 2222 grace@10.0.0.1 image set", "!bootloader")
	p.golden("upload-80x24")
	for address, line := range map[string]string{
		"10.0.0.1:22":       "scp FILE root@10.0.0.1:images/bootloader/amd64/uefi/",
		"[2001:db8::1]:222": "scp -P 222 FILE 'root@[2001:db8::1]:images/initrd/amd64/'",
		"":                  "scp FILE root@SERVER:images/kernel/amd64/",
	} {
		admin := s.sitAt(s.user("root", true), window{"", 100, 30}, address)
		admin.awaits("amd-rome-01")
		admin.press("i", "u")
		admin.awaits(line)
	}
}
