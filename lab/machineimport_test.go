package lab_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

const importedCSV = "\ufeff" + `name,arch,firmware,macs,networks,bmc_address,bmc_user,bmc_password,pools,console
web-01,,,,rack,,,,ci,always
new-01,arm64,,52:54:00:00:01:01 5254.0000.0102,rack -,bmc-new,root,"s3cret, of ours",ci,
web-02,,bios,-,,-,,,,
arm-01,,,,,,,,,
`

// newImportFixture is a fixture with a network, a pool and two more BMCs.
func newImportFixture(t *testing.T) *fixture {
	f := newFixture(t)
	f.must(f.AddNetwork(t.Context(), f.admin, store.Network{Name: "rack", Subnet: "10.0.0.0/24"}))
	f.must(f.AddPool(t.Context(), f.admin, "ci"))
	f.bmcs["bmc-new"], f.bmcs["chassis"] = &fakeBMC{}, &fakeBMC{}
	return f
}

func actions(done lab.MachineImport) (actions []string) {
	for _, m := range done.Machines {
		actions = append(actions, fmt.Sprintf("%d %s %s: %s", m.Line, m.Action, m.Name, strings.Join(m.Changes, ", ")))
	}
	return actions
}

func TestMachinesAreImported(t *testing.T) {
	f := newImportFixture(t)
	ctx := t.Context()
	want := []string{
		"2 change web-01: networks rack, pools ci, console always",
		"3 add new-01: name new-01, arch arm64, firmware uefi, macs 52:54:00:00:01:01 52:54:00:00:01:02, networks rack -, " +
			"bmc_address bmc-new, bmc_type plain, bmc_user root, pools ci, another bmc_password",
		"4 change web-02: firmware bios, macs none, bmc_address none, bmc_type none, bmc_user none",
		"5 same arm-01: ",
	}
	_, err := f.ImportMachines(ctx, f.ada, lab.FormatCSV, []byte(importedCSV), false)
	f.refused(err, lab.Denied, "only an admin")
	before, err := f.Events(ctx, f.admin, lab.EventFilter{})
	f.must(err)
	for _, dryRun := range []bool{true, false} {
		done, err := f.ImportMachines(ctx, f.admin, lab.FormatCSV, []byte(importedCSV), dryRun)
		f.must(err)
		if !slices.Equal(actions(done), want) || done.Done == dryRun {
			t.Errorf("dry run %t, done %t:\n%s", dryRun, done.Done, strings.Join(actions(done), "\n"))
		}
		if after, _ := f.Events(ctx, f.admin, lab.EventFilter{}); dryRun && !slices.Equal(after, before) {
			t.Error("a dry run has done something")
		}
	}
	done, err := f.ImportMachines(ctx, f.admin, lab.FormatCSV, []byte(importedCSV), false)
	f.must(err)
	for _, m := range done.Machines {
		if m.Action != lab.ImportKeeps {
			t.Errorf("once more: %+v", m)
		}
	}
	m := f.machine("new-01")
	if m.Arch != "arm64" || len(m.Interfaces) != 2 || m.Interfaces[0].Network != "rack" || m.Interfaces[1].Network != "" || m.BMCID == 0 {
		t.Errorf("the new machine: %+v", m)
	}
	after, err := f.Events(ctx, f.admin, lab.EventFilter{})
	f.must(err)
	if strings.Contains(fmt.Sprint(after), "s3cret") {
		t.Error("its password is in an event")
	}
	if !slices.ContainsFunc(after, func(e store.Event) bool {
		return e.Kind == lab.EventMachineAdded && e.Machine == "new-01" && e.User == "root"
	}) {
		t.Error("there is no event of it")
	}
}

func TestAnExportIsAnImportThatChangesNothing(t *testing.T) {
	f := newImportFixture(t)
	ctx := t.Context()
	_, err := f.ImportMachines(ctx, f.admin, lab.FormatCSV, []byte(importedCSV), false)
	f.must(err)
	f.must(f.ExportMachines(ctx, f.admin, lab.FormatCSV, new(bytes.Buffer)))
	f.refused(f.ExportMachines(ctx, f.ada, lab.FormatCSV, new(bytes.Buffer)), lab.Denied, "only an admin")
	f.refused(f.ExportMachines(ctx, f.admin, "xml", new(bytes.Buffer)), lab.Invalid, "csv and json")
	for _, format := range []string{lab.FormatCSV, lab.FormatJSON} {
		var file bytes.Buffer
		f.must(f.ExportMachines(ctx, f.admin, format, &file))
		if strings.Contains(file.String(), "s3cret") || strings.Contains(file.String(), "password") {
			t.Errorf("secrets in %s", file.String())
		}
		done, err := f.ImportMachines(ctx, f.admin, format, file.Bytes(), false)
		f.must(err)
		if len(done.Machines) != 4 {
			t.Errorf("%d machines in %s", len(done.Machines), file.String())
		}
		for _, m := range done.Machines {
			if m.Action != lab.ImportKeeps {
				t.Errorf("%s: %+v", format, m)
			}
		}
	}
}

func TestWhatIsWrongInAFileIsSaidByLineAndField(t *testing.T) {
	f := newImportFixture(t)
	ctx := t.Context()
	const file = `name,arch,firmware,macs,networks,bmc_address,bmc_type,bmc_slot,bmc_user,bmc_password,pools,console
fine-01,amd64,uefi,,,,,,,,,
../etc,amd64
fine-01,amd64
vax-01,vax
mac-01,,,nonsense
mac-02,,,52:54:00:00:00:01
net-01,,,52:54:00:00:02:01,nowhere
net-02,,,52:54:00:00:02:02,rack rack
bmc-01,,,,,bmc-new,,,root
bmc-02,,,,,bmc-none,,,root,hunter2
bmc-03,,,,,bmc-new,toaster,,root,hunter2
bmc-04,,,,,chassis,moonshot,seven,root,hunter2
bmc-05,,,,,,,,root,hunter2
pool-01,,,,,,,,,,none
con-01,,,,,,,,,,,sometimes

,amd64
long-01,amd64,uefi,,,,,,,,,,hunter2
`
	want := []string{
		"line 3, name: a machine name has",
		"line 4, name: fine-01 is in line 2 already",
		`line 5, arch: there is no subarchitecture "vax/uefi"`,
		"line 6, macs: ", "line 7, macs: another machine has an interface",
		`line 8, networks: there is no network "nowhere"`,
		"line 9, networks: there are 2 for 1 interfaces",
		"line 10, bmc_password: a BMC that is not there yet",
		"line 11, bmc_address: no BMC bmc-none",
		"line 12, bmc_address: type \"toaster\"",
		"line 13, bmc_slot: \"seven\" is no number",
		"line 14, bmc_address: a BMC needs an address",
		`line 15, pools: there is no pool "none"`,
		"line 16, console: console \"sometimes\"",
		"line 18, name: a name is needed", "line 18, name: a machine name has",
		"line 19: it has 13 cells, and there are 12 fields",
	}
	done, err := f.ImportMachines(ctx, f.admin, lab.FormatCSV, []byte(file), false)
	f.refused(err, lab.Invalid, "nothing was changed", "line 3", "16 more problems")
	if strings.Contains(fmt.Sprint(done, err), "hunter2") {
		t.Errorf("a password is in the answer: %v", done)
	}
	if len(done.Problems) != len(want) || done.Done {
		t.Fatalf("problems: %v", done.Problems)
	}
	for i, p := range done.Problems {
		if !strings.HasPrefix(p.String(), want[i]) {
			t.Errorf("problem %q, want %q", p, want[i])
		}
	}
	_, err = f.Machine(ctx, f.admin, "fine-01")
	f.refused(err, lab.NotFound)
}

func TestFilesThatAreNone(t *testing.T) {
	f := newImportFixture(t)
	for _, test := range []struct{ format, file, words string }{
		{lab.FormatCSV, "", "it is empty"},
		{lab.FormatCSV, "web-01,amd64,hunter2\n", "does not name the fields"},
		{lab.FormatCSV, "name,colour\nweb-01,red\n", `no field "colour"`},
		{lab.FormatCSV, "name,arch,Arch\nweb-01,,\n", "line 1, arch: the field is there twice"},
		{lab.FormatCSV, "name\n\"web-01\n", "line 2"},
		{lab.FormatCSV, "name\nweb-\xff\n", "not UTF-8"},
		{lab.FormatCSV, "name\n" + strings.Repeat("m\n", 10001), "more than 10000 machines"},
		{lab.FormatCSV, strings.Repeat("x", lab.MaxMachineFile+1), "larger than"},
		{"xml", "<machines/>", "csv and json"},
		{lab.FormatJSON, "", "no JSON array"},
		{lab.FormatJSON, `{"name": "web-01"}`, "no JSON array"},
		{lab.FormatJSON, `[{"name": "web-01"}`, "does not end"},
		{lab.FormatJSON, `[] []`, "behind its array"},
		{lab.FormatJSON, "[\n\n{\"name\": \"web-01\"},\n 7]", "line 4: it is no JSON object"},
		{lab.FormatJSON, "[\n{\"name\": \"web-01\", \"colour\": \"red\"}]", `line 2: there is no field "colour"`},
		{lab.FormatJSON, "[{},\n{\"name\": \"web-01\", \"bmc_slot\": {\"hunter2\": 1}}]", "line 1, name: a name is needed"},
		{lab.FormatJSON, "[\n{\"name\": \"web-01\", \"bmc_slot\": {\"hunter2\": 1}}]", "line 2, bmc_slot: give text"},
		{lab.FormatJSON, strings.Repeat("[", 100000), "line 1"},
	} {
		_, err := f.ImportMachines(t.Context(), f.admin, test.format, []byte(test.file), true)
		f.refused(err, lab.Invalid, "import machines", test.words)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("what may be a password is in %q", err)
		}
	}
}

func TestCartridgesAreImported(t *testing.T) {
	f := newImportFixture(t)
	ctx := t.Context()
	const file = `[
  {"name": "cart-1", "bmc_type": "moonshot", "bmc_address": "chassis", "bmc_slot": 1, "bmc_user": "root", "bmc_password": "old"},
  {"name": "cart-2", "bmc_type": "moonshot", "bmc_address": "chassis", "bmc_slot": "2", "pools": ["ci"], "macs": []}
]`
	done, err := f.ImportMachines(ctx, f.admin, lab.FormatJSON, []byte(file), false)
	if err != nil || done.Machines[1].Line != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	one, two := f.machine("cart-1"), f.machine("cart-2")
	if one.BMCID == 0 || one.BMCID != two.BMCID {
		t.Errorf("BMCs %d and %d of one chassis", one.BMCID, two.BMCID)
	}
	done, err = f.ImportMachines(ctx, f.admin, lab.FormatJSON, []byte(file), true)
	f.must(err)
	if done.Machines[0].Action != lab.ImportKeeps || done.Machines[1].Action != lab.ImportKeeps {
		t.Errorf("once more: %v", actions(done))
	}
}

// FuzzMachineFile tries files of machines, which nothing may come of but
// machines and problems. What is imported changes nothing when it is again.
func FuzzMachineFile(f *testing.F) {
	f.Add(false, []byte(importedCSV))
	f.Add(false, []byte("name,macs\n\"a\"\"b\",\r\n"))
	f.Add(true, []byte(`[{"name": "web-01", "macs": ["52:54:00:00:00:01"], "bmc_slot": 1}, {"name": null}]`))
	f.Add(true, []byte(`[[{}]]`))
	path := f.TempDir()
	db, err := storetest.Open(f.Context(), path+"/provisioner.db")
	if err != nil {
		f.Fatal(err)
	}
	l, err := lab.New(lab.Config{Store: db, DataDir: path})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = l.Close()
		_ = db.Close()
	})
	f.Fuzz(func(t *testing.T, isJSON bool, file []byte) {
		format := lab.FormatCSV
		if isJSON {
			format = lab.FormatJSON
		}
		done, err := l.ImportMachines(t.Context(), lab.Local, format, file, false)
		if err != nil {
			if lab.CodeOf(err) != lab.Invalid {
				t.Fatalf("%v", err)
			}
			return
		}
		defer func() {
			for _, m := range done.Machines {
				if err := l.RemoveMachine(t.Context(), lab.Local, m.Name); err != nil {
					t.Error(err)
				}
			}
		}()
		again, err := l.ImportMachines(t.Context(), lab.Local, format, file, false)
		if err != nil {
			t.Fatalf("once more: %v", err)
		}
		for _, m := range again.Machines {
			if m.Action != lab.ImportKeeps {
				t.Errorf("once more: %+v", m)
			}
		}
	})
}
