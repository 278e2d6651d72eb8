package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"provisioner/store"
)

// What a file does to a machine.
const (
	ImportAdds    = "add"
	ImportChanges = "change"
	ImportKeeps   = "same" // it is so already
)

// ImportedMachine is what becomes of a machine by a file.
type ImportedMachine struct {
	Line    int
	Name    string
	Action  string   // add, change or same
	Changes []string // what is changed, for people; without secrets
}

// MachineImport is what a file of machines does, or would do.
type MachineImport struct {
	Machines []ImportedMachine // in the order of the file
	Problems []ImportProblem   // by line; none: it can be done
	Done     bool              // it was done: there were no problems, and it was no dry run
}

var errDryRun = errors.New("dry run")

// ImportMachines adds the machines of a file, and changes those that there are
// to what the file says; what it does not mention stays. It does all of it, or,
// where there is a problem, nothing: the problems are in the answer, whose error
// is [Invalid] then. A dry run tells what would be done. Only an admin may.
//
// The formats are [FormatCSV], whose first line names the fields, and
// [FormatJSON], an array of objects. In CSV an empty cell says nothing, and "-"
// that the field is to be empty; in JSON a missing field and an empty one do.
func (l *Lab) ImportMachines(ctx context.Context, actor Actor, format string, content []byte, dryRun bool) (done MachineImport, err error) {
	if !actor.IsAdmin() {
		return done, fail(Denied, "import machines: only an admin may")
	}
	rows, problems, err := machineFile(format, content)
	if err != nil {
		return done, wrap(err, "import machines")
	}
	done.Problems = problems
	err = l.write(ctx, func(tx *store.Tx) error {
		for _, row := range rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			machine, err := l.importRow(ctx, tx, actor, row)
			var problem *rowProblem
			if errors.As(err, &problem) {
				done.Problems = append(done.Problems, ImportProblem{row.line, problem.field, problem.err.Error()})
				continue
			}
			if err != nil {
				return err
			}
			done.Machines = append(done.Machines, machine)
		}
		if len(done.Problems) > 0 || dryRun {
			return errDryRun // undoes it
		}
		return nil
	})
	slices.SortStableFunc(done.Problems, func(a, b ImportProblem) int { return a.Line - b.Line })
	switch {
	case len(done.Problems) > 0 && errors.Is(err, errDryRun):
		return done, fail(Invalid, "import machines: nothing was changed: %s", problemsText(done.Problems))
	case errors.Is(err, errDryRun):
		return done, nil
	}
	done.Done = err == nil
	return done, wrap(err, "import machines")
}

// problemsText names the first problem, and how many there are.
func problemsText(problems []ImportProblem) string {
	if len(problems) == 1 {
		return problems[0].String()
	}
	return fmt.Sprintf("%s, and %d more problems", problems[0], len(problems)-1)
}

// rowProblem is what a person can correct in a row.
type rowProblem struct {
	field string
	err   error
}

func (p *rowProblem) Error() string { return p.field + ": " + p.err.Error() }

// in makes a problem of an error about a field, unless it is the store's own.
func in(field string, err error) error {
	if err == nil || CodeOf(err) == Internal || CodeOf(err) == Unavailable {
		return err
	}
	return &rowProblem{field, err}
}

// importRow has a machine be as a row says.
func (l *Lab) importRow(ctx context.Context, tx *store.Tx, actor Actor, row machineRow) (done ImportedMachine, err error) {
	name := row.fields["name"]
	done = ImportedMachine{Line: row.line, Name: name, Action: ImportKeeps}
	if err := checkMachineName(name); err != nil {
		return done, in("name", err)
	}
	m, err := tx.Machine(ctx, name)
	before := make(map[string]string)
	switch {
	case errors.Is(err, store.ErrNotFound):
		done.Action = ImportAdds
		m, err = l.newRow(ctx, tx, row)
	case err == nil:
		before, err = rowOf(ctx, tx, m)
	}
	if err != nil {
		return done, err
	}
	secret, err := l.importFields(ctx, tx, actor, &m, row)
	if err != nil {
		return done, err
	}
	if m, err = tx.MachineByID(ctx, m.ID); err != nil {
		return done, err
	}
	after, err := rowOf(ctx, tx, m)
	if err != nil {
		return done, err
	}
	for _, field := range machineFields {
		if before[field] != after[field] {
			done.Changes = append(done.Changes, field+" "+orNone(after[field]))
		}
	}
	done.Changes = append(done.Changes, secret...)
	kind := EventMachineAdded
	if done.Action != ImportAdds {
		if len(done.Changes) == 0 {
			return done, nil
		}
		done.Action, kind = ImportChanges, EventMachineChanged
	}
	return done, l.record(ctx, tx, actor, store.Event{Kind: kind, Machine: m.Name, Detail: strings.Join(done.Changes, ", ")})
}

// newRow adds the machine of a row.
func (l *Lab) newRow(ctx context.Context, tx *store.Tx, row machineRow) (m store.Machine, err error) {
	arch, firmware := "amd64", "uefi"
	set(&arch, row.optional("arch"))
	set(&firmware, row.optional("firmware"))
	subarch, err := theSubarch(ctx, tx, arch, firmware)
	if err != nil {
		return m, in("arch", err)
	}
	id, err := tx.AddMachine(ctx, store.Machine{Name: row.fields["name"], SubarchID: subarch.ID, State: store.StateUnknown, CreatedAt: l.now()})
	if err != nil {
		return m, err
	}
	return tx.MachineByID(ctx, id)
}

// importFields changes a machine, and returns which of its secrets are others now.
func (l *Lab) importFields(ctx context.Context, tx *store.Tx, actor Actor, m *store.Machine, row machineRow) (secret []string, err error) {
	change := MachineChange{Arch: row.optional("arch"), Subarch: row.optional("firmware")}
	if _, err := l.identify(ctx, tx, m, change); err != nil {
		return nil, in("arch", err)
	}
	if mode := row.optional("console"); mode != nil {
		change.Console = (*store.ConsoleMode)(mode)
		if err := checkConsoleMode(*change.Console); err != nil {
			return nil, in("console", err)
		}
	}
	if _, err := l.changeBoot(ctx, tx, actor, m, change); err != nil {
		return nil, in("arch", err)
	}
	if err := tx.UpdateMachine(ctx, *m); err != nil {
		return nil, err
	}
	if macs := row.optional("macs"); macs != nil {
		parsed, err := parseMACs(strings.Fields(*macs))
		if err == nil {
			_, err = l.changeHardware(ctx, tx, *m, MachineChange{MACs: &parsed})
		}
		if err != nil {
			return nil, in("macs", err)
		}
	}
	if err := l.importNetworks(ctx, tx, actor, *m, row); err != nil {
		return nil, in("networks", err)
	}
	if err := importPools(ctx, tx, *m, row); err != nil {
		return nil, in("pools", err)
	}
	return l.importBMC(ctx, tx, *m, row)
}

// importNetworks puts the interfaces of a machine into networks: each into one,
// in their order, or all into the same.
func (l *Lab) importNetworks(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, row machineRow) error {
	networks := row.optional("networks")
	if networks == nil {
		return nil
	}
	names := strings.Fields(*networks)
	have, err := tx.Interfaces(ctx, m.ID)
	if err != nil {
		return err
	}
	if macs := row.optional("macs"); macs != nil {
		have = inOrderOf(have, strings.Fields(*macs))
	}
	if len(names) > 1 && len(names) != len(have) {
		return fail(Invalid, "there are %d for %d interfaces: give one for each, or one for all", len(names), len(have))
	}
	for i := range have {
		name := ""
		if len(names) == 1 {
			name = names[0]
		} else if len(names) > 1 {
			name = names[i]
		}
		if name == clearCell {
			name = ""
		}
		if strings.EqualFold(name, have[i].Network) {
			continue
		}
		if err := l.changeInterface(ctx, tx, actor, &have[i], InterfaceChange{Network: &name}); err != nil {
			return err
		}
	}
	return nil
}

// inOrderOf returns interfaces in the order of their addresses in a row.
func inOrderOf(interfaces []store.Interface, macs []string) []store.Interface {
	ordered := make([]store.Interface, 0, len(interfaces))
	parsed, err := parseMACs(macs)
	if err != nil {
		return interfaces
	}
	for _, mac := range parsed {
		for _, i := range interfaces {
			if i.MAC == mac {
				ordered = append(ordered, i)
			}
		}
	}
	return ordered
}

func importPools(ctx context.Context, tx *store.Tx, m store.Machine, row machineRow) error {
	pools := row.optional("pools")
	if pools == nil {
		return nil
	}
	before, err := tx.PoolsOf(ctx, m.ID)
	if err != nil {
		return err
	}
	return members(before, strings.Fields(*pools), func(name string, in bool) error {
		pool, err := tx.Pool(ctx, name)
		if err != nil {
			return notFound(err, "pool", name)
		}
		return tx.SetPoolMachine(ctx, pool.ID, m.ID, in)
	})
}
