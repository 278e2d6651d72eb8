package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store/storetest"
)

// TestFullDiskEndsNoReservation runs itself again where it may have a small
// disk of its own, and fills it.
func TestFullDiskEndsNoReservation(t *testing.T) {
	const inside = "PROVISIONER_TEST_FULL_DATABASE"
	if os.Getenv(inside) == "" {
		unshare := []string{"--user", "--map-root-user", "--mount"}
		if out, err := exec.CommandContext(t.Context(), "unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("a small disk of one's own needs user namespaces: %v: %s", err, out)
			}
			t.Skipf("a small disk of one's own needs user namespaces: %v: %s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), "unshare", append(unshare, os.Args[0], "-test.run=^TestFullDiskEndsNoReservation$")...)
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	ctx := t.Context()
	f := &fixture{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	f.must(syscall.Mount("none", f.dir, "tmpfs", 0, "size=4m"))
	defer func() { f.must(syscall.Unmount(f.dir, 0)) }()
	var err error
	f.db, err = storetest.Open(ctx, filepath.Join(f.dir, "provisioner.db"))
	f.must(err)
	defer func() { f.must(f.db.Close()) }()
	f.Lab, err = lab.New(lab.Config{Store: f.db, DataDir: f.dir, Now: f.clock})
	f.must(err)
	defer func() { f.must(f.Close()) }()
	f.must(f.AddMachine(ctx, lab.Local, lab.NewMachine{Name: "web-01", Arch: "amd64", Subarch: "uefi"}))
	f.admin, f.ada, f.grace = f.login("root", true), f.login("ada", false), f.login("grace", false)
	f.site(func(s *lab.Site) { s.Grace = 0 })
	_, err = f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", For: time.Hour})
	f.must(err)
	waiting := f.wait(f.grace, lab.ReserveRequest{Machine: "web-01"})

	fill, err := os.Create(filepath.Join(f.dir, "fill"))
	f.must(err)
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	f.must(fill.Close())
	f.advance(2 * time.Hour)
	for err = nil; err == nil; { // what is left in the database's own files is used up first
		_, err = f.Extend(ctx, f.admin, "web-01", time.Minute)
	}
	f.refused(err, lab.Internal, "free space on the disk")
	f.advance(1000 * time.Hour)
	if _, err := f.TendReservations(ctx); err == nil {
		t.Error("a reservation was ended on a disk that is full")
	}
	if who, _ := f.holder("web-01"); who != "ada" {
		t.Errorf("it is held by %q", who)
	}
	if !f.Waiting(waiting.place) {
		t.Errorf("nobody waits any more: %v", waiting.err)
	}
	f.must(os.Remove(fill.Name()))
	f.tend()
	if who, _ := f.holder("web-01"); who != "grace" {
		t.Errorf("once there is room, it is held by %q", who)
	}
	f.gone(waiting)
}
