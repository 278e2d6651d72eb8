package lab

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"provisioner/store"
)

// archName is a name of an architecture or of one of its flavours: a folder of
// what bootloaders ask for.
var archName = regexp.MustCompile(`^[a-z0-9]([a-z0-9_.-]{0,30}[a-z0-9])?$`)

func checkArchName(name string) error {
	if !archName.MatchString(name) {
		return fail(Invalid, "a name has up to 32 lower-case letters, digits, `_`, `.` and `-`")
	}
	return nil
}

// Architecture is an architecture with its flavours.
type Architecture struct {
	Name     string
	Subarchs []store.Subarch
}

// Architectures returns all architectures by name. Whoever may log in may see them.
func (l *Lab) Architectures(ctx context.Context, _ Actor) (archs []Architecture, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		names, err := tx.Architectures(ctx)
		if err != nil {
			return err
		}
		subarchs, err := tx.Subarchs(ctx)
		archs = make([]Architecture, len(names))
		for i, name := range names {
			archs[i].Name = name
			for _, s := range subarchs {
				if s.Arch == name {
					archs[i].Subarchs = append(archs[i].Subarchs, s)
				}
			}
		}
		return err
	})
	return archs, wrap(err, "list architectures")
}

// AddArchitecture adds an architecture, without flavours. Only an admin may.
func (l *Lab) AddArchitecture(ctx context.Context, actor Actor, name string) error {
	return l.changeArch(ctx, actor, "add architecture "+name, EventArchAdded, name, func(tx *store.Tx) error {
		if err := checkArchName(name); err != nil {
			return err
		}
		err := tx.AddArchitecture(ctx, name)
		if errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is one of that name already")
		}
		return err
	})
}

// RemoveArchitecture forgets an architecture with its flavours, unless a machine
// or an image is of it: the error names them. Only an admin may.
func (l *Lab) RemoveArchitecture(ctx context.Context, actor Actor, name string) error {
	return l.changeArch(ctx, actor, "remove architecture "+name, EventArchRemoved, name, func(tx *store.Tx) error {
		use, err := tx.ArchitectureUse(ctx, name)
		if err != nil {
			return err
		}
		var of []string
		if len(use.Machines) > 0 {
			of = append(of, "machines: "+someOf(use.Machines))
		}
		if len(use.Images) > 0 {
			of = append(of, "images: "+someOf(use.Images))
		}
		if len(of) > 0 {
			return fail(Conflict, "there is something of it: %s", strings.Join(of, "; "))
		}
		err = tx.DeleteArchitecture(ctx, name)
		if errors.Is(err, store.ErrNotFound) {
			return missing("architecture", name)
		}
		return err
	})
}

// NewSubarch describes a flavour of an architecture to be added.
type NewSubarch struct {
	Arch       string
	Name       string
	EFIBoot    bool   // BMCs are asked for a UEFI boot
	Bootloader string // name of an image; empty: none
}

// AddSubarch adds a flavour. Only an admin may.
func (l *Lab) AddSubarch(ctx context.Context, actor Actor, n NewSubarch) error {
	what := n.Arch + "/" + n.Name
	return l.changeArch(ctx, actor, "add "+what, EventArchAdded, what, func(tx *store.Tx) error {
		if err := checkArchName(n.Name); err != nil {
			return err
		}
		loader, err := bootloaderOf(ctx, tx, n.Arch, n.Bootloader)
		if err != nil {
			return err
		}
		err = tx.AddSubarch(ctx, store.Subarch{Arch: n.Arch, Name: n.Name, EFIBoot: n.EFIBoot, BootloaderID: loader})
		switch {
		case errors.Is(err, store.ErrExists):
			return fail(Conflict, "there is one of that name already")
		case errors.Is(err, store.ErrNotFound):
			return missing("architecture", n.Arch)
		}
		return err
	})
}

// SubarchChange says what becomes of a flavour; what is nil stays as it is.
type SubarchChange struct {
	Name       *string
	EFIBoot    *bool
	Bootloader *string // name of an image; empty: none
}

// ChangeSubarch changes a flavour of an architecture, for all its machines.
// Only an admin may.
func (l *Lab) ChangeSubarch(ctx context.Context, actor Actor, arch, name string, change SubarchChange) error {
	what := arch + "/" + name
	return l.changeArch(ctx, actor, "change "+what, EventArchChanged, what, func(tx *store.Tx) error {
		s, err := theSubarch(ctx, tx, arch, name)
		if err != nil {
			return err
		}
		if change.Name != nil {
			if err := checkArchName(*change.Name); err != nil {
				return err
			}
			s.Name = *change.Name
		}
		set(&s.EFIBoot, change.EFIBoot)
		if change.Bootloader != nil {
			if s.BootloaderID, err = bootloaderOf(ctx, tx, s.Arch, *change.Bootloader); err != nil {
				return err
			}
		}
		err = tx.UpdateSubarch(ctx, s)
		if errors.Is(err, store.ErrExists) {
			return fail(Conflict, "there is %s/%s already", s.Arch, s.Name)
		}
		return err
	})
}

// RemoveSubarch forgets a flavour of which no machine is. Only an admin may.
func (l *Lab) RemoveSubarch(ctx context.Context, actor Actor, arch, name string) error {
	what := arch + "/" + name
	return l.changeArch(ctx, actor, "remove "+what, EventArchRemoved, what, func(tx *store.Tx) error {
		s, err := theSubarch(ctx, tx, arch, name)
		if err != nil {
			return err
		}
		use, err := tx.SubarchMachines(ctx, s.ID)
		if err != nil {
			return err
		}
		if len(use) > 0 {
			return fail(Conflict, "there are machines of it: %s", someOf(use))
		}
		return tx.DeleteSubarch(ctx, s.ID)
	})
}

// changeArch does what only admins may do about architectures.
func (l *Lab) changeArch(ctx context.Context, actor Actor, wanted, kind, detail string, change func(*store.Tx) error) error {
	if !actor.IsAdmin() {
		return fail(Denied, "%s: only an admin may", wanted)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: kind, Detail: detail})
	})
	return wrap(err, "%s", wanted)
}

func theSubarch(ctx context.Context, tx *store.Tx, arch, name string) (store.Subarch, error) {
	s, err := tx.Subarch(ctx, arch, name)
	if err != nil {
		err = notFound(err, "subarchitecture", arch+"/"+name)
	}
	return s, err
}

// bootloaderOf finds the bootloader of that name for an architecture; 0: none
// is wanted.
func bootloaderOf(ctx context.Context, tx *store.Tx, arch, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	image, err := tx.ImageByName(ctx, name)
	switch {
	case err != nil:
		return 0, notFound(err, "bootloader", name)
	case image.Type != store.ImageBootloader:
		return 0, fail(Invalid, "%s is a %s, not a bootloader", image.Name, image.Type)
	case !strings.EqualFold(image.Arch, arch):
		return 0, fail(Invalid, "bootloader %s is for %s", image.Name, image.Arch)
	}
	return image.ID, nil
}
