package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"provisioner/store"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) (*store.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "provisioner.db")
	return openAt(t, path), path
}

func openAt(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func write(t *testing.T, db *store.DB, fn func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func addMachine(ctx context.Context, tx *store.Tx, name string) (int64, error) {
	subarch, err := tx.Subarch(ctx, "amd64", "uefi")
	if err != nil {
		return 0, err
	}
	return tx.AddMachine(ctx, store.Machine{Name: name, SubarchID: subarch.ID, State: store.StateUnknown, CreatedAt: noon})
}

func TestDatabaseOfANewerReleaseIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	_, err = store.Open(t.Context(), path)
	if !errors.Is(err, store.ErrNewerVersion) || !strings.Contains(err.Error(), "install that release") {
		t.Errorf("open: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the database was changed")
	}
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		garbage:                          "no intact database",
		filepath.Join(dir, "no", "such"): "no such file or directory",
		dir:                              "is a directory",
	} {
		db, err := store.Open(t.Context(), path)
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("open %s: %v; want it to say %q", path, err, want)
		}
	}
}

func TestDatabaseIsReadableByItsOwnerOnly(t *testing.T) {
	db, path := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{At: noon, Kind: "test"})
	})
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", file, info.Mode())
		}
	}
}

func TestTransactionThatFailsLeavesNothing(t *testing.T) {
	db, _ := open(t)
	boom := errors.New("boom")
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := addMachine(t.Context(), tx, "web-01"); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Machine(t.Context(), "web-01")
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("machine of the failed transaction: %v", err)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	db, _ := open(t)
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.AddEvent(t.Context(), store.Event{At: noon, Kind: "test"})
	})
	if err == nil {
		t.Error("a reader could write")
	}
}

func TestNamesAreUniqueWithoutRegardToCase(t *testing.T) {
	db, _ := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := addMachine(ctx, tx, "Web-01")
		return err
	})
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := addMachine(t.Context(), tx, "web-01")
		return err
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("second web-01: %v", err)
	}
}

func TestWritersOfTwoProcessesAndReadersDoNotFail(t *testing.T) {
	first, path := open(t)
	second := openAt(t, path) // as `provisioner user add` beside a server
	const each = 100
	var wg sync.WaitGroup
	for i, db := range []*store.DB{first, second, first, second} {
		wg.Go(func() {
			for n := range each {
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					_, err := tx.AddUser(t.Context(), store.User{Name: fmt.Sprintf("u%d-%d", i, n), Role: store.RoleUser, CreatedAt: noon})
					return err
				})
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
		wg.Go(func() {
			for range each {
				err := db.Read(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Machines(t.Context())
					return err
				})
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestTwoProcessesMayStartTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := store.Open(t.Context(), path)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestWatchSeesOtherProcesses(t *testing.T) {
	db, path := open(t)
	other := openAt(t, path)
	version, closeConn, err := db.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeConn() }()
	before, err := version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := version(t.Context()); err != nil || again != before {
		t.Errorf("version of an unchanged database: %d, then %d, %v", before, again, err)
	}
	write(t, other, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{At: noon, Kind: "test"})
	})
	if after, err := version(t.Context()); err != nil || after == before {
		t.Errorf("version after a change by another process: %d, %v", after, err)
	}
}

func TestMachineCarriesItsHoldersAndSettings(t *testing.T) {
	db, _ := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		id, err := addMachine(ctx, tx, "web-01")
		if err != nil {
			return err
		}
		user, err := tx.AddUser(ctx, store.User{Name: "grace", Role: store.RoleUser, CreatedAt: noon})
		if err != nil {
			return err
		}
		_, err = tx.AddReservation(ctx, store.Reservation{MachineID: id, UserID: user, Reason: "bisect", StartedAt: noon, CountedAt: noon})
		if err != nil {
			return err
		}
		if err := tx.SetMachineBMC(ctx, id, store.BMC{Type: store.BMCPlain, Address: "10.0.0.1", Username: "u", Password: "p", CreatedAt: noon}); err != nil {
			return err
		}
		return tx.AddInterface(ctx, id, "52:54:00:00:00:01")
	})
	var m store.Machine
	err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
		m, err = tx.MachineByMAC(t.Context(), "52:54:00:00:00:01")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "web-01" || m.Arch != "amd64" || m.Subarch != "uefi" || !m.EFIBoot || m.BMCID == 0 {
		t.Errorf("machine: %+v", m)
	}
	want := store.Holder{ReservationID: m.Holders[0].ReservationID, UserID: m.Holders[0].UserID, User: "grace", Reason: "bisect", Since: noon}
	if len(m.Holders) != 1 || m.Holders[0] != want || !m.HeldBy(want.UserID) {
		t.Errorf("holders: %+v", m.Holders)
	}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.EndReservation(ctx, want.ReservationID, noon.Add(time.Hour), "grace", store.EndedReleased)
	})
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.EndReservation(t.Context(), want.ReservationID, noon.Add(time.Hour), "grace", store.EndedReleased)
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("second release: %v", err)
	}
	var held []store.Held
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.AddReservation(t.Context(), store.Reservation{
			MachineID: m.ID, UserID: want.UserID, StartedAt: noon.Add(2 * time.Hour), CountedAt: noon.Add(2 * time.Hour),
		})
		if err != nil {
			return err
		}
		held, err = tx.Held(t.Context(), m.ID, want.UserID)
		return err
	})
	if err != nil || !slices.Equal(held, []store.Held{{Since: noon, Until: noon.Add(time.Hour)}, {Since: noon.Add(2 * time.Hour)}}) {
		t.Errorf("held: %+v, %v", held, err)
	}
}

func TestDiscoveredAddressesAreBounded(t *testing.T) {
	db, path := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i := range 50 {
			d := store.DiscoveredMAC{MAC: fmt.Sprintf("02:00:00:00:00:%02x", i), ClientArch: 7, TimesSeen: 1, LastSeenAt: noon.Add(time.Duration(i) * time.Second)}
			if err := tx.Discovered(ctx, d); err != nil {
				return err
			}
		}
		return tx.KeepDiscovered(ctx, 10)
	})
	raw, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	var all, newest int
	err = raw.QueryRowContext(t.Context(), `SELECT count(*), count(*) FILTER (WHERE mac >= '02:00:00:00:00:28') FROM discovered_macs`).Scan(&all, &newest)
	if err != nil || all != 10 || newest != 10 {
		t.Errorf("%d addresses are left, %d of them of the 10 newest (%v)", all, newest, err)
	}
}

func TestOldEventsAreForgottenAndNewOnesKept(t *testing.T) {
	db, _ := open(t)
	old := func() (found bool) {
		err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
			found, err = tx.HasEventsBefore(t.Context(), noon)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if old() {
		t.Error("an empty database has old events")
	}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(
			tx.AddEvent(ctx, store.Event{At: noon.Add(-time.Hour), Kind: "old"}),
			tx.AddEvent(ctx, store.Event{At: noon, Kind: "new", Machine: "web-01"}))
	})
	if !old() {
		t.Error("the old event is not seen")
	}
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.ForgetEvents(ctx, noon) })
	var left []store.Event
	err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
		left, err = tx.EventsAfter(t.Context(), 0, 10)
		return err
	})
	if err != nil || len(left) != 1 || left[0].Kind != "new" || old() {
		t.Errorf("left: %+v, %v", left, err)
	}
}

func TestBMCOfAMachine(t *testing.T) {
	db, _ := open(t)
	plain := store.BMC{Type: store.BMCPlain, Address: "10.0.0.1", Username: "u", Password: "p", CreatedAt: noon}
	cartridge := store.BMC{Type: store.BMCMoonshot, Address: "10.0.0.2", Username: "v", Password: "q", Slot: 7, CreatedAt: noon}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		id, err := addMachine(ctx, tx, "web-01")
		if err != nil {
			return err
		}
		if _, err := tx.MachineBMC(ctx, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the BMC of a machine that has none: %v", err)
		}
		for _, want := range []store.BMC{plain, cartridge, plain} { // a new one, which is changed, and back
			m, err := tx.MachineByID(ctx, id)
			if err != nil {
				return err
			}
			want.ID = m.BMCID
			if err := tx.SetMachineBMC(ctx, id, want); err != nil {
				return err
			}
			got, err := tx.MachineBMC(ctx, id)
			if err != nil {
				return err
			}
			if m.BMCID == 0 {
				want.ID = got.ID
			}
			if got != want {
				t.Errorf("BMC %+v, want %+v", got, want)
			}
			for address, there := range map[string]bool{want.Address: true, want.Address + "0": false, "10.0.0": false} {
				if found, err := tx.HasBMC(ctx, address); err != nil || found != there {
					t.Errorf("with a BMC at %s, one at %s: %t, %v", want.Address, address, found, err)
				}
			}
		}
		return nil
	})
}
