package server

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/tui"
)

type preseedEditCommand struct {
	Name string `arg:"" complete:"preseeds" help:"Name of the preseed. A new one is kept when you save it first."`
	Type string `default:"preseed" enum:"preseed,kickstart,autoyast,cloud-init,ignition" help:"Of a new one: preseed, kickstart, autoyast, cloud-init or ignition."`
}

// Run edits a preseed on the person's terminal. What somebody else saves
// meanwhile is not overwritten unasked.
func (c preseedEditCommand) Run(in *invocation) error {
	if in.terminal == nil {
		return &lab.Error{Code: lab.Invalid, Message: "an editor needs a terminal: ssh -t HOST preseed edit " + printable(c.Name)}
	}
	cfg := tui.EditConfig{Title: "preseed " + c.Name, Limit: lab.MaxPreseed}
	base := "" // what the text on the screen was made from
	p, err := in.lab.Preseed(in.ctx, in.actor, c.Name)
	isNew := lab.CodeOf(err) == lab.NotFound
	switch {
	case isNew:
		cfg.Title = fmt.Sprintf("new %s %s", c.Type, c.Name)
	case err != nil:
		return err
	case !utf8.ValidString(p.Content):
		return &lab.Error{Code: lab.Invalid, Message: p.Name + " is no UTF-8 text: preseed show and preseed put give and take it as it is"}
	default:
		cfg.Text, base = p.Content, p.Content
		if err := in.actor.MayChangePreseed(p.Preseed); err != nil {
			cfg.ReadOnly = err.Error()
		}
	}
	cfg.Save = func(ctx context.Context, text string, over bool) (line int, err error) {
		if isNew {
			err = in.lab.AddPreseed(ctx, in.actor, lab.NewPreseed{Name: c.Name, Type: c.Type, Content: text})
			if over && lab.CodeOf(err) == lab.Conflict { // somebody else has made one of the name
				err = in.lab.ChangePreseed(ctx, in.actor, c.Name, lab.PreseedChange{Content: &text})
			}
		} else {
			change := lab.PreseedChange{Content: &text, Base: &base}
			if over {
				change.Base = nil
			}
			err = in.lab.ChangePreseed(ctx, in.actor, c.Name, change)
		}
		if err == nil {
			isNew, base = false, text
		}
		return mistakeIn(err), err
	}
	saved, err := tui.Edit(in.ctx, cfg, tui.Terminal{
		In: in.stdin, Out: in.stdout, Width: in.terminal.width, Height: in.terminal.height, Resize: in.terminal.resized,
		Env: []string{"TERM=" + in.terminal.name},
	})
	if err != nil {
		return err
	}
	if saved {
		in.note(c.Name + " is kept")
	} else {
		in.note(c.Name + " is as it was")
	}
	return nil
}

// mistakeIn is the line of a template that an error names; 0: none.
func mistakeIn(err error) int {
	var mistake *boot.PreseedError
	if errors.As(err, &mistake) {
		return mistake.Line
	}
	return 0
}
