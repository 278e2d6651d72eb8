package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"provisioner/migrations"
)

// lifeOfALab is what the first release could keep, of everything that others
// refer to: accounts, a machine that is held and was installed, what it did.
const lifeOfALab = `
	INSERT INTO users (id, name, role, created_at) VALUES (1, 'root', 'admin', 1), (2, 'ada', 'user', 2);
	INSERT INTO ssh_keys (user_id, fingerprint, public_key, created_at) VALUES (2, 'SHA256:x', 'ssh-ed25519 AAAA', 2);
	INSERT INTO tokens (user_id, hash, scope, created_at) VALUES (2, x'00', 'operate', 2);
	INSERT INTO images (id, name, type, arch_id, filename, sha256, size, user_id, uploaded_at)
	  VALUES (4, 'linux', 'kernel', 1, 'vmlinuz', 'ab', 3, 2, 3);
	INSERT INTO preseeds (id, name, type, content, user_id, created_at, updated_at) VALUES (5, 'debian', 'preseed', 'x', 2, 3, 3);
	INSERT INTO bmcs (id, address, username, password, created_at) VALUES (7, '10.0.0.9', 'root', 'calvin', 1);
	INSERT INTO machines (id, name, subarch_id, bmc_id, state, kernel_id, preseed_id, created_at)
	  VALUES (3, 'web-07', 1, 7, 'provisioning', 4, 5, 1);
	INSERT INTO networks (id, name, subnet_v4) VALUES (6, 'lab', '10.0.0.0/24');
	INSERT INTO interfaces (machine_id, mac, network_id, configured_ipv4) VALUES (3, '52:54:00:00:00:01', 6, '10.0.0.10');
	INSERT INTO leases (mac, ipv4, started_at, expires_at) VALUES ('52:54:00:00:00:01', '10.0.0.10', 4, 5);
	INSERT INTO reservations (id, machine_id, user_id, reason, started_at, ended_at) VALUES (8, 3, 1, 'old', 1, 2), (9, 3, 2, 'new', 3, NULL);
	INSERT INTO runs (id, machine_id, user_id, kernel_id, preseed_id, token, state, stage, started_at)
	  VALUES (10, 3, 2, 4, 5, 't', 'running', 'kernel', 6);
	INSERT INTO events (id, at, kind, machine, user, run_id) VALUES (11, 6, 'stage', 'web-07', 'ada', 10);
	INSERT INTO audit (id, at, actor, via, action, subject) VALUES (12, 6, 'ada', 'key', 'provision', 'web-07')`

// kept are the columns of its tables that every schema has.
var kept = []struct{ table, columns string }{
	{"users", "id, name, role, created_at"}, {"ssh_keys", "user_id, fingerprint, public_key"}, {"tokens", "user_id, hex(hash), scope"},
	{"images", "id, name, type, filename, sha256, user_id"}, {"preseeds", "id, name, type, content, user_id"},
	{"bmcs", "id, address, username, password"}, {"machines", "id, name, subarch_id, bmc_id, state, kernel_id, preseed_id"},
	{"networks", "id, name, subnet_v4"}, {"interfaces", "machine_id, mac, network_id, configured_ipv4"}, {"leases", "mac, ipv4"},
	{"reservations", "id, machine_id, user_id, reason, started_at, ended_at"},
	{"runs", "id, machine_id, user_id, kernel_id, preseed_id, token, state, stage"}, {"events", "id, at, kind, machine, user, run_id"},
	{"audit", "id, at, actor, via, action, subject"},
}

// TestEveryMigrationKeepsWhatThereIsUpAndDown takes a filled database from the
// first schema to that of today, back step by step, and up again.
func TestEveryMigrationKeepsWhatThereIsUpAndDown(t *testing.T) {
	db, err := sql.Open("sqlite3", filepath.Join(t.TempDir(), "provisioner.db")+"?_foreign_keys=on")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), lifeOfALab); err != nil {
		t.Fatal(err)
	}
	before := tell(t, db)
	newest := len(provider.ListSources())
	check := func(what string, version int) {
		t.Helper()
		if after := tell(t, db); after != before {
			t.Fatalf("%s to schema %d:\n%s\nwas\n%s", what, version, after, before)
		}
	}
	for version := 2; version <= newest; version++ {
		if _, err := provider.UpTo(t.Context(), int64(version)); err != nil {
			t.Fatal(err)
		}
		check("up", version)
	}
	fillTodaysTables(t, db)
	for version := newest - 1; version >= 1; version-- {
		if _, err := provider.DownTo(t.Context(), int64(version)); err != nil {
			t.Fatalf("down to schema %d: %v", version, err)
		}
		check("down", version)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("up again", newest)
}

// fillTodaysTables adds what the first schema did not know, and so cannot keep.
func fillTodaysTables(t *testing.T, db *sql.DB) {
	t.Helper()
	var stages int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM run_stages WHERE run_id = 10 AND stage = 'kernel' AND at = 6`).Scan(&stages); err != nil || stages != 1 {
		t.Errorf("a run of before has %d stages, %v", stages, err)
	}
	if _, err := db.ExecContext(t.Context(), `
		UPDATE users SET disabled = 1 WHERE id = 2;
		INSERT INTO spent_ids (kind, id) VALUES ('machines', 99);
		INSERT INTO run_stages (run_id, stage, at) VALUES (10, 'initrd', 7);
		INSERT INTO user_groups (id, name) VALUES (1, 'kernel');
		INSERT INTO group_members (group_id, user_id) VALUES (1, 2);
		INSERT INTO pools (id, name) VALUES (1, 'fast');
		INSERT INTO pool_machines (pool_id, machine_id) VALUES (1, 3);
		INSERT INTO pool_groups (pool_id, group_id) VALUES (1, 1);
		INSERT INTO queue (user_id, machine_id, created_at, seen_at) VALUES (1, 3, 7, 7);
		INSERT INTO webhooks (url, secret, position, created_at) VALUES ('https://x', 's', 0, 7)`); err != nil {
		t.Fatal(err)
	}
}

// tell writes down what a database has of a lab's life, and that nothing
// refers to what is not there.
func tell(t *testing.T, db *sql.DB) string {
	t.Helper()
	if broken := rowsOf(t, db, `SELECT "table", rowid, parent FROM pragma_foreign_key_check`); broken != "" {
		t.Fatalf("references to nothing: %s", broken)
	}
	var text strings.Builder
	for _, k := range kept {
		fmt.Fprintf(&text, "%s: %s\n", k.table, rowsOf(t, db, "SELECT "+k.columns+" FROM "+k.table+" ORDER BY 1, 2"))
	}
	return text.String()
}

func rowsOf(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&text, values...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
