package tui

import (
	"context"

	"provisioner/lab"
	"provisioner/store"
)

// bootRules are the events, of no machine in particular, that may change what
// one boots.
var bootRules = map[string]bool{
	lab.EventBootloader: true, lab.EventTemplateSet: true, lab.EventTemplateReset: true, lab.EventImageAdded: true,
	lab.EventImageChanged: true, lab.EventImageRemoved: true, lab.EventImageDamaged: true, lab.EventSiteChanged: true,
	lab.EventArchChanged: true, lab.EventNetworkChanged: true,
}

// newNextBootPage says what a machine would boot if it asked now.
func newNextBootPage(a *app, name string) *textPage {
	return &textPage{
		app: a, title: "What would " + name + " boot now?", subject: name, section: nextBootHelp(),
		read: func(ctx context.Context) (content, error) {
			next, err := a.lab.WhatBoots(ctx, a.actor, name)
			return content{text: func(width int) []string { return nextBootText(a.theme, next, width) }}, err
		},
		concerns: func(e store.Event) bool { return e.Machine == name || bootRules[e.Kind] },
	}
}

func nextBootText(t *theme, next lab.NextBoot, width int) []string {
	f := facts{theme: t, width: width, paired: width >= pairedWidth}
	from := t.warn.Render("its disk")
	if next.Netboot {
		from = t.good.Render("the network")
	}
	f.line("Boots", "from "+from)
	f.text("Because", next.Why, 3, t.plain)
	for _, note := range next.Notes {
		f.text("", "! "+note, 4, t.warn)
	}
	if next.Netboot {
		f.short("Kernel", clean(next.Kernel))
		f.short("Initrd", t.orNone(clean(next.Initrd)))
		f.short("Preseed", t.orNone(clean(next.Preseed)))
		f.short("MAC", next.MAC)
		f.text("Options", next.Options, 8, t.plain)
		f.text("Loader", next.Bootloader, 2, t.plain)
		f.text("  or", next.URL, 2, t.plain)
	} else {
		f.short("MAC", next.MAC)
	}
	lines := f.lines
	lines = append(lines, "", t.title.Render("Configuration")+"  "+cut(clean(next.ConfigName), width-15))
	if next.Netboot {
		for _, line := range wrapped("Its addresses are as good as a password until the run ends: keep them to yourself.", width-2, 2) {
			lines = append(lines, "  "+t.dim.Render(line))
		}
	}
	return append(lines, indented(verbatim(t, next.Config, width-2))...)
}
