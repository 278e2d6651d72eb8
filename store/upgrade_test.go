package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"provisioner/migrations"
	"provisioner/store"
)

// TestADatabaseOfTheFirstReleaseIsUpgraded opens what the first schema has
// kept, with the schema of today.
func TestADatabaseOfTheFirstReleaseIsUpgraded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	old, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, old, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := old.ExecContext(t.Context(), `
		INSERT INTO bmcs (id, address, username, password, created_at) VALUES (7, '10.0.0.9', 'root', 'calvin', 1);
		INSERT INTO machines (id, name, subarch_id, bmc_id, state, created_at) VALUES (3, 'web-07', 1, 7, 'ready', 1);
		INSERT INTO events (at, kind, machine) VALUES (1, 'power', 'web-07')`); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	db := openAt(t, path)
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		m, err := tx.Machine(t.Context(), "web-07")
		if err != nil || m.Console != store.ConsoleDefault || m.State != store.StateReady {
			t.Errorf("machine: %+v, %v", m, err)
		}
		bmc, err := tx.MachineBMC(t.Context(), m.ID)
		if err != nil || bmc.Password != "calvin" || bmc.CipherSuites != "" || bmc.KG != "" || bmc.Privilege != "" {
			t.Errorf("BMC: %+v, %v", bmc, err)
		}
		events, err := tx.MachineEvents(t.Context(), "web-07", 10)
		if err != nil || len(events) != 1 || events[0].LogPosition != 0 {
			t.Errorf("events: %+v, %v", events, err)
		}
		m.Console = store.ConsoleOnDemand
		return tx.UpdateMachine(t.Context(), m)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestASettingKeepsItsLastValue(t *testing.T) {
	db, _ := open(t)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		for _, value := range []string{"on-demand", "always", ""} {
			if err := tx.SetSetting(t.Context(), "console", value); err != nil {
				return err
			}
			if got, err := tx.Setting(t.Context(), "console"); err != nil || got != value {
				t.Errorf("setting: %q, %v; want %q", got, err, value)
			}
		}
		got, err := tx.Setting(t.Context(), "other")
		if got != "" {
			t.Errorf("a setting that nobody made: %q", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
