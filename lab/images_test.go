package lab_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// kernel is an image that ada or grace may add.
func kernel(name string) lab.NewImage {
	return lab.NewImage{Name: name, Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz"}
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// files are the names in the folder of images, without the content that the
// fixture has added.
func (f *fixture) files(folder string) (names []string) {
	f.t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.dir, "images", folder))
	f.must(err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestImagesOfTheSameContentShareAFile(t *testing.T) {
	f := newFixture(t)
	before := len(f.files("."))
	f.must(f.AddImage(t.Context(), f.ada, kernel("a1"), strings.NewReader("same")))
	f.must(f.AddImage(t.Context(), f.grace, kernel("a2"), strings.NewReader("same")))
	if n := len(f.files(".")); n != before+1 {
		t.Errorf("%d files for two images of one content", n-before)
	}
	f.must(f.RemoveImage(t.Context(), f.ada, "a1", false))
	if !slices.Contains(f.files("."), sumOf("same")) {
		t.Error("the file went with the first of two images")
	}
	f.must(f.RemoveImage(t.Context(), f.grace, "a2", false))
	if n := len(f.files(".")); n != before {
		t.Errorf("%d files are left of none", n-before)
	}
	f.refused(f.RemoveImage(t.Context(), f.grace, "a2", false), lab.NotFound, `no image "a2"`)
}

func TestContentIsWhatWasAnnounced(t *testing.T) {
	f := newFixture(t)
	image := kernel("announced")
	image.SHA256 = strings.ToUpper(sumOf("right"))
	f.refused(f.AddImage(t.Context(), f.ada, image, strings.NewReader("wrong")), lab.Invalid, sumOf("wrong"), image.SHA256)
	f.must(f.AddImage(t.Context(), f.ada, image, strings.NewReader("right")))
	shown, err := f.Image(t.Context(), f.ada, "announced")
	f.must(err)
	if shown.SHA256 != sumOf("right") || shown.Size != 5 || shown.Owner != "ada" {
		t.Errorf("image: %+v", shown)
	}
	image = kernel("bad-sum")
	image.SHA256 = "12"
	f.refused(f.AddImage(t.Context(), f.ada, image, strings.NewReader("x")), lab.Invalid, "64 hexadecimal digits")
	if left := f.files("uploads"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestImageInUseIsNotRemovedAndNamesItsUsers(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.must(f.AddImage(t.Context(), f.ada, kernel("mine"), strings.NewReader("mine")))
	f.must(f.Provision(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "mine", Initrd: "initrd"}))
	f.refused(f.RemoveImage(t.Context(), f.ada, "mine", false), lab.Conflict, "remove image mine: it is being installed on web-01")
	f.refused(f.RemoveImage(t.Context(), f.admin, "mine", true), lab.Conflict, "it is being installed on web-01")
	f.refused(f.RemoveImage(t.Context(), f.admin, "initrd", false), lab.Conflict, "web-01")
	f.must(f.EndRun(t.Context(), f.ada, "web-01"))
	f.refused(f.RemoveImage(t.Context(), f.ada, "mine", false), lab.Conflict, "it was last installed on web-01")
	f.refused(f.RemoveImage(t.Context(), f.ada, "mine", true), lab.Conflict, "web-01")
	f.refused(f.RemoveImage(t.Context(), f.grace, "mine", false), lab.Denied, "only ada or an admin may")
	f.must(f.RemoveImage(t.Context(), f.admin, "mine", true))
	f.refused(f.RemoveImage(t.Context(), f.admin, "grub", true), lab.Conflict, "it is the bootloader of amd64/uefi")
}

func TestImageIsChangedByItsOwnerAndAdmins(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddImage(t.Context(), f.ada, kernel("mine"), strings.NewReader("mine")))
	yes, text, initrd, arm, bootloader := true, "6.12 with the fix", store.ImageInitrd, "arm64", store.ImageBootloader
	other, taken, vax, bad := "yours", "linux", "vax", "a/b"
	change := func(actor lab.Actor, name string, c lab.ImageChange) error {
		return f.ChangeImage(t.Context(), actor, name, c)
	}
	if _, err := f.Image(t.Context(), f.grace, "mine"); lab.CodeOf(err) != lab.Denied {
		t.Errorf("somebody else's private image: %v", err)
	}
	f.refused(change(f.grace, "mine", lab.ImageChange{Public: &yes}), lab.Denied, "only ada or an admin may")
	f.must(change(f.ada, "mine", lab.ImageChange{Public: &yes, Description: &text, Arch: &arm, Type: &initrd}))
	f.must(change(f.admin, "mine", lab.ImageChange{KnownGood: &yes, Name: &other}))
	f.refused(change(f.ada, "yours", lab.ImageChange{Name: &taken}), lab.Conflict, `"linux"`)
	f.refused(change(f.ada, "yours", lab.ImageChange{Arch: &vax}), lab.NotFound, "vax")
	f.refused(change(f.ada, "yours", lab.ImageChange{Filename: &bad}), lab.Invalid, "a/b")
	f.refused(change(f.ada, "yours", lab.ImageChange{Type: &bootloader}), lab.Denied, "only an admin")
	f.refused(change(f.admin, "yours", lab.ImageChange{Type: &bootloader}), lab.Invalid, "add it again")
	f.refused(change(f.admin, "grub", lab.ImageChange{Arch: &arm}), lab.Conflict, "bootloader of amd64/uefi")
	image, err := f.Image(t.Context(), f.grace, "yours")
	f.must(err)
	if !image.Public || !image.KnownGood || image.Description != text || image.Arch != arm || image.Type != initrd || image.Owner != "ada" {
		t.Errorf("image: %+v", image)
	}
}

// events are those of a kind, the newest first.
func (f *fixture) events(kind string) (found []store.Event) {
	f.t.Helper()
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) error {
		events, err := tx.EventsAfter(f.t.Context(), 0, 10000)
		for _, e := range events {
			if e.Kind == kind {
				found = append(found, e)
			}
		}
		return err
	}))
	return found
}

// TestDamagedFileIsNotServed changes files behind the lab's back.
func TestDamagedFileIsNotServed(t *testing.T) {
	f := newFixture(t)
	const grub = "bootloaders/amd64/uefi/grubx64.efi"
	client := netip.MustParseAddrPort("192.0.2.7:1069")
	path := filepath.Join(f.dir, "images", sumOf("content of grub"))
	served := func(l *lab.Lab) (string, error) {
		file, err := l.BootFile(t.Context(), grub, client)
		if err != nil {
			return "", err
		}
		content, err := io.ReadAll(file)
		return string(content), errors.Join(err, file.Close())
	}
	if content, err := served(f.Lab); err != nil || content != "content of grub" {
		t.Fatalf("%q, %v", content, err)
	}
	// Of the same size, at another time: it was written since.
	f.must(os.WriteFile(path, []byte("CONTENT of grub"), 0o600))
	f.must(os.Chtimes(path, time.Now(), time.Now().Add(time.Minute)))
	for range 3 {
		_, err := served(f.Lab)
		f.refused(err, lab.Unavailable, "bootloader grub", "damaged", sumOf("CONTENT of grub"))
	}
	if events := f.events(lab.EventImageDamaged); len(events) != 1 || !strings.Contains(events[0].Detail, "grub") {
		t.Errorf("events: %+v", events)
	}
	// The same content once more mends it, for the image that has it already.
	f.must(f.AddImage(t.Context(), f.ada, kernel("same as grub"), strings.NewReader("content of grub")))
	if content, err := served(f.Lab); err != nil || content != "content of grub" {
		t.Errorf("after it was mended: %q, %v", content, err)
	}

	// A start knows nothing of what was read before it.
	info, err := os.Stat(path)
	f.must(err)
	f.must(os.WriteFile(path, []byte("Content of grub"), 0o600))
	f.must(os.Chtimes(path, info.ModTime(), info.ModTime()))
	if content, err := served(f.Lab); err != nil || content != "Content of grub" {
		t.Errorf("a file that looks as before is not read each time: %q, %v", content, err)
	}
	cold, err := lab.New(lab.Config{Store: f.db, DataDir: f.dir, Now: f.clock})
	f.must(err)
	defer func() { f.must(cold.Close()) }()
	_, err = served(cold)
	f.refused(err, lab.Unavailable, "damaged")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cold.BootFile(ended, grub, client); err == nil {
		t.Error("a boot request that was given up is answered")
	}
}

func TestImageIsImportedFromAnAddress(t *testing.T) {
	f := newFixture(t)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/linux":
			_, _ = w.Write([]byte("imported"))
		case "/moved":
			http.Redirect(w, r, "/linux", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/file":
			w.Header().Set("Location", "file:///etc/shadow")
			w.WriteHeader(http.StatusFound)
		case "/torn":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		case "/huge":
			w.Header().Set("Content-Length", "99999999999999")
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	add := func(actor lab.Actor, name, from string) error {
		return f.ImportImage(t.Context(), actor, kernel(name), from)
	}
	f.must(add(lab.Local, "imported", site.URL+"/moved"))
	image, err := f.Image(t.Context(), f.admin, "imported")
	f.must(err)
	if image.SHA256 != sumOf("imported") {
		t.Errorf("image: %+v", image)
	}
	for _, test := range []struct {
		actor lab.Actor
		from  string
		code  lab.Code
		words string
	}{
		{f.ada, site.URL + "/linux", lab.Denied, "only an admin"},
		{f.admin, site.URL + "/linux", lab.Denied, "127.0.0.1 is an address of the server itself"},
		{f.admin, "http://169.254.169.254/latest/meta-data", lab.Denied, "link-local"},
		{f.admin, "http://[::ffff:127.0.0.1]:1/", lab.Denied, "127.0.0.1"},
		{f.admin, "http://0.0.0.0:1/", lab.Denied, "0.0.0.0"},
		{f.admin, "file:///etc/shadow", lab.Invalid, "http://"},
		{f.admin, "http://user:hunter2@\x7f/", lab.Invalid, "cannot be read"},
		{lab.Local, "ftp://user:hunter2@host/", lab.Invalid, "http://"},
		{lab.Local, site.URL + "/none", lab.Unavailable, "404"},
		{lab.Local, site.URL + "/round", lab.Unavailable, "redirected more than 5 times"},
		{lab.Local, site.URL + "/file", lab.Invalid, "neither http nor https"},
		{lab.Local, site.URL + "/torn", lab.Unavailable, "unexpected EOF"},
		{lab.Local, site.URL + "/huge", lab.Invalid, "at most"},
		{lab.Local, "http://127.0.0.1:1/", lab.Unavailable, "connection refused"},
	} {
		err := add(test.actor, "never", test.from)
		f.refused(err, test.code, test.words)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q tells a password", err)
		}
	}
	if left := f.files("uploads"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
