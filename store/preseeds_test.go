package store_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"provisioner/migrations"
	"provisioner/store"
)

// TestPreseedsOfMoreTypesKeepWhoRefersToThem goes from the schema that knew
// three types to that of five, and back, with a machine and a run that refer
// to preseeds.
func TestPreseedsOfMoreTypesKeepWhoRefersToThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string) error {
		t.Helper()
		_, err := db.ExecContext(t.Context(), query)
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	types := func() (found []string) {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), `SELECT preseeds.name || ' ' || type || ' ' || description || ' ' || content || ' '
			|| coalesce(machines.name, '-') || ' ' || coalesce(runs.token, '-') FROM preseeds
			LEFT JOIN machines ON machines.preseed_id = preseeds.id LEFT JOIN runs ON runs.preseed_id = preseeds.id ORDER BY preseeds.id`)
		must(err)
		defer func() { must(rows.Close()) }()
		for rows.Next() {
			var line string
			must(rows.Scan(&line))
			found = append(found, line)
		}
		must(rows.Err())
		return found
	}
	const cloud = `INSERT INTO preseeds (id, name, type, content, created_at, updated_at) VALUES (12, 'cloud', 'cloud-init', 'C', 1, 1)`

	_, err = provider.UpTo(t.Context(), 6)
	must(err)
	must(exec(`INSERT INTO preseeds (id, name, type, description, content, created_at, updated_at) VALUES
			(10, 'debian', 'preseed', 'd', 'A', 1, 1), (11, 'fedora', 'kickstart', 'f', 'B', 1, 1);
		INSERT INTO machines (id, name, subarch_id, preseed_id, state, created_at) VALUES (3, 'web-07', 1, 11, 'ready', 1);
		INSERT INTO runs (machine_id, preseed_id, token, state, started_at) VALUES (3, 11, 'T', 'running', 1)`))
	if exec(cloud) == nil {
		t.Fatal("the old schema took a new type")
	}
	before := types()

	_, err = provider.UpTo(t.Context(), 7)
	must(err)
	if after := types(); !slices.Equal(after, before) {
		t.Errorf("up: %q, was %q", after, before)
	}
	must(exec(cloud))
	must(exec(`UPDATE machines SET preseed_id = 12`))
	if exec(`UPDATE preseeds SET type = 'sandwich'`) == nil {
		t.Error("any type is taken")
	}
	if exec(`DELETE FROM preseeds WHERE id = 12`) == nil {
		t.Error("a preseed that a machine refers to was deleted")
	}

	_, err = provider.DownTo(t.Context(), 6)
	must(err)
	want := []string{"debian preseed d A - -", "fedora kickstart f B - T", "cloud preseed cloud-init:  C web-07 -"}
	if down := types(); !slices.Equal(down, want) {
		t.Errorf("down: %q, want %q", down, want)
	}
	if exec(`UPDATE preseeds SET type = 'ignition'`) == nil {
		t.Error("down: the old schema takes a new type")
	}
	_, err = provider.Up(t.Context())
	must(err)
}

func TestMachinesAreFoundByTheAddressThatTheyHaveNow(t *testing.T) {
	db, _ := open(t)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		subarch, err := tx.Subarch(t.Context(), "amd64", "uefi")
		if err != nil {
			return err
		}
		id, err := tx.AddMachine(t.Context(), store.Machine{Name: "web-01", SubarchID: subarch.ID, State: store.StateReady})
		if err != nil {
			return err
		}
		const mac = "52:54:00:00:00:01"
		if err := tx.AddInterface(t.Context(), id, mac); err != nil {
			return err
		}
		if err := tx.KeepLease(t.Context(), store.Lease{MAC: mac, IPv4: "10.0.0.9", StartedAt: now, ExpiresAt: now.Add(time.Hour)}); err != nil {
			return err
		}
		for _, test := range []struct {
			address string
			at      time.Time
			found   bool
		}{
			{"10.0.0.9", now, true}, {"10.0.0.9", now.Add(time.Hour), false}, {"10.0.0.90", now, false}, {"", now, false},
		} {
			ids, err := tx.MachinesByAddress(t.Context(), test.address, test.at)
			if err != nil || (len(ids) == 1 && ids[0] == id) != test.found || len(ids) > 1 {
				t.Errorf("%+v: %v, %v", test, ids, err)
			}
		}
		for _, disks := range [][]string{{"/dev/sda", "/dev/sdb"}, {"/dev/nvme0n1"}, nil} {
			if err := tx.SetDisks(t.Context(), id, disks); err != nil {
				return err
			}
			if got, err := tx.Disks(t.Context(), id); err != nil || !slices.Equal(got, disks) {
				t.Errorf("disks: %q, %v; want %q", got, err, disks)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
