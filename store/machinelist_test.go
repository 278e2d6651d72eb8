package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"provisioner/query"
	"provisioner/store"
	"provisioner/store/storetest"
)

func parse(t testing.TB, text string) query.Query {
	t.Helper()
	q, err := query.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

// population is machines of all kinds, and what a query would say of each.
type population struct {
	db      *store.DB
	on, off []int64
	has     map[string]map[string]any // by name, field
}

// populate fills a database with n machines, in one transaction.
func populate(t testing.TB, n int) *population {
	t.Helper()
	db, err := storetest.Open(t.Context(), filepath.Join(t.TempDir(), "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &population{db: db, has: make(map[string]map[string]any)}
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return p.fill(t.Context(), tx, n) }); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *population) fill(ctx context.Context, tx *store.Tx, n int) error {
	var users []int64
	for _, name := range []string{"ada", "grace", "eve"} {
		id, err := tx.AddUser(ctx, store.User{Name: name, Role: store.RoleUser, CreatedAt: noon})
		if err != nil {
			return err
		}
		users = append(users, id)
	}
	images := make(map[string]int64)
	for name, kind := range map[string]store.ImageType{"vmlinuz": store.ImageKernel, "initrd": store.ImageInitrd} {
		var err error
		if images[name], err = tx.AddImage(ctx, store.Image{Name: name, Type: kind, Arch: "amd64", Filename: name, UploadedAt: noon}); err != nil {
			return err
		}
	}
	preseed, err := tx.AddPreseed(ctx, store.Preseed{Name: "d-i", Type: "preseed", CreatedAt: noon, UpdatedAt: noon})
	if err != nil {
		return err
	}
	network, err := tx.AddNetwork(ctx, store.Network{Name: "lab", Subnet: "10.0.0.0/8"})
	if err != nil {
		return err
	}
	pool, err := tx.AddPool(ctx, "CI")
	if err != nil {
		return err
	}
	flavours := [][2]string{{"amd64", "uefi"}, {"amd64", "bios"}, {"arm64", "uefi"}}
	for i := range n {
		flavour := flavours[i%3]
		subarch, err := tx.Subarch(ctx, flavour[0], flavour[1])
		if err != nil {
			return err
		}
		m := store.Machine{Name: fmt.Sprintf("Rack%02d-%05d", i%40, i), SubarchID: subarch.ID, State: store.StateUnknown, CreatedAt: noon}
		if m.ID, err = tx.AddMachine(ctx, m); err != nil {
			return err
		}
		has := map[string]any{
			"id": m.ID, "name": m.Name, "arch": flavour[0], "subarch": flavour[1], "power": "unknown", "stage": "",
			"bmc_type": "", "kernel": "", "initrd": "", "preseed": "", "network": []string(nil), "address": []string(nil), "pool": []string(nil),
		}
		if i%4 != 0 {
			has["bmc_type"] = []string{"plain", "moonshot"}[i%2]
			bmc := store.BMC{Type: store.BMCType(has["bmc_type"].(string)), Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250), CreatedAt: noon}
			if err := tx.SetMachineBMC(ctx, m.ID, bmc); err != nil {
				return err
			}
		}
		if i%3 == 1 {
			m.State, m.NetbootEnabled, m.KernelID, m.InitrdID, m.PreseedID = store.StateReady, i%2 == 0, images["vmlinuz"], images["initrd"], preseed
			has["kernel"], has["initrd"], has["preseed"] = "vmlinuz", "initrd", "d-i"
			if err := tx.UpdateMachine(ctx, m); err != nil {
				return err
			}
		}
		has["state"], has["netboot"] = string(m.State), m.NetbootEnabled
		var holders, macs []string
		for u := range i % 7 % 4 { // none, most of the time
			holders = append(holders, []string{"ada", "grace", "eve"}[u])
			held := store.Reservation{MachineID: m.ID, UserID: users[u], Reason: "for a test", StartedAt: noon, CountedAt: noon}
			if _, err := tx.AddReservation(ctx, held); err != nil {
				return err
			}
		}
		for k := range i % 3 {
			macs = append(macs, fmt.Sprintf("52:54:00:%02x:%02x:%02x", k, i>>8, i&255))
			if err := tx.AddInterface(ctx, m.ID, macs[k]); err != nil {
				return err
			}
		}
		if i%6 == 1 {
			has["pool"] = []string{"CI"}
			if err := tx.SetPoolMachine(ctx, pool, m.ID, true); err != nil {
				return err
			}
		}
		if i%3 == 2 {
			interfaces, err := tx.Interfaces(ctx, m.ID)
			if err != nil {
				return err
			}
			interfaces[0].NetworkID, interfaces[0].ConfigType = network, "static"
			interfaces[0].ConfiguredIPv4 = fmt.Sprintf("10.1.%d.%d", i/250, i%250)
			has["network"], has["address"] = []string{"lab"}, []string{interfaces[0].ConfiguredIPv4}
			if err := tx.UpdateInterface(ctx, interfaces[0]); err != nil {
				return err
			}
		}
		if i%50 == 3 {
			has["stage"] = "kernel loaded"
			_, err := tx.AddRun(ctx, store.Run{MachineID: m.ID, UserID: users[0], Token: m.Name, State: store.RunRunning,
				Stage: "kernel loaded", StartedAt: noon})
			if err != nil {
				return err
			}
		}
		switch i % 5 {
		case 0, 1:
			has["power"], p.on = "on", append(p.on, m.ID)
		case 2:
			has["power"], p.off = "off", append(p.off, m.ID)
		}
		has["holder"], has["mac"] = holders, macs
		has["assignee_count"], has["interface_count"] = int64(len(holders)), int64(len(macs))
		p.has[m.Name] = has
	}
	return nil
}

func (p *population) find(t testing.TB, f store.MachineFilter) (machines []store.Machine) {
	t.Helper()
	f.On, f.Off = p.on, p.off
	err := p.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		machines, err = tx.FindMachines(t.Context(), f)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", f.Query, err)
	}
	return machines
}

func names(machines []store.Machine) []string {
	names := make([]string, len(machines))
	for i, m := range machines {
		names[i] = m.Name
	}
	return names
}

// matching is what a query finds by package query alone.
func (p *population) matching(q query.Query) (found []string) {
	for name, has := range p.has {
		if q.Match(func(field string) any { return has[field] }) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// randomQuery is made of every field, operator and kind of value.
func randomQuery(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(8) == 0 { // names are looked up together
		list := "(or"
		for range 4 {
			list += fmt.Sprintf(" (= %s %q)", []string{"name", "holder", "arch", "kernel"}[r.IntN(4)],
				[]string{"rack07-00007", "Rack01-00041", "EVE", "arm64", "vmlinuz", ""}[r.IntN(6)])
		}
		return list + ")"
	}
	if depth > 0 && r.IntN(3) > 0 {
		operator := []string{"and", "or", "not"}[r.IntN(3)]
		n := 1
		if operator != "not" {
			n = r.IntN(5)
		}
		parts := []string{operator}
		for range n {
			parts = append(parts, randomQuery(r, depth-1))
		}
		return "(" + strings.Join(parts, " ") + ")"
	}
	f := query.Fields()[r.IntN(len(query.Fields()))]
	operators := []string{"=", "!=", "<", "<=", ">", ">=", "=~"}
	operator := operators[r.IntN(len(operators))]
	var values []string
	switch f.Type {
	case query.Number:
		operator = operators[r.IntN(6)]
		values = []string{"0", "1", "2", "17", "-1"}
	case query.Bool:
		operator = operators[r.IntN(2)]
		values = []string{"true", "false"}
	default:
		if f.Name == "state" || f.Name == "power" {
			values = map[string][]string{"state": {"READY", "unknown", "error"}, "power": {"on", "off", "Unknown"}}[f.Name]
			break
		}
		values = []string{`""`, `"ADA"`, `"grace"`, `"Rack07-00007"`, `"rack1"`, `"52:54:00:01:00:08"`, `":0"`, `"amd64"`, `"uefi"`,
			`"plain"`, `"moon"`, `"VMLINUZ"`, `"d-i"`, `"kernel"`, `"LAB"`, `"ci"`, `"10.1.0.2"`, `"%"`, `"' OR 1"`}
		if operator == "=" || operator == "!=" {
			values = append(values, "nil", "nil")
		}
	}
	return "(" + operator + " " + f.Name + " " + values[r.IntN(len(values))] + ")"
}

// TestTheStoreAnswersAQueryAsItsPackageDoes holds SQL against package query.
func TestTheStoreAnswersAQueryAsItsPackageDoes(t *testing.T) {
	p := populate(t, 120)
	r := rand.New(rand.NewPCG(1, 2))
	some := 0
	for range 1500 {
		q := parse(t, randomQuery(r, 4))
		want := p.matching(q)
		if got := names(p.find(t, store.MachineFilter{Query: q})); !slices.Equal(got, want) {
			t.Fatalf("%s\nthe store finds %q\nand it is    %q", q, got, want)
		}
		if len(want) > 0 && len(want) < len(p.has) {
			some++
		}
	}
	if some < 300 {
		t.Errorf("only %d queries find some machines and not all", some)
	}
}

func TestMachinesComeInPages(t *testing.T) {
	p := populate(t, 100)
	q := parse(t, `(!= holder nil)`)
	want := p.matching(q)
	var got []string
	filter := store.MachineFilter{Query: q, Limit: 7}
	for {
		page := p.find(t, filter)
		if len(page) > 7 {
			t.Fatalf("a page of %d machines", len(page))
		}
		for _, m := range page {
			has := p.has[m.Name]
			var holders []string
			for _, h := range m.Holders {
				holders = append(holders, h.User)
			}
			if m.ID != has["id"] || m.Arch != has["arch"] || m.Stage != has["stage"] || !slices.Equal(holders, has["holder"].([]string)) {
				t.Errorf("%+v is not %v", m, has)
			}
		}
		if got = append(got, names(page)...); len(page) < 7 {
			break
		}
		filter.After = strings.ToUpper(got[len(got)-1]) // names have no case
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages have %q\nand there are %q", got, want)
	}
}
