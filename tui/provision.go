package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// maxOptions is what the lab takes, in bytes.
const maxOptions = 1024

// newProvisionForm asks what a machine is to boot, beginning with what it
// booted last.
func newProvisionForm(a *app, d lab.MachineDetail) *formPage {
	m := d.Machine
	kernel, initrd, preseed := newChoice("Kernel", d.Kernel), newChoice("Initrd", d.Initrd), newChoice("Preseed", d.Preseed)
	kernel.lacks = "there is no kernel to boot"
	kernel.lacking = []string{
		"There is no kernel for " + m.Arch + " yet. Add one from where it is, or on the server:",
		a.scpLine("images/kernel/" + m.Arch + "/"),
		"provisioner image add NAME --type kernel --arch " + m.Arch + " FILE",
	}
	options := newLine("Options", d.KernelOptions, maxOptions)
	options.hint = "added to those that the preseed implies"
	return &formPage{
		app: a, title: "Provision " + m.Name, note: m.Arch + " " + m.Subarch, subject: m.Name,
		fields: []*field{kernel, initrd, options, preseed},
		button: func() string { return "boot " + m.Name + " from the network now" },
		busy:   "Telling the BMC of " + m.Name + " ...",
		load: func(ctx context.Context) (func(), error) {
			images, err := a.lab.Images(ctx, a.actor)
			if err != nil {
				return nil, err
			}
			preseeds, err := a.lab.Preseeds(ctx, a.actor)
			return func() {
				kernel.picker.set(imageChoices(images, store.ImageKernel, m.Arch))
				initrd.picker.set(append([]choice{{label: "none"}}, imageChoices(images, store.ImageInitrd, m.Arch)...))
				preseed.picker.set(append([]choice{{label: "none"}}, preseedChoices(preseeds)...))
			}, err
		},
		changes: func(e store.Event) bool { return imageChanges[e.Kind] || preseedChanges[e.Kind] },
		send: func(ctx context.Context) error {
			return a.lab.Provision(ctx, a.actor, m.Name, lab.ProvisionRequest{
				Kernel: kernel.value(), Initrd: initrd.value(), Options: strings.TrimSpace(options.value()), Preseed: preseed.value(),
			})
		},
		sent: func() tea.Cmd {
			a.say(m.Name + " boots from the network")
			return nil
		},
	}
}

// imageChoices are the images of a type that a machine can boot.
func imageChoices(images []store.Image, kind store.ImageType, arch string) []choice {
	var choices []choice
	for _, i := range images {
		if i.Type == kind && i.Arch == arch {
			choices = append(choices, choice{i.Name, i.Name, sizeNote(i)})
		}
	}
	return choices
}

func preseedChoices(preseeds []store.Preseed) []choice {
	choices := make([]choice, len(preseeds))
	for n, p := range preseeds {
		choices[n] = choice{p.Name, p.Name, p.Type}
	}
	return choices
}

func sizeNote(i store.Image) string {
	note := bytesText(i.Size)
	if i.KnownGood {
		note += ", known good"
	}
	return note
}
