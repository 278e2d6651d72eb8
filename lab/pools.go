package lab

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"provisioner/store"
)

// groupName is what pools and groups of users may be called.
var groupName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// mayUsePools says why an actor cannot have a machine because of the pools
// that it is in; nil where they can.
func mayUsePools(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine) error {
	if actor.IsAdmin() {
		return nil
	}
	may, err := tx.MayUsePools(ctx, m.ID, actor.User.ID)
	if err != nil || may {
		return err
	}
	pools, err := tx.PoolsOf(ctx, m.ID)
	if err != nil {
		return err
	}
	return fail(Denied, "it is in the pool %s, which is not for you: an admin can add you to a group that may use it", strings.Join(pools, " and in "))
}

// Pools returns all pools by name. Whoever may log in may see them.
func (l *Lab) Pools(ctx context.Context, _ Actor) (pools []store.Pool, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		pools, err = tx.Pools(ctx)
		return err
	})
	return pools, wrap(err, "list pools")
}

// AddPool adds a pool. Only an admin may, as for all changes of pools and groups.
func (l *Lab) AddPool(ctx context.Context, actor Actor, name string) error {
	return l.changeGroups(ctx, actor, "add pool "+name, name, func(tx *store.Tx) error {
		_, err := tx.AddPool(ctx, name)
		return err
	})
}

// ChangePool has change say what a pool is called and described as, which
// machines it has, and which groups may use it. A machine that somebody holds
// who may not use it any more stays theirs until their term is over.
func (l *Lab) ChangePool(ctx context.Context, actor Actor, name string, change func(*store.Pool)) error {
	what := "change pool " + name
	return l.changeGroups(ctx, actor, what, name, func(tx *store.Tx) error {
		before, err := tx.Pool(ctx, name)
		if err != nil {
			return notFound(err, "pool", name)
		}
		after := before
		after.Machines, after.Groups = slices.Clone(before.Machines), slices.Clone(before.Groups)
		change(&after)
		if !groupName.MatchString(after.Name) {
			return errGroupName
		}
		if err := checkReason(after.Description); err != nil {
			return fail(Invalid, "a description is one line of at most %d bytes", maxReason)
		}
		if err := tx.UpdatePool(ctx, after); err != nil {
			return err
		}
		err = members(before.Machines, after.Machines, func(machine string, in bool) error {
			m, err := tx.Machine(ctx, machine)
			if err != nil {
				return notFound(err, "machine", machine)
			}
			return tx.SetPoolMachine(ctx, before.ID, m.ID, in)
		})
		if err != nil {
			return err
		}
		return members(before.Groups, after.Groups, func(group string, in bool) error {
			g, err := tx.Group(ctx, group)
			if err != nil {
				return notFound(err, "group", group)
			}
			return tx.SetPoolGroup(ctx, before.ID, g.ID, in)
		})
	})
}

// RemovePool removes a pool. Its machines are then for all, unless they are in
// another one.
func (l *Lab) RemovePool(ctx context.Context, actor Actor, name string) error {
	return l.changeGroups(ctx, actor, "remove pool "+name, name, func(tx *store.Tx) error {
		p, err := tx.Pool(ctx, name)
		if err != nil {
			return notFound(err, "pool", name)
		}
		return tx.DeletePool(ctx, p.ID)
	})
}

// Groups returns all groups of users by name. Whoever may log in may see them.
func (l *Lab) Groups(ctx context.Context, _ Actor) (groups []store.Group, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		groups, err = tx.Groups(ctx)
		return err
	})
	return groups, wrap(err, "list groups")
}

// AddGroup adds a group of users.
func (l *Lab) AddGroup(ctx context.Context, actor Actor, name string) error {
	return l.changeGroups(ctx, actor, "add group "+name, name, func(tx *store.Tx) error {
		_, err := tx.AddGroup(ctx, name)
		return err
	})
}

// ChangeGroup has change say what a group is called, and who is in it.
func (l *Lab) ChangeGroup(ctx context.Context, actor Actor, name string, change func(*store.Group)) error {
	return l.changeGroups(ctx, actor, "change group "+name, name, func(tx *store.Tx) error {
		before, err := tx.Group(ctx, name)
		if err != nil {
			return notFound(err, "group", name)
		}
		after := before
		after.Members = slices.Clone(before.Members)
		change(&after)
		if !groupName.MatchString(after.Name) {
			return errGroupName
		}
		if err := tx.UpdateGroup(ctx, after); err != nil {
			return err
		}
		return members(before.Members, after.Members, func(user string, in bool) error {
			u, err := tx.User(ctx, user)
			if err != nil {
				return notFound(err, "user", user)
			}
			return tx.SetGroupMember(ctx, before.ID, u.ID, in)
		})
	})
}

// RemoveGroup removes a group of users.
func (l *Lab) RemoveGroup(ctx context.Context, actor Actor, name string) error {
	return l.changeGroups(ctx, actor, "remove group "+name, name, func(tx *store.Tx) error {
		g, err := tx.Group(ctx, name)
		if err != nil {
			return notFound(err, "group", name)
		}
		return tx.DeleteGroup(ctx, g.ID)
	})
}

var errGroupName = fail(Invalid, "the name of a pool or a group has up to 63 letters, digits, `-`, `_` and `.`")

// changeGroups checks and keeps a change of pools or groups.
func (l *Lab) changeGroups(ctx context.Context, actor Actor, what, name string, change func(*store.Tx) error) error {
	switch {
	case !actor.IsAdmin():
		return fail(Denied, "%s: only an admin may", what)
	case !groupName.MatchString(name):
		return wrap(errGroupName, "%s", what)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventPoolChanged, Detail: what})
	})
	return wrap(err, "%s", what)
}

// members calls set for who has come and who has gone, without regard to case.
func members(before, after []string, set func(name string, in bool) error) error {
	has := func(names []string, name string) bool {
		return slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(other, name) })
	}
	for _, name := range before {
		if !has(after, name) {
			if err := set(name, false); err != nil {
				return err
			}
		}
	}
	for _, name := range after {
		if !has(before, name) {
			if err := set(name, true); err != nil {
				return err
			}
		}
	}
	return nil
}
