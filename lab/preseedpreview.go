package lab

import (
	"context"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

// previewToken stands for the token of a run in the addresses of a preview,
// since a real one would let whoever reads along act as the machine.
const previewToken = "TOKEN-OF-THE-RUN"

// PreseedPreview is what a machine would be given by a preseed.
type PreseedPreview struct {
	Preseed   string
	Type      boot.PreseedType
	Machine   string
	Text      []byte           // its addresses have a placeholder where a run has its token
	Undefined []boot.Undefined // what the template uses and nobody has defined, which renders empty
	Options   string           // kernel options: those that the preseed implies, then the machine's
}

// PreviewPreseed renders a preseed with what a machine has now, and notes
// nothing. It waits until the template is rendered. Whoever may install with
// the preseed may, of a machine that they may operate or that nobody holds.
//
// An error of the template is [Invalid] and wraps a [boot.PreseedError], which
// knows the line; the preview then says what was undefined until there.
func (l *Lab) PreviewPreseed(ctx context.Context, actor Actor, preseed, machine string) (PreseedPreview, error) {
	var preview PreseedPreview
	var vars boot.PreseedVars
	var content string
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		p, err := usablePreseed(ctx, tx, actor, preseed)
		if err != nil {
			return err
		}
		m, err := tx.Machine(ctx, machine)
		if err != nil {
			return notFound(err, "machine", machine)
		}
		if err := actor.MayOperate(m); err != nil && len(m.Holders) > 0 {
			return err
		}
		interfaces, err := tx.Interfaces(ctx, m.ID)
		if err != nil {
			return err
		}
		run := store.Run{Token: previewToken, KernelID: m.KernelID, InitrdID: m.InitrdID, KernelOptions: m.KernelOptions}
		content = p.Content
		preview = PreseedPreview{Preseed: p.Name, Type: boot.PreseedType(p.Type), Machine: m.Name}
		var mac []byte
		if len(interfaces) > 0 {
			mac, _ = boot.ParseMAC(interfaces[0].MAC) // else it is no interface's, and the first name server serves
		}
		preview.Options = strings.TrimSpace(l.impliedOptions(preview.Type, run, interfaces, mac) + " " + m.KernelOptions)
		vars, err = l.preseedVars(ctx, tx, m, run, preview.Type)
		return err
	})
	if err == nil {
		var rendered boot.RenderedPreseed
		rendered, err = l.preseeds.Render(ctx, content, vars)
		preview.Text, preview.Undefined = rendered.Text, rendered.Undefined
		err = templateError(err)
	}
	return preview, wrap(err, "preview preseed %s for %s", printableName(preseed), printableName(machine))
}
