package lab

import (
	"context"
	"errors"
	"strconv"

	"provisioner/store"
)

// BMCInfo is a management controller as admins see it: without its secrets.
type BMCInfo struct {
	store.BMC                    // its Password and KG are empty
	HasKG     bool               // it has a key of its own
	Machines  []store.BMCMachine // that it is of, by slot and name
}

// BMCs returns all management controllers by address. Only an admin may.
func (l *Lab) BMCs(ctx context.Context, actor Actor) (infos []BMCInfo, err error) {
	if !actor.IsAdmin() {
		return nil, fail(Denied, "list BMCs: only an admin may")
	}
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		bmcs, err := tx.BMCs(ctx)
		if err != nil {
			return err
		}
		machines, err := tx.BMCMachines(ctx, 0)
		infos = make([]BMCInfo, len(bmcs))
		byID := make(map[int64]*BMCInfo, len(bmcs))
		for i, b := range bmcs {
			infos[i] = bmcInfo(b, nil)
			byID[b.ID] = &infos[i]
		}
		for _, m := range machines {
			byID[m.BMCID].Machines = append(byID[m.BMCID].Machines, m)
		}
		return err
	})
	return infos, wrap(err, "list BMCs")
}

// BMC returns a management controller. Only an admin may.
func (l *Lab) BMC(ctx context.Context, actor Actor, id int64) (info BMCInfo, err error) {
	if !actor.IsAdmin() {
		return info, fail(Denied, "show BMC %d: only an admin may", id)
	}
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		b, err := theBMC(ctx, tx, id)
		if err != nil {
			return err
		}
		machines, err := tx.BMCMachines(ctx, id)
		info = bmcInfo(b, machines)
		return err
	})
	return info, wrap(err, "show BMC")
}

func bmcInfo(b store.BMC, machines []store.BMCMachine) BMCInfo {
	info := BMCInfo{BMC: b, HasKG: b.KG != "", Machines: machines}
	info.Password, info.KG = "", ""
	return info
}

func theBMC(ctx context.Context, tx *store.Tx, id int64) (store.BMC, error) {
	b, err := tx.BMC(ctx, id)
	if err != nil {
		err = notFound(err, "BMC", strconv.FormatInt(id, 10))
	}
	return b, err
}

// AddBMC adds a management controller that is of no machine yet, such as that
// of a chassis, and returns its id. Only an admin may.
func (l *Lab) AddBMC(ctx context.Context, actor Actor, b store.BMC) (id int64, err error) {
	if !actor.IsAdmin() {
		return 0, fail(Denied, "add BMC %s: only an admin may", b.Address)
	}
	if err := l.checkChassis(&b); err != nil {
		return 0, wrap(err, "add BMC %s", b.Address)
	}
	b.CreatedAt = l.now()
	err = l.write(ctx, func(tx *store.Tx) error {
		if err := isAlone(ctx, tx, b); err != nil {
			return err
		}
		if id, err = tx.AddBMC(ctx, b); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventBMCAdded, Detail: string(b.Type) + " " + b.Address})
	})
	return id, wrap(err, "add BMC %s", b.Address)
}

// BMCChange says how a management controller is reached from now on; what is
// nil stays as it is.
type BMCChange struct {
	Address      *string
	Username     *string
	Password     *string
	CipherSuites *string
	KG           *string
	Privilege    *string
}

// ChangeBMC changes a management controller for all its machines, which are
// connected anew. Only an admin may.
func (l *Lab) ChangeBMC(ctx context.Context, actor Actor, id int64, change BMCChange) error {
	if !actor.IsAdmin() {
		return fail(Denied, "change BMC %d: only an admin may", id)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		before, err := theBMC(ctx, tx, id)
		if err != nil {
			return err
		}
		b := before
		set(&b.Address, change.Address)
		set(&b.Username, change.Username)
		set(&b.Password, change.Password)
		set(&b.CipherSuites, change.CipherSuites)
		set(&b.KG, change.KG)
		set(&b.Privilege, change.Privilege)
		if b == before {
			return nil
		}
		if err := l.checkChassis(&b); err != nil {
			return err
		}
		if b.Address != before.Address {
			if err := isAlone(ctx, tx, b); err != nil {
				return err
			}
		}
		if err := tx.UpdateBMC(ctx, b); err != nil {
			return err
		}
		detail := before.Address
		if b.Address != before.Address {
			detail += ", address " + b.Address
		}
		for _, c := range []struct{ what, before, after string }{
			{"user", before.Username, b.Username}, {"password", before.Password, b.Password}, {"key", before.KG, b.KG},
			{"cipher suites", before.CipherSuites, b.CipherSuites}, {"privilege", before.Privilege, b.Privilege},
		} {
			if c.before != c.after {
				detail += ", another " + c.what
			}
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventBMCChanged, Detail: detail})
	})
	return wrap(err, "change BMC %d", id)
}

// RemoveBMC forgets a management controller that is of no machine; the error
// names those that it is of. Only an admin may.
func (l *Lab) RemoveBMC(ctx context.Context, actor Actor, id int64) error {
	if !actor.IsAdmin() {
		return fail(Denied, "remove BMC %d: only an admin may", id)
	}
	err := l.write(ctx, func(tx *store.Tx) error {
		b, err := theBMC(ctx, tx, id)
		if err != nil {
			return err
		}
		machines, err := tx.BMCMachines(ctx, id)
		if err != nil {
			return err
		}
		if len(machines) > 0 {
			names := make([]string, len(machines))
			for i, m := range machines {
				names[i] = m.Name
			}
			return fail(Conflict, "it is the BMC of %s", someOf(names))
		}
		if err := tx.DeleteBMC(ctx, id); err != nil {
			return err
		}
		return l.record(ctx, tx, actor, store.Event{Kind: EventBMCRemoved, Detail: string(b.Type) + " " + b.Address})
	})
	return wrap(err, "remove BMC %d", id)
}

// checkBMC refuses what no session could be opened with, and returns the rest
// with its type.
func (l *Lab) checkBMC(b store.BMC) (*store.BMC, error) {
	if b.Type == "" {
		b.Type = store.BMCPlain
	}
	if b.Type != store.BMCPlain && b.Type != store.BMCMoonshot {
		return nil, fail(Invalid, "type %q of a BMC is none of plain and moonshot", b.Type)
	}
	bmc, err := l.newBMC(b)
	if err != nil {
		return nil, fail(Invalid, "%w", err)
	}
	_ = bmc.Close(context.Background()) // it has opened nothing
	return &b, nil
}

// checkChassis is checkBMC for one without a slot, whatever its type.
func (l *Lab) checkChassis(b *store.BMC) error {
	tried := *b
	tried.Slot = 0
	if b.Type == store.BMCMoonshot {
		tried.Slot = 1
	}
	checked, err := l.checkBMC(tried)
	if err == nil {
		b.Type, b.Slot = checked.Type, 0
	}
	return err
}

// isAlone refuses a chassis where there is one at its address: its cartridges
// share it.
func isAlone(ctx context.Context, tx *store.Tx, b store.BMC) error {
	if b.Type != store.BMCMoonshot {
		return nil
	}
	other, err := tx.BMCAt(ctx, b.Type, b.Address)
	if errors.Is(err, store.ErrNotFound) || err == nil && other.ID == b.ID {
		return nil
	}
	if err == nil {
		err = fail(Conflict, "BMC %d has that address: its machines share it", other.ID)
	}
	return err
}

// giveBMC gives a machine a management controller: the one that it has is
// changed if it is the machine's own; a chassis is shared by its cartridges.
func (l *Lab) giveBMC(ctx context.Context, tx *store.Tx, m store.Machine, b store.BMC) error {
	b.ID, b.CreatedAt = 0, l.now()
	if b.Type == store.BMCMoonshot {
		chassis, err := tx.BMCAt(ctx, b.Type, b.Address)
		if err == nil {
			b.ID = chassis.ID
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if b.ID == 0 && m.BMCID != 0 {
		users, err := tx.BMCMachines(ctx, m.BMCID)
		if err != nil {
			return err
		}
		if len(users) == 1 {
			b.ID = m.BMCID
		}
	}
	var err error
	if b.ID != 0 {
		err = tx.UpdateBMC(ctx, b)
	} else {
		b.ID, err = tx.AddBMC(ctx, b)
	}
	if err != nil {
		return err
	}
	return l.useBMC(ctx, tx, m, b)
}

// useBMC has a machine be reached by a management controller that is kept; by
// none where its ID is 0. The one that it had goes, unless another machine has
// it, or it is a chassis', which outlives its cartridges.
func (l *Lab) useBMC(ctx context.Context, tx *store.Tx, m store.Machine, b store.BMC) error {
	if err := tx.UseBMC(ctx, m.ID, b.ID, b.Slot); err != nil || m.BMCID == 0 || m.BMCID == b.ID {
		return err
	}
	users, err := tx.BMCMachines(ctx, m.BMCID)
	if err != nil || len(users) > 0 {
		return err
	}
	before, err := tx.BMC(ctx, m.BMCID)
	if err != nil {
		return err
	}
	if isAlone(ctx, tx, before) == nil && before.Type == store.BMCMoonshot {
		return nil
	}
	return tx.DeleteBMC(ctx, before.ID)
}
