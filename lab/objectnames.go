package lab

import (
	"context"
	"strconv"
	"strings"

	"provisioner/store"
)

// byNumber finds what ref stands for, which is a number where it has digits
// only, and else a name.
func byNumber[T any](ref string, named func(name string) (T, error), numbered func(id int64) (T, error)) (T, error) {
	if ref == "" || strings.Trim(ref, "0123456789") != "" {
		return named(ref)
	}
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		var none T
		return none, store.ErrNotFound
	}
	return numbered(id)
}

// MachineName returns the name of the machine that ref stands for: a name, or a
// machine's number. A ref of digits only is a number. Whoever may log in may
// ask.
func (l *Lab) MachineName(ctx context.Context, actor Actor, ref string) (string, error) {
	var m store.Machine
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		m, err = byNumber(ref, func(name string) (store.Machine, error) { return tx.Machine(ctx, name) },
			func(id int64) (store.Machine, error) { return tx.MachineByID(ctx, id) })
		return err
	})
	if err == nil && !actor.sees(m) {
		err = store.ErrNotFound
	}
	if err != nil {
		return "", wrap(notFound(err, "machine", ref), "find machine")
	}
	return m.Name, nil
}

// ImageName returns likewise the name of an image. That of one which the actor
// may not use is no secret: its content is.
func (l *Lab) ImageName(ctx context.Context, _ Actor, ref string) (string, error) {
	var image store.Image
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		image, err = byNumber(ref, func(name string) (store.Image, error) { return tx.ImageByName(ctx, name) },
			func(id int64) (store.Image, error) { return tx.Image(ctx, id) })
		return err
	})
	if err != nil {
		return "", wrap(notFound(err, "image", ref), "find image")
	}
	return image.Name, nil
}

// PreseedName returns likewise the name of a preseed.
func (l *Lab) PreseedName(ctx context.Context, _ Actor, ref string) (string, error) {
	var preseed store.Preseed
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		preseed, err = byNumber(ref, func(name string) (store.Preseed, error) { return tx.PreseedByName(ctx, name) },
			func(id int64) (store.Preseed, error) { return tx.Preseed(ctx, id) })
		return err
	})
	if err != nil {
		return "", wrap(notFound(err, "preseed", ref), "find preseed")
	}
	return preseed.Name, nil
}

// FullPreseeds is [Lab.Preseeds] with the contents.
func (l *Lab) FullPreseeds(ctx context.Context, actor Actor) ([]store.Preseed, error) {
	var usable []store.Preseed
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		preseeds, err := tx.Preseeds(ctx)
		if err != nil {
			return err
		}
		for _, p := range preseeds {
			if actor.mayUse("preseed", p.Name, p.UserID, p.Public) != nil {
				continue
			}
			full, err := tx.Preseed(ctx, p.ID)
			if err != nil {
				return err
			}
			usable = append(usable, full)
		}
		return nil
	})
	return usable, wrap(err, "list preseeds")
}
