package boot

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestCleanPath(t *testing.T) {
	for name, want := range map[string]string{
		"grub/grub.cfg":          "grub/grub.cfg",
		"/vmlinuz":               "vmlinuz",
		"///a//b/./c/":           "a/b/c",
		`\boot\x86\wdsnbp.com`:   "boot/x86/wdsnbp.com",
		"a/..b/c..":              "a/..b/c..",
		"ünï/köde":               "ünï/köde",
		strings.Repeat("x", 255): strings.Repeat("x", 255),
	} {
		if got, err := CleanPath(name); got != want || err != nil {
			t.Errorf("CleanPath(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{
		"", "/", "./", "..", "../x", "a/../b", `a\..\..\b`, "/..", "a\x00b", "\xff", strings.Repeat("x", 256),
	} {
		if got, err := CleanPath(name); err == nil {
			t.Errorf("CleanPath(%q) = %q, want an error", name, got)
		}
	}
}

// makeRoot makes a folder with a file, links inside and out of it, a folder
// and a FIFO, and a secret beside it.
func makeRoot(t testing.TB) *os.Root {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "root")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "folder"), 0o755),
		os.WriteFile(filepath.Join(base, "secret"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600),
		os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600),
		os.Symlink("../file", filepath.Join(dir, "folder", "inside")),
		os.Symlink("../secret", filepath.Join(dir, "outside")),
		os.Symlink(filepath.Join(base, "secret"), filepath.Join(dir, "absolute")),
		os.Symlink("..", filepath.Join(dir, "up")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
		syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestOpenInRootOpensOnlyRegularFilesBelowTheRoot(t *testing.T) {
	root := makeRoot(t)
	for _, name := range []string{"file", "/file", `\folder\inside`} {
		file, err := OpenInRoot(root, name)
		if err != nil {
			t.Errorf("open %s: %v", name, err)
			continue
		}
		content, err := io.ReadAll(file)
		if string(content) != "content" || err != nil || file.Size() != 7 {
			t.Errorf("%s holds %q, %v, size %d", name, content, err, file.Size())
		}
		file.Close()
	}
	for _, name := range []string{
		"outside", "absolute", "up/secret", "../secret", "folder", "folder/", "fifo", "loop", "/", "", "file/x",
	} {
		if file, err := OpenInRoot(root, name); err == nil {
			file.Close()
			t.Errorf("%q was opened", name)
		}
	}
	if _, err := OpenInRoot(root, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of a file that is not there: %v", err)
	}
}

func FuzzCleanPath(f *testing.F) {
	for _, name := range []string{"/a/b", `\a\..\b`, "a//./b", "..", "\x00", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		path, err := CleanPath(name)
		if err != nil {
			return
		}
		if !filepath.IsLocal(path) || path != filepath.Clean(path) || len(path) > maxPath ||
			bytes.ContainsAny([]byte(path), "\\\x00") || slices.Contains(strings.Split(path, "/"), "..") {
			t.Fatalf("CleanPath(%q) = %q", name, path)
		}
		if again, err := CleanPath(path); again != path || err != nil {
			t.Fatalf("CleanPath(%q) = %q, %v", path, again, err)
		}
	})
}
