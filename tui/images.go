package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// imageChanges are the events that change what there is to boot.
var imageChanges = map[string]bool{
	lab.EventImageAdded: true, lab.EventImageChanged: true, lab.EventImageRemoved: true, lab.EventImageDamaged: true,
	lab.EventBootloader: true,
}

// newImagesPage lists the images that the person may boot machines with.
func newImagesPage(a *app) *listPage[store.Image] {
	p := &listPage[store.Image]{
		app: a, section: imagesHelp(), one: "image", many: "images", empty: "There are no images yet that you may boot. u says how to upload one.",
		read: func(ctx context.Context) ([]store.Image, error) {
			images, err := a.lab.Images(ctx, a.actor)
			slices.SortFunc(images, func(i, j store.Image) int { return compareNames(i.Name, j.Name) })
			return images, err
		},
		concerns: func(e store.Event) bool { return imageChanges[e.Kind] },
	}
	p.list = newList(func(i store.Image) string { return i.Name }, func(i store.Image) string {
		words := append(ownedWords(i.KnownGood, i.Public), i.Name, string(i.Type), i.Arch, i.SHA256, i.Owner, i.Filename)
		return strings.ToLower(strings.Join(words, " "))
	})
	p.heading = imageColumns
	p.cells = func(i store.Image, selected bool) []string {
		cells := []string{
			clean(i.Name), string(i.Type), i.Arch, bytesText(i.Size), i.SHA256[:min(len(i.SHA256), 8)], mark(i.KnownGood), mark(i.Public),
			clean(i.Owner), a.date(i.UploadedAt),
		}
		if !selected {
			cells[4], cells[5] = a.theme.dim.Render(cells[4]), a.theme.good.Render(cells[5])
			cells[7] = a.ownerText(i.UserID, cells[7])
		}
		return cells
	}
	p.open = func(i store.Image) tea.Cmd { return p.push(newImagePage(a, i.Name)) }
	p.actions = func(i store.Image, ok bool) []menuItem {
		items := imageActions(a, p, i, ok)
		return append(items, menuItem{key: uploadKey, do: func() tea.Cmd { return p.push(newUploadPage(a)) }})
	}
	return p
}

func imageColumns(width int) (columns, []string) {
	const name = 0
	c := columns{name, 10, 5, 8, 8, 4, 6, 10, len(time.DateOnly)}
	if width < 100 {
		c[7], c[8] = 0, 0
	}
	if width < 70 {
		c[4], c[5], c[6] = 0, 0, 0
	}
	c[name] = min(c.rest(width), 60)
	return c, []string{"NAME", "TYPE", "ARCH", "SIZE", "SHA-256", "GOOD", "PUBLIC", "OWNER", "UPLOADED"}
}

// bytesText is a size, roughly.
func bytesText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e5:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

// imageActions is what can be done with an image; s is told how it went.
func imageActions(a *app, s screen, i store.Image, selected bool) []menuItem {
	o := owned{kind: string(i.Type), name: i.Name, good: i.KnownGood, public: i.Public, may: a.actor.MayChangeImage(i)}
	if !selected {
		o.may = errors.New("no image is selected")
	}
	o.change = func(ctx context.Context, good, public *bool) error {
		return a.lab.ChangeImage(ctx, a.actor, i.Name, lab.ImageChange{KnownGood: good, Public: public})
	}
	o.use = func(ctx context.Context) (use, error) {
		image, err := a.lab.Image(ctx, a.actor, i.Name)
		return use{
			says: image.UsedBy(), now: len(image.Use.Running)+len(image.Use.Subarchs) > 0, once: len(image.Use.Machines) > 0,
		}, err
	}
	o.remove = func(ctx context.Context, forget bool) error { return a.lab.RemoveImage(ctx, a.actor, i.Name, forget) }
	return o.actions(a, s)
}
