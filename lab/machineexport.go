package lab

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"provisioner/store"
)

// ExportMachines writes all machines as [Lab.ImportMachines] reads them, by name
// and without the secrets of their BMCs. Only an admin may.
func (l *Lab) ExportMachines(ctx context.Context, actor Actor, format string, w io.Writer) error {
	if !actor.IsAdmin() {
		return fail(Denied, "export machines: only an admin may")
	}
	if format != FormatCSV && format != FormatJSON {
		return fail(Invalid, "export machines: format %q is none of csv and json", format)
	}
	var rows []map[string]string
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		machines, err := tx.Machines(ctx)
		if err != nil {
			return err
		}
		for _, m := range machines {
			row, err := rowOf(ctx, tx, m)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	if err == nil {
		fields := slices.DeleteFunc(slices.Clone(machineFields), func(f string) bool { return slices.Contains(secretFields, f) })
		err = writeMachineFile(w, format, fields, rows)
	}
	return wrap(err, "export machines")
}

// rowOf is a machine as a file has it.
func rowOf(ctx context.Context, tx *store.Tx, m store.Machine) (map[string]string, error) {
	row := map[string]string{"name": m.Name, "arch": m.Arch, "firmware": m.Subarch}
	if m.Console != store.ConsoleDefault {
		row["console"] = string(m.Console)
	}
	interfaces, err := tx.Interfaces(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	var macs, networks []string
	for _, i := range interfaces {
		macs = append(macs, i.MAC)
		if i.Network == "" {
			networks = append(networks, clearCell)
		} else {
			networks = append(networks, i.Network)
		}
	}
	if len(macs) > 0 {
		row["macs"] = strings.Join(macs, " ")
	}
	if slices.ContainsFunc(networks, func(n string) bool { return n != clearCell }) {
		row["networks"] = strings.Join(networks, " ")
	}
	pools, err := tx.PoolsOf(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	if len(pools) > 0 {
		row["pools"] = strings.Join(pools, " ")
	}
	b, err := tx.MachineBMC(ctx, m.ID)
	if errors.Is(err, store.ErrNotFound) {
		return row, nil
	}
	for field, value := range map[string]string{
		"bmc_address": b.Address, "bmc_type": string(b.Type), "bmc_user": b.Username,
		"bmc_cipher_suites": b.CipherSuites, "bmc_privilege": b.Privilege,
	} {
		if value != "" {
			row[field] = value
		}
	}
	if b.Slot != 0 {
		row["bmc_slot"] = strconv.Itoa(b.Slot)
	}
	return row, err
}
