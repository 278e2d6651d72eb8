package boot

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// oldFile makes a file that has been left alone.
func oldFile(t *testing.T, root *os.Root, name string, content []byte) {
	t.Helper()
	if err := root.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour)
	if err := root.Chtimes(name, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
}

func openRoot(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// use reads a file through the cache and returns it with its release.
func use(t *testing.T, c *fileCache, root *os.Root, name string) ([]byte, func()) {
	t.Helper()
	file, err := OpenInRoot(root, name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	from, release := c.content(file)
	content, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return content, release
}

func TestCacheIsBounded(t *testing.T) {
	root, c := openRoot(t), newFileCache(1000)
	for i := range 5 {
		oldFile(t, root, fmt.Sprint(i), pattern(400+i))
	}
	_, release0 := use(t, c, root, "0")
	_, release1 := use(t, c, root, "1")
	for i := range 5 { // two are in use, so that no other has room
		got, release := use(t, c, root, fmt.Sprint(i))
		if !bytes.Equal(got, pattern(400+i)) || c.size != 801 {
			t.Errorf("file %d: %d bytes, with %d in memory", i, len(got), c.size)
		}
		release()
	}
	release0()
	release1()
	for i := range 5 {
		got, release := use(t, c, root, fmt.Sprint(i))
		if release(); !bytes.Equal(got, pattern(400+i)) || c.size > 1000 || len(c.files) != c.used.Len() {
			t.Errorf("file %d: %d bytes, with %d in memory", i, len(got), c.size)
		}
	}
	if c.size != 403+404 { // the last two
		t.Errorf("%d bytes in memory", c.size)
	}
}

func TestCacheKnowsChangedFiles(t *testing.T) {
	root, c := openRoot(t), newFileCache(1000)
	oldFile(t, root, "file", []byte("one"))
	_, release := use(t, c, root, "file")
	release()
	if len(c.files) != 1 {
		t.Fatalf("%d files in memory", len(c.files))
	}
	oldFile(t, root, "file", []byte("two")) // with the size and about the time of the first
	if got, _ := use(t, c, root, "file"); string(got) != "two" {
		t.Errorf("the changed file is %q", got)
	}
	if err := root.WriteFile("new", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := len(c.files)
	if got, _ := use(t, c, root, "new"); string(got) != "new" || len(c.files) != before {
		t.Errorf("a file that may still change is %q, and %d files are in memory", got, len(c.files))
	}
}

func TestCacheIsSharedByManyAtOnce(t *testing.T) {
	root, c := openRoot(t), newFileCache(1<<20)
	content := pattern(300_000)
	oldFile(t, root, "kernel", content)
	var group errgroup.Group
	for range 50 {
		group.Go(func() error {
			file, err := OpenInRoot(root, "kernel")
			if err != nil {
				return err
			}
			defer file.Close()
			from, release := c.content(file)
			defer release()
			got, err := io.ReadAll(from)
			if err == nil && !bytes.Equal(got, content) {
				err = fmt.Errorf("got %d bytes", len(got))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if c.size != int64(len(content)) {
		t.Errorf("%d bytes in memory", c.size)
	}
}

func TestLargeFilesAreReadAhead(t *testing.T) {
	root, c := openRoot(t), newFileCache(1<<20)
	content := pattern(3*readAhead + 5)
	if err := os.WriteFile(filepath.Join(root.Name(), "new"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := use(t, c, root, "new"); !bytes.Equal(got, content) {
		t.Errorf("got %d bytes", len(got))
	}
}
