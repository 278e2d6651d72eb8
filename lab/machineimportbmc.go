package lab

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"provisioner/store"
)

// importBMC gives a machine the BMC of its row. What the row does not say is as
// it is of the BMC that the machine has, or of the chassis that it is in.
func (l *Lab) importBMC(ctx context.Context, tx *store.Tx, m store.Machine, row machineRow) (secret []string, err error) {
	if !slices.ContainsFunc(machineFields, func(f string) bool { return strings.HasPrefix(f, "bmc_") && row.optional(f) != nil }) {
		return nil, nil
	}
	if address := row.optional("bmc_address"); address != nil && *address == "" {
		return nil, l.useBMC(ctx, tx, m, store.BMC{})
	}
	b, err := tx.MachineBMC(ctx, m.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	kind := string(b.Type)
	set(&b.Address, row.optional("bmc_address"))
	set(&kind, row.optional("bmc_type"))
	b.Type = store.BMCType(kind)
	if b.Type == store.BMCMoonshot {
		if chassis, err := tx.BMCAt(ctx, b.Type, b.Address); err == nil {
			chassis.Slot = b.Slot
			b = chassis
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	before := b
	if text := row.optional("bmc_slot"); text != nil {
		b.Slot = 0
		if *text != "" {
			if b.Slot, err = strconv.Atoi(*text); err != nil {
				return nil, in("bmc_slot", fail(Invalid, "%.20q is no number", *text))
			}
		}
	}
	set(&b.Username, row.optional("bmc_user"))
	set(&b.Password, row.optional("bmc_password"))
	set(&b.KG, row.optional("bmc_kg"))
	set(&b.CipherSuites, row.optional("bmc_cipher_suites"))
	set(&b.Privilege, row.optional("bmc_privilege"))
	switch {
	case b.Address == "":
		return nil, in("bmc_address", fail(Invalid, "a BMC needs an address"))
	case b.ID == 0 && row.optional("bmc_password") == nil:
		return nil, in("bmc_password", fail(Invalid, "a BMC that is not there yet needs a password"))
	}
	checked, err := l.checkBMC(b)
	if err != nil {
		return nil, in("bmc_address", err)
	}
	if b.Password != before.Password {
		secret = append(secret, "another bmc_password")
	}
	if b.KG != before.KG {
		secret = append(secret, "another bmc_kg")
	}
	if m.BMCID != 0 && *checked == before && m.BMCID == before.ID {
		have, err := tx.MachineBMC(ctx, m.ID)
		if err != nil || have == before {
			return nil, err
		}
	}
	return secret, in("bmc_address", l.giveBMC(ctx, tx, m, *checked))
}
