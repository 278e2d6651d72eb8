// Package demo fills a lab with what a newcomer needs to walk through the
// product: simulated machines, something to boot on them, and a colleague who
// holds two of them. It is all that distinguishes `provisioner demo` from
// `provisioner serve`.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"provisioner/lab"
	"provisioner/sim"
	"provisioner/store"
)

// The BMCs' credentials. Nothing outside the loopback interface sees them.
const (
	BMCUsername = "demo"
	BMCPassword = "demo-password"
)

// Colleague is the user who holds two machines.
const Colleague = "grace"

// Dead is the machine, counted from 0, whose BMC does not answer.
const Dead = 7

// preseed is what the demo's installer fetches. It calls home as a real one would.
const preseed = `# A preseed as Debian's installer reads it, for {{ hostname }}.
d-i debian-installer/locale string en_US.UTF-8
d-i netcfg/get_hostname string {{ hostname }}
d-i partman-auto/method string regular
d-i passwd/root-login boolean false
d-i passwd/username string demo
{% for key in ssh_keys %}# may log in: {{ key }}
{% endfor %}d-i pkgsel/include string openssh-server
d-i preseed/late_command string in-target wget -q -O /dev/null {{ phone_home_url }}
`

// Fill adds the simulated machines and everything else of the demo to a lab.
// What is there from an earlier start stays; only the machines' BMCs have new
// addresses.
func Fill(ctx context.Context, l *lab.Lab, machines []sim.LabMachine) error {
	for _, m := range machines {
		err := l.AddMachine(ctx, lab.Local, lab.NewMachine{
			Name: m.Name, Arch: m.Arch, Subarch: "uefi", MACs: []string{m.MAC.String()},
			BMC: &store.BMC{Address: m.BMCAddr, Username: BMCUsername, Password: BMCPassword},
		})
		if err != nil {
			return err
		}
	}
	for _, arch := range []string{sim.AMD64, sim.ARM64} {
		if err := addImages(ctx, l, arch); err != nil {
			return err
		}
	}
	err := l.AddPreseed(ctx, lab.Local, lab.NewPreseed{Name: "debian-12", Type: "preseed", Content: preseed, Public: true})
	if err := unlessThere(err); err != nil {
		return err
	}
	return addColleague(ctx, l, machines)
}

func addImages(ctx context.Context, l *lab.Lab, arch string) error {
	const kilobyte = 1 << 10
	for _, image := range []struct {
		kind     store.ImageType
		name     string
		filename string
		size     int // in bytes, about
	}{
		{store.ImageBootloader, "grub-" + arch, "grubnet.efi", 256 * kilobyte},
		{store.ImageKernel, "debian-12-kernel-" + arch, "linux", 1024 * kilobyte},
		{store.ImageInitrd, "debian-12-initrd-" + arch, "initrd.gz", 2048 * kilobyte},
	} {
		line := fmt.Sprintf("simulated %s for %s\n", image.kind, arch)
		content := bytes.NewReader([]byte(strings.Repeat(line, image.size/len(line))))
		err := l.AddImage(ctx, lab.Local, lab.NewImage{
			Name: image.name, Type: image.kind, Arch: arch, Subarch: "uefi", Filename: image.filename, Public: true,
		}, content)
		if err := unlessThere(err); err != nil {
			return err
		}
	}
	return nil
}

func addColleague(ctx context.Context, l *lab.Lab, machines []sim.LabMachine) error {
	if err := unlessThere(l.AddUser(ctx, lab.Local, Colleague, false, nil)); err != nil {
		return err
	}
	for i, reason := range []string{"kernel bisect", "nightly benchmark"} {
		if i >= len(machines) {
			return nil
		}
		if err := unlessThere(l.Assign(ctx, lab.Local, machines[i].Name, Colleague, reason)); err != nil {
			return err
		}
	}
	return nil
}

// unlessThere drops the error that says that something is there already.
func unlessThere(err error) error {
	if lab.CodeOf(err) == lab.Conflict {
		return nil
	}
	return err
}
