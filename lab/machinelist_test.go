package lab_test

import (
	"strings"
	"testing"

	"provisioner/lab"
)

func TestMachinesAreFoundByQueries(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.must(f.SetPower(t.Context(), f.admin, "web-02", lab.TurnOn))
	for _, name := range []string{"arm-01", "web-01", "web-02"} {
		if _, err := f.PowerOf(t.Context(), f.ada, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		filter lab.MachineFilter
		want   string
	}{
		{lab.MachineFilter{}, "arm-01 web-01 web-02"},
		{lab.MachineFilter{Own: true}, "web-01"},
		{lab.MachineFilter{Own: true, Query: `(= name "web-02")`}, ""},
		{lab.MachineFilter{Query: `(and (= arch "amd64") (= assignee_count 0))`}, "web-02"},
		{lab.MachineFilter{Query: `(= power on)`}, "web-02"},
		{lab.MachineFilter{Query: `(= power off)`}, "arm-01 web-01"},
		{lab.MachineFilter{Query: `(= power unknown)`}, ""},
	} {
		list, err := f.FindMachines(t.Context(), f.ada, test.filter, lab.Page{})
		if got := listed(list); err != nil || got != test.want || list.Next != "" {
			t.Errorf("%+v: %q, next %q, %v; want %q", test.filter, got, list.Next, err, test.want)
		}
	}
	_, err := f.FindMachines(t.Context(), f.ada, lab.MachineFilter{Query: "(and"}, lab.Page{})
	if lab.CodeOf(err) != lab.Invalid || !strings.Contains(err.Error(), "query: column 1: unbalanced") {
		t.Errorf("unbalanced query: %v", err)
	}
}

func listed(list lab.MachineList) string {
	names := make([]string, len(list.Machines))
	for i, m := range list.Machines {
		names[i] = m.Name
	}
	return strings.Join(names, " ")
}

func TestAListOfMachinesHasPages(t *testing.T) {
	f := newFixture(t)
	first, err := f.FindMachines(t.Context(), f.ada, lab.MachineFilter{}, lab.Page{Limit: 2})
	if err != nil || listed(first) != "arm-01 web-01" || first.Next == "" {
		t.Fatalf("%q, next %q, %v", listed(first), first.Next, err)
	}
	second, err := f.FindMachines(t.Context(), f.ada, lab.MachineFilter{}, lab.Page{Limit: 2, After: first.Next})
	if err != nil || listed(second) != "web-02" || second.Next != "" {
		t.Errorf("%q, next %q, %v", listed(second), second.Next, err)
	}
	whole, err := f.FindMachines(t.Context(), f.ada, lab.MachineFilter{}, lab.Page{Limit: 3})
	if err != nil || len(whole.Machines) != 3 || whole.Next != "" {
		t.Errorf("%q, next %q, %v", listed(whole), whole.Next, err)
	}
}

func TestAMachineIsNamedByItsNumber(t *testing.T) {
	f := newFixture(t)
	for ref, want := range map[string]string{"1": "web-01", "WEB-02": "web-02", "4711": "", "no-such": "", "99999999999999999999": "", "": ""} {
		name, err := f.MachineName(t.Context(), f.ada, ref)
		if name != want || want != "" && err != nil || want == "" && lab.CodeOf(err) != lab.NotFound {
			t.Errorf("%q: %q, %v", ref, name, err)
		}
	}
}
