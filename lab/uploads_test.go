package lab_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

func (f *fixture) upload(name string, size int64) lab.UploadState {
	f.t.Helper()
	state, err := f.CreateUpload(f.t.Context(), f.ada, kernel(name), size)
	f.must(err)
	return state
}

func (f *fixture) continued(state lab.UploadState, content io.Reader) (lab.UploadState, error) {
	return f.ContinueUpload(f.t.Context(), f.ada, state.ID, state.Offset, content)
}

func TestUploadIsContinuedByTheNextServer(t *testing.T) {
	f := newFixture(t)
	state := f.upload("linux-6", 12)
	state, err := f.continued(state, iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("hello"))))
	if err == nil || state.Offset != 1 {
		t.Fatalf("an upload that was torn after a byte: %+v, %v", state, err)
	}
	state, err = f.continued(state, strings.NewReader("ello"))
	f.must(err)

	// What is not in the database is not on the disk for sure.
	file, err := os.OpenFile(filepath.Join(f.dir, "images", "uploads", state.ID), os.O_WRONLY|os.O_APPEND, 0)
	f.must(err)
	_, err = file.WriteString("\x00\x00\x00")
	f.must(errors.Join(err, file.Close()))

	next, err := lab.New(lab.Config{Store: f.db, DataDir: f.dir, Now: f.clock})
	f.must(err)
	defer func() { f.must(next.Close()) }()
	known, err := next.Upload(t.Context(), f.ada, state.ID)
	if err != nil || known != state {
		t.Errorf("%+v, %v; want %+v", known, err, state)
	}
	state, err = next.ContinueUpload(t.Context(), f.ada, state.ID, 5, strings.NewReader(", world and more"))
	if err != nil || !state.Done || state.Offset != 12 {
		t.Fatalf("%+v, %v", state, err)
	}
	image, err := f.Image(t.Context(), f.ada, "linux-6")
	if err != nil || image.SHA256 != sumOf("hello, world") {
		t.Errorf("image: %+v, %v", image, err)
	}
	if left := f.files("uploads"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUploadIsOfOnePersonAndOneRequest(t *testing.T) {
	f := newFixture(t)
	state := f.upload("linux-6", 5)
	_, err := f.ContinueUpload(t.Context(), f.grace, state.ID, 0, strings.NewReader("hello"))
	f.refused(err, lab.NotFound, "no such upload of yours")
	f.refused(f.CancelUpload(t.Context(), f.grace, state.ID), lab.NotFound)

	from, to := io.Pipe()
	ended := make(chan error, 1)
	go func() { // ends with the pipe
		_, err := f.continued(state, from)
		ended <- err
	}()
	_, err = to.Write([]byte("he"))
	f.must(err)
	_, err = f.continued(state, strings.NewReader("hello"))
	f.refused(err, lab.Conflict, "another request is sending it")
	_, err = to.Write([]byte("llo"))
	f.must(err)
	f.must(to.Close())
	f.must(<-ended)
	if _, err := f.continued(lab.UploadState{ID: state.ID, Offset: 5}, strings.NewReader("")); err != nil {
		t.Errorf("a request that was repeated: %v", err)
	}

	for i := range 8 {
		f.upload("begun-"+string(rune('a'+i)), 5)
	}
	_, err = f.CreateUpload(t.Context(), f.ada, kernel("one too many"), 5)
	f.refused(err, lab.Conflict, "8 unfinished uploads")
	_, err = f.CreateUpload(t.Context(), f.grace, kernel("of another"), 5)
	f.must(err)
	_, err = f.CreateUpload(t.Context(), lab.Local, kernel("of nobody"), 5)
	f.refused(err, lab.Denied)
}

func TestWhatNobodyContinuesIsSwept(t *testing.T) {
	f := newFixture(t)
	old := f.upload("old", 5)
	f.advance(23 * time.Hour)
	young := f.upload("young", 5)
	open, err := f.BeginImage(t.Context(), f.ada, kernel("open"))
	f.must(err)
	stray := filepath.Join(f.dir, "images", "uploads", "stray")
	f.must(os.WriteFile(stray, []byte("torn by the end of its process"), 0o600))
	recent := filepath.Join(f.dir, "images", "uploads", "recent")
	f.must(os.WriteFile(recent, []byte("may be of a process that has just made it"), 0o600))
	f.advance(2 * time.Hour)
	for _, name := range f.files("uploads") {
		if name != "recent" {
			longAgo := f.clock().Add(-2 * time.Hour)
			f.must(os.Chtimes(filepath.Join(f.dir, "images", "uploads", name), longAgo, longAgo))
		}
	}
	f.must(os.Chtimes(recent, f.clock(), f.clock()))

	f.must(f.SweepUploads(t.Context()))

	if _, err := f.Upload(t.Context(), f.ada, old.ID); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("the old one: %v", err)
	}
	if _, err := f.continued(young, strings.NewReader("hello")); err != nil {
		t.Errorf("the young one: %v", err)
	}
	if left := f.files("uploads"); len(left) != 2 || !slices.Contains(left, "recent") {
		t.Errorf("left: %v", left)
	}
	_, err = open.Write([]byte("open"))
	f.must(err)
	f.must(open.Commit(t.Context()))
	open.Discard()
}

// TestFullDisk runs itself again where it may have a small disk of its own.
func TestFullDisk(t *testing.T) {
	const inside = "PROVISIONER_TEST_SMALL_DISK"
	if os.Getenv(inside) == "" {
		unshare := []string{"--user", "--map-root-user", "--mount"}
		if out, err := exec.CommandContext(t.Context(), "unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("a small disk of one's own needs user namespaces: %v: %s", err, out)
			}
			t.Skipf("a small disk of one's own needs user namespaces: %v: %s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), "unshare", append(unshare, os.Args[0], "-test.run=^TestFullDisk$")...)
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	f := &fixture{t: t, dir: t.TempDir(), now: time.Now()}
	images := filepath.Join(f.dir, "images")
	f.must(os.Mkdir(images, 0o700))
	f.must(syscall.Mount("none", images, "tmpfs", 0, "size=1m"))
	defer func() { f.must(syscall.Unmount(images, 0)) }()
	var err error
	f.db, err = storetest.Open(t.Context(), filepath.Join(f.dir, "provisioner.db"))
	f.must(err)
	defer func() { f.must(f.db.Close()) }()
	f.Lab, err = lab.New(lab.Config{Store: f.db, DataDir: f.dir, Now: f.clock})
	f.must(err)
	defer func() { f.must(f.Close()) }()
	f.ada = f.login("ada", false)

	zeros := func(n int64) io.Reader { return strings.NewReader(strings.Repeat("\x00", int(n))) }
	f.must(f.AddImage(t.Context(), f.ada, kernel("small"), zeros(1<<10)))
	f.refused(f.AddImage(t.Context(), f.ada, kernel("large"), zeros(2<<20)), lab.Unavailable, "add image large", "disk of the data folder is full", "free space")
	state := f.upload("large", 2<<20)
	state, err = f.continued(state, zeros(2<<20))
	f.refused(err, lab.Unavailable, "disk of the data folder is full")
	if _, err := f.Upload(t.Context(), f.ada, state.ID); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("an upload that fills the disk goes on filling it: %v", err)
	}
	if left := f.files("uploads"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	f.must(f.AddImage(t.Context(), f.ada, kernel("again"), zeros(512<<10)))
}

func TestTokenIsGoodForItsScopeAndTerm(t *testing.T) {
	f := newFixture(t)
	token, err := f.CreateToken(t.Context(), lab.Local, lab.NewToken{User: "root", Name: "ci"})
	f.must(err)
	actor, err := f.Authenticate(t.Context(), token, store.ScopeOperate, "192.0.2.1:1")
	f.must(err)
	if actor.User.Name != "root" || actor.IsAdmin() || actor.Via != "token ci" || actor.Remote != "192.0.2.1:1" {
		t.Errorf("actor: %+v", actor)
	}
	_, err = f.Authenticate(t.Context(), token, store.ScopeAdmin, "")
	f.refused(err, lab.Denied, "for operate only")
	hash := sha256.Sum256([]byte("short-lived"))
	f.must(f.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.AddToken(t.Context(), store.Token{
			UserID: f.admin.User.ID, Hash: hash[:], Scope: store.ScopeAdmin, CreatedAt: f.clock(), ExpiresAt: f.clock().Add(time.Hour),
		})
		return err
	}))
	actor, err = f.Authenticate(t.Context(), "short-lived", store.ScopeAdmin, "")
	if err != nil || !actor.IsAdmin() {
		t.Errorf("a token for admins: %+v, %v", actor, err)
	}
	f.advance(time.Hour)
	_, err = f.Authenticate(t.Context(), "short-lived", store.ScopeRead, "")
	f.refused(err, lab.Denied, "it has expired")
	for _, wrong := range []string{"", "x", token + "x", strings.ToUpper(token)} {
		_, err := f.Authenticate(t.Context(), wrong, store.ScopeRead, "")
		f.refused(err, lab.Denied, "not valid")
		if !errors.Is(err, lab.ErrToken) || wrong != "" && strings.Contains(err.Error(), wrong+" ") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
