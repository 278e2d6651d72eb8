package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"provisioner/migrations"
	"provisioner/store"
)

func TestReservationsOfBeforeTermsHaveNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provisioner.db")
	old, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, old, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if _, err := old.ExecContext(t.Context(), `
		INSERT INTO users (id, name, role, created_at) VALUES (5, 'grace', 'user', 1);
		INSERT INTO machines (id, name, subarch_id, state, created_at) VALUES (3, 'web-07', 1, 'ready', 1);
		INSERT INTO reservations (id, machine_id, user_id, reason, started_at, ended_at) VALUES
			(8, 3, 5, 'bisect', 1000, 2000), (9, 3, 5, 'again', 3000, NULL)`); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, path)
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		history, err := tx.History(t.Context(), store.HistoryFilter{Limit: 10})
		if err != nil || len(history) != 2 {
			t.Fatalf("history: %+v, %v", history, err)
		}
		now, before := history[0], history[1]
		if now.ID != 9 || now.Machine != "web-07" || now.User != "grace" || now.Reason != "again" || !now.ExpiresAt.IsZero() || !now.EndedAt.IsZero() {
			t.Errorf("what is held: %+v", now)
		}
		if before.ID != 8 || before.EndedWhy != store.EndedReleased || before.EndedAt.UnixMilli() != 2000 {
			t.Errorf("what was held: %+v", before)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// heldMachine adds a machine that a new user holds, and returns the reservation.
func heldMachine(ctx context.Context, tx *store.Tx, machine, user string) (r store.Reservation, err error) {
	if r.MachineID, err = addMachine(ctx, tx, machine); err != nil {
		return r, err
	}
	if r.UserID, err = tx.AddUser(ctx, store.User{Name: user, Role: store.RoleUser, CreatedAt: noon}); err != nil {
		return r, err
	}
	r.StartedAt, r.CountedAt, r.Reason = noon, noon, "bisect"
	r.ID, err = tx.AddReservation(ctx, r)
	return r, err
}

func TestHistoryOutlivesMachinesAndUsers(t *testing.T) {
	db, _ := open(t)
	var r store.Reservation
	write(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		r, err = heldMachine(ctx, tx, "web-01", "grace")
		return err
	})
	err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.DeleteUser(t.Context(), r.UserID) })
	if err == nil {
		t.Error("who holds a machine could be forgotten: nobody would hold it, and nobody else could")
	}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.EndReservation(ctx, r.ID, noon.Add(time.Hour), "grace", store.EndedReleased); err != nil {
			return err
		}
		return tx.DeleteUser(ctx, r.UserID)
	})
	for _, filter := range []store.HistoryFilter{{Limit: 5}, {User: "Grace", Limit: 5}, {Machine: "WEB-01", Limit: 5}, {Since: noon.Add(time.Hour), Limit: 5}} {
		err = db.Read(t.Context(), func(tx *store.Tx) error {
			history, err := tx.History(t.Context(), filter)
			if err != nil || len(history) != 1 || history[0].User != "grace" || history[0].UserID != 0 || history[0].EndedBy != "grace" {
				t.Errorf("%+v: %+v, %v", filter, history, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, filter := range []store.HistoryFilter{{Since: noon.Add(2 * time.Hour), Limit: 5}, {Before: r.ID, Limit: 5}, {User: "ada", Limit: 5}, {Machine: "web-02", Limit: 5}} {
		err = db.Read(t.Context(), func(tx *store.Tx) error {
			if history, err := tx.History(t.Context(), filter); err != nil || len(history) != 0 {
				t.Errorf("%+v: %+v, %v", filter, history, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestAReservationKeepsItsTermAndItsLender(t *testing.T) {
	db, _ := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		r, err := heldMachine(ctx, tx, "web-01", "grace")
		if err != nil {
			return err
		}
		ada, err := tx.AddUser(ctx, store.User{Name: "ada", Role: store.RoleUser, CreatedAt: noon})
		if err != nil {
			return err
		}
		want := store.Reservation{
			ID: r.ID, MachineID: r.MachineID, Machine: "web-01", UserID: r.UserID, User: "grace", Reason: "more", StartedAt: noon, CountedAt: noon,
			ExpiresAt: noon.Add(4 * time.Hour), WarnedAt: noon.Add(3 * time.Hour), OverAt: noon.Add(5 * time.Hour), IdleAt: noon.Add(time.Hour),
		}
		lender := store.Lender{UserID: ada, User: "ada", Reason: "for both", ExpiresAt: noon.Add(6 * time.Hour)}
		changed := want
		changed.Lender = &lender
		if err := tx.UpdateReservation(ctx, changed); err != nil {
			return err
		}
		got, err := tx.Reservation(ctx, r.ID)
		if err != nil || got.Lender == nil || *got.Lender != lender {
			t.Errorf("lender: %+v, %v", got.Lender, err)
		}
		got.Lender = nil
		if got != want {
			t.Errorf("reservation: %+v; want %+v", got, want)
		}
		for at, n := range map[time.Time]int{noon.Add(4*time.Hour - 1): 0, noon.Add(4 * time.Hour): 1} {
			if soon, err := tx.ReservationsEndingBy(ctx, at); err != nil || len(soon) != n {
				t.Errorf("ending by %v: %d, %v", at, len(soon), err)
			}
		}
		m, err := tx.Machine(ctx, "web-01")
		if err != nil || m.Holders[0].LentBy != "ada" || !m.Holders[0].Until.Equal(want.ExpiresAt) {
			t.Errorf("holders: %+v, %v", m.Holders, err)
		}
		return err
	})
}

func TestQueueIsInOrder(t *testing.T) {
	db, _ := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		r, err := heldMachine(ctx, tx, "web-01", "grace")
		if err != nil {
			return err
		}
		var ids []int64
		for _, p := range []store.Place{
			{Query: "first"}, {Query: "urgent", Priority: 5, Keep: true, Admin: true, Term: 90 * time.Second}, {MachineID: r.MachineID}, {Query: "patient", Priority: -1},
		} {
			p.UserID, p.CreatedAt, p.SeenAt, p.Reason = r.UserID, noon, noon, "CI"
			id, err := tx.AddPlace(ctx, p)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		queue, err := tx.Queue(ctx)
		if err != nil || len(queue) != 4 || queue[0].ID != ids[1] || queue[1].ID != ids[0] || queue[2].ID != ids[2] || queue[3].ID != ids[3] {
			t.Fatalf("queue: %+v, %v", queue, err)
		}
		if p := queue[0]; p.User != "grace" || !p.Keep || !p.Admin || p.Term != 90*time.Second || p.Reason != "CI" || !p.SeenAt.Equal(noon) {
			t.Errorf("place: %+v", p)
		}
		if queue[2].Machine != "web-01" {
			t.Errorf("place for a machine: %+v", queue[2])
		}
		if err := tx.GrantPlace(ctx, ids[1], r.ID); err != nil {
			return err
		}
		if err := tx.GrantPlace(ctx, ids[1], r.ID); err == nil {
			t.Error("a place was granted twice")
		}
		granted, err := tx.GrantedPlaces(ctx)
		if err != nil || len(granted) != 1 || granted[0].Got != "web-01" {
			t.Errorf("granted: %+v, %v", granted, err)
		}
		if queue, err = tx.Queue(ctx); err != nil || len(queue) != 3 {
			t.Errorf("queue afterwards: %d, %v", len(queue), err)
		}
		return err
	})
}

func TestPoolsAreForTheirGroups(t *testing.T) {
	db, _ := open(t)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		r, err := heldMachine(ctx, tx, "web-01", "grace")
		if err != nil {
			return err
		}
		may := func(want bool, when string) {
			t.Helper()
			if got, err := tx.MayUsePools(ctx, r.MachineID, r.UserID); err != nil || got != want {
				t.Errorf("%s: %t, %v", when, got, err)
			}
		}
		may(true, "in no pool")
		ci, err := tx.AddPool(ctx, "ci")
		if err != nil {
			return err
		}
		big, err := tx.AddPool(ctx, "big")
		if err != nil {
			return err
		}
		group, err := tx.AddGroup(ctx, "kernel")
		if err != nil {
			return err
		}
		for _, pool := range []int64{ci, big} {
			if err := tx.SetPoolMachine(ctx, pool, r.MachineID, true); err != nil {
				return err
			}
		}
		may(false, "in pools of nobody")
		if err := tx.SetPoolGroup(ctx, big, group, true); err != nil {
			return err
		}
		may(false, "in a pool of others")
		if err := tx.SetGroupMember(ctx, group, r.UserID, true); err != nil {
			return err
		}
		may(true, "in a pool of a group")
		if pools, err := tx.PoolsOf(ctx, r.MachineID); err != nil || len(pools) != 2 || pools[0] != "big" {
			t.Errorf("pools: %v, %v", pools, err)
		}
		if err := tx.SetGroupMember(ctx, group, r.UserID, false); err != nil {
			return err
		}
		may(false, "who left the group")
		for _, pool := range []int64{ci, big} {
			if err := tx.DeletePool(ctx, pool); err != nil {
				return err
			}
		}
		may(true, "in no pool any more")
		return nil
	})
}
