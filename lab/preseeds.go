package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

// MaxPreseed is the largest template that is kept, in bytes.
const MaxPreseed = 2 << 20

// NewPreseed describes a preseed to be added.
type NewPreseed struct {
	Name        string
	Type        string // one of [boot.PreseedTypes]
	Description string // at most 1024 bytes
	Content     string // a Jinja2 template of at most [MaxPreseed] bytes
	KnownGood   bool
	Public      bool // anybody may install with it
}

// check refuses what cannot become a preseed, whatever is in the store. It
// waits until the template is read; one with an error of syntax is refused.
func (l *Lab) checkPreseed(p NewPreseed) error {
	switch {
	case !objectName.MatchString(p.Name):
		return fail(Invalid, "the name %q is not possible: it has 2 to 128 letters, digits, spaces and `._+-`", p.Name)
	case !slices.Contains(boot.PreseedTypes, boot.PreseedType(p.Type)):
		return fail(Invalid, "type %q is none of %s", p.Type, preseedTypes())
	case len(p.Description) > maxDescription:
		return fail(Invalid, "its description has %d bytes, and %d are possible", len(p.Description), maxDescription)
	case len(p.Content) > MaxPreseed:
		return fail(Invalid, "it has %d bytes, and %d are possible", len(p.Content), MaxPreseed)
	}
	if err := l.preseeds.Check(p.Content); err != nil {
		if errors.As(err, new(*boot.PreseedError)) {
			return fail(Invalid, "%w", err)
		}
		return err
	}
	return nil
}

// preseedTypes names all types for a sentence.
func preseedTypes() string {
	names := make([]string, len(boot.PreseedTypes))
	for i, t := range boot.PreseedTypes {
		names[i] = string(t)
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// AddPreseed keeps a template. One with an error of syntax is refused. Anyone
// with an account may.
func (l *Lab) AddPreseed(ctx context.Context, actor Actor, p NewPreseed) error {
	if err := l.checkPreseed(p); err != nil {
		return wrap(err, "add preseed %s", printableName(p.Name))
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		_, err := tx.AddPreseed(ctx, store.Preseed{
			Name: p.Name, Type: p.Type, Description: p.Description, Content: p.Content, UserID: actor.User.ID,
			KnownGood: p.KnownGood, Public: p.Public, CreatedAt: l.now(), UpdatedAt: l.now(),
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

// printableName is a name that may be refused for what is in it.
func printableName(name string) string {
	if objectName.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%.130q", name)
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

// Preseed is a preseed and what refers to it.
type Preseed struct {
	store.Preseed
	Use store.PreseedUse
}

// UsedBy says what uses the preseed, as the end of a sentence; empty: nothing does.
func (p Preseed) UsedBy() string {
	if p.Use.None() {
		return ""
	}
	return preseedUsers(p.Use)
}

func preseedUsers(use store.PreseedUse) string {
	return users(store.ImageUse{Running: use.Running, Machines: use.Machines})
}

// Preseed returns a preseed that the actor may install with.
func (l *Lab) Preseed(ctx context.Context, actor Actor, name string) (preseed Preseed, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		if preseed.Preseed, err = usablePreseed(ctx, tx, actor, name); err != nil {
			return err
		}
		preseed.Use, err = tx.PreseedUse(ctx, preseed.ID)
		return err
	})
	if err != nil {
		return Preseed{}, wrap(err, "look at preseed %s", printableName(name))
	}
	return preseed, nil
}

// usablePreseed finds a preseed that the actor may install with.
func usablePreseed(ctx context.Context, tx *store.Tx, actor Actor, name string) (store.Preseed, error) {
	preseed, err := tx.PreseedByName(ctx, name)
	if err != nil {
		return preseed, notFound(err, "preseed", name)
	}
	if err := actor.mayUse("preseed", preseed.Name, preseed.UserID, preseed.Public); err != nil {
		return store.Preseed{}, err
	}
	return preseed, nil
}

// PreseedChange says what is to be different about a preseed; nil: nothing.
type PreseedChange struct {
	Name        *string
	Type        *string // while no run installs with it
	Description *string
	Content     *string
	KnownGood   *bool
	Public      *bool

	// Base is the content that Content was made from: where it is another one
	// by now, somebody else has changed it, and the change is a [Conflict].
	Base *string
}

// ChangePreseed changes a preseed. Its owner and admins may. A run that is
// going on gets the changed content when it asks for it.
func (l *Lab) ChangePreseed(ctx context.Context, actor Actor, name string, change PreseedChange) error {
	var before store.Preseed
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		before, _, err = ownedPreseed(ctx, tx, actor, name)
		return err
	})
	if err == nil { // the template is read before the transaction, which must not wait for it
		after := change.of(before)
		err = l.checkPreseed(NewPreseed{Name: after.Name, Type: after.Type, Description: after.Description, Content: after.Content})
	}
	if err != nil {
		return wrap(err, "change preseed %s", printableName(name))
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		before, use, err := ownedPreseed(ctx, tx, actor, name)
		if err != nil {
			return err
		}
		if change.Base != nil && *change.Base != before.Content {
			return fail(Conflict, "somebody else has changed it meanwhile, at %s", before.UpdatedAt.UTC().Format(time.TimeOnly+" MST"))
		}
		after := change.of(before)
		if after == before {
			return nil
		}
		if after.Type != before.Type && len(use.Running) > 0 {
			return fail(Conflict, "its type stays while it is being installed on %s", someOf(use.Running))
		}
		after.UpdatedAt = l.now()
		if err := tx.UpdatePreseed(ctx, after); errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is a preseed %q already", after.Name)
		} else if err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventPreseedChanged, Detail: preseedChanges(before, after)})
	})
	return wrap(err, "change preseed %s", name)
}

// of gives a preseed as it is after the change.
func (c PreseedChange) of(p store.Preseed) store.Preseed {
	set(&p.Name, c.Name)
	set(&p.Type, c.Type)
	set(&p.Description, c.Description)
	set(&p.Content, c.Content)
	set(&p.KnownGood, c.KnownGood)
	set(&p.Public, c.Public)
	return p
}

// preseedChanges is what an event says of a change. The content may hold
// passwords, and is not shown.
func preseedChanges(before, after store.Preseed) string {
	detail := before.Name
	for _, c := range []struct{ what, before, after string }{
		{"name", before.Name, after.Name}, {"type", before.Type, after.Type}, {"description", before.Description, after.Description},
		{"known good", yes(before.KnownGood), yes(after.KnownGood)}, {"public", yes(before.Public), yes(after.Public)},
	} {
		if c.before != c.after {
			detail += fmt.Sprintf(", %s %q", c.what, c.after)
		}
	}
	if before.Content != after.Content {
		detail += fmt.Sprintf(", content of %d bytes", len(after.Content))
	}
	return detail
}

// RemovePreseed removes a preseed. Its owner and admins may. While something
// uses it, it stays, and the error names what does. An admin may have machines
// forget that they were last installed with it (forget); one that a run is
// installing stays even then.
func (l *Lab) RemovePreseed(ctx context.Context, actor Actor, name string, forget bool) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		preseed, use, err := ownedPreseed(ctx, tx, actor, name)
		if err != nil {
			return err
		}
		if forget && actor.IsAdmin() && len(use.Running) == 0 {
			if err := tx.ForgetPreseedChoice(ctx, preseed.ID); err != nil {
				return err
			}
			use.Machines = nil
		}
		if !use.None() {
			return fail(Conflict, "%s", preseedUsers(use))
		}
		if err := tx.DeletePreseed(ctx, preseed.ID); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventPreseedRemoved, Detail: preseed.Name})
	})
	return wrap(err, "remove preseed %s", printableName(name))
}

// MayChangePreseed says why the actor can neither change nor remove a preseed:
// its owner and admins can.
func (a Actor) MayChangePreseed(p store.Preseed) error { return a.mayChangeOf(p.UserID, p.Owner) }

// ownedPreseed finds a preseed that the actor may change, and what uses it.
func ownedPreseed(ctx context.Context, tx *store.Tx, actor Actor, name string) (p store.Preseed, use store.PreseedUse, err error) {
	if p, err = tx.PreseedByName(ctx, name); err != nil {
		return p, use, notFound(err, "preseed", name)
	}
	if err := actor.MayChangePreseed(p); err != nil {
		return p, use, err
	}
	use, err = tx.PreseedUse(ctx, p.ID)
	return p, use, err
}
