package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

// Template is a template of bootloader configurations.
type Template struct {
	Kind      string // such as grub-netboot; boot.TemplateKinds lists them
	Content   string
	Own       bool      // the site's own; else the one that comes with the product
	UpdatedAt time.Time // of one of the site's own
}

// Templates returns the templates of all kinds, as they are used. Whoever may
// log in may read them.
func (l *Lab) Templates(ctx context.Context, _ Actor) ([]Template, error) {
	var templates []Template
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		for _, kind := range boot.TemplateKinds() {
			t, err := readTemplate(ctx, tx, kind)
			if err != nil {
				return err
			}
			templates = append(templates, t)
		}
		return nil
	})
	return templates, wrap(err, "list templates")
}

// Template returns the template of a kind, as it is used. Whoever may log in
// may read it.
func (l *Lab) Template(ctx context.Context, _ Actor, kind string) (t Template, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		t, err = readTemplate(ctx, tx, kind)
		return err
	})
	return t, wrap(err, "read template %q", kind)
}

func readTemplate(ctx context.Context, tx *store.Tx, kind string) (Template, error) {
	content, known := boot.BuiltInTemplate(kind)
	if !known {
		return Template{}, missing("kind of template", kind)
	}
	own, err := tx.Template(ctx, kind)
	if errors.Is(err, store.ErrNotFound) {
		return Template{Kind: kind, Content: content}, nil
	}
	return Template{Kind: kind, Content: own.Content, Own: true, UpdatedAt: own.UpdatedAt}, err
}

// SetTemplate has the configurations of a kind written by the site's own
// template from now on. One that is wrong, or does not write a sample, is
// refused; see [boot.ParseTemplate]. Only an admin may.
func (l *Lab) SetTemplate(ctx context.Context, actor Actor, kind, content string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "set template %q: only an admin may", kind)
	}
	if _, err := boot.ParseTemplate(kind, content); err != nil {
		return fail(Invalid, "set template %q: %w", kind, err)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := tx.SetTemplate(ctx, store.Template{Kind: kind, Content: content, UpdatedAt: l.now()}); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventTemplateSet, Detail: fmt.Sprintf("%s, %d bytes", kind, len(content))})
	})
	return wrap(err, "set template %s", kind)
}

// ResetTemplate has the configurations of a kind written as the product does.
// Only an admin may.
func (l *Lab) ResetTemplate(ctx context.Context, actor Actor, kind string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "reset template %q: only an admin may", kind)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := tx.ResetTemplate(ctx, kind); err != nil {
			return notFound(err, "template of this site's own", kind)
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventTemplateReset, Detail: kind})
	})
	return wrap(err, "reset template %q", kind)
}
