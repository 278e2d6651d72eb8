package lab

import (
	"context"
	"errors"
	"slices"

	"provisioner/boot"
	"provisioner/store"
)

// maxPreseed is the largest template that is kept, in bytes.
const maxPreseed = 2 << 20

var preseedTypes = []boot.PreseedType{boot.Preseed, boot.Kickstart, boot.AutoYaST}

// NewPreseed describes a preseed to be added.
type NewPreseed struct {
	Name    string
	Type    string // preseed, kickstart or autoyast
	Content string // a Jinja2 template
	Public  bool   // anybody may install with it
}

// AddPreseed keeps a template. One with an error of syntax is refused. Anyone
// with an account may.
func (l *Lab) AddPreseed(ctx context.Context, actor Actor, p NewPreseed) error {
	switch {
	case !objectName.MatchString(p.Name):
		return fail(Invalid, "add preseed %q: a name has 2 to 128 letters, digits, spaces and `._+-`", p.Name)
	case !slices.Contains(preseedTypes, boot.PreseedType(p.Type)):
		return fail(Invalid, "add preseed %s: type %q is none of preseed, kickstart and autoyast", p.Name, p.Type)
	case len(p.Content) > maxPreseed:
		return fail(Invalid, "add preseed %s: it has %d bytes, and %d are possible", p.Name, len(p.Content), maxPreseed)
	}
	if err := l.preseeds.Check(p.Content); err != nil {
		return fail(Invalid, "add preseed %s: %w", p.Name, err)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		_, err := tx.AddPreseed(ctx, store.Preseed{
			Name: p.Name, Type: p.Type, Content: p.Content, UserID: actor.User.ID, Public: p.Public,
			CreatedAt: l.now(), UpdatedAt: l.now(),
		})
		if errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is a preseed of that name already")
		}
		if err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventPreseedAdded, Detail: p.Name})
	})
	return wrap(err, "add preseed %s", p.Name)
}

// Preseeds returns the preseeds that the actor may install with, without their
// contents.
func (l *Lab) Preseeds(ctx context.Context, actor Actor) ([]store.Preseed, error) {
	var usable []store.Preseed
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		preseeds, err := tx.Preseeds(ctx)
		for _, p := range preseeds {
			if actor.mayUse("preseed", p.Name, p.UserID, p.Public) == nil {
				usable = append(usable, p)
			}
		}
		return err
	})
	return usable, wrap(err, "list preseeds")
}
