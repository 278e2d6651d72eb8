package transcript

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// archive is a folder of logs with a clock that the test moves.
type archive struct {
	*Folder
	t   *testing.T
	dir string
	now time.Time
	out bytes.Buffer // what was logged
}

func newArchive(t *testing.T, dir string, limits Limits) *archive {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	a := &archive{t: t, dir: dir, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	a.Folder = New(root, limits, func() time.Time { return a.now })
	return a
}

func (a *archive) log() *Log { return a.Log("7", slog.New(slog.NewTextHandler(&a.out, nil))) }

// print appends a text and moves the clock on by a second.
func (a *archive) print(text string) {
	a.log().Append([]byte(text))
	a.log().Flush()
	a.now = a.now.Add(time.Second)
}

func (a *archive) read(from From) string {
	a.t.Helper()
	text, err := io.ReadAll(a.log().Read(from))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

func (a *archive) files() []string {
	a.t.Helper()
	names, err := filepath.Glob(filepath.Join(a.dir, "7", "*"))
	if err != nil {
		a.t.Fatal(err)
	}
	return names
}

func TestLogIsReadFromWhereverAsked(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{Segment: 60})
	began := a.now
	for i := range 10 {
		a.print(fmt.Sprintf("line %d\r\n", i))
	}
	a.log().Append([]byte("login: ")) // not on disk yet
	all := "line 0\r\nline 1\r\nline 2\r\nline 3\r\nline 4\r\nline 5\r\nline 6\r\nline 7\r\nline 8\r\nline 9\r\nlogin: "
	after := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	for _, test := range []struct {
		from From
		want string
	}{
		{From{}, all},
		{From{Bytes: 1 << 20}, all},
		{From{Bytes: 3}, "n: "},
		{From{Bytes: 10}, "9\r\nlogin: "},
		{From{Bytes: 7 + 8*9 + 3}, all[5:]},
		{From{Lines: 1}, "login: "},
		{From{Lines: 2}, "line 9\r\nlogin: "},
		{From{Lines: 9}, all[16:]},
		{From{Lines: 10}, all[8:]},
		{From{Lines: 11}, all},
		{From{Lines: 12}, all},
		{From{Since: began.Add(-time.Hour)}, all},
		{From{Since: began}, all},
		{From{Since: after(1)}, all[8:]},
		{From{Since: after(7)}, all[56:]},
		{From{Since: after(7).Add(time.Millisecond)}, all[64:]},
		{From{Since: after(10)}, "login: "},
		{From{Since: after(11)}, ""},
		{From{Since: after(7), Lines: 2}, "line 9\r\nlogin: "},
		{From{Since: after(9), Lines: 5}, "line 9\r\nlogin: "},
		{From{Since: after(9), Lines: 5, Bytes: 4}, "in: "},
	} {
		if got := a.read(test.from); got != test.want {
			t.Errorf("from %+v: %q, want %q", test.from, got, test.want)
		}
		r := a.log().Read(test.from)
		if size, err := r.Size(); err != nil || int(size) != len(test.want) {
			t.Errorf("from %+v: size %d, %v", test.from, size, err)
		}
	}
	if n := len(a.files()); n < 4 {
		t.Errorf("%d files; the test wants segments", n)
	}
}

func TestReaderSeesWhatThereWasWhenItWasAsked(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{Segment: 60})
	a.print("before ")
	a.log().Append([]byte("pending"))
	r := a.log().Read(From{})
	for range 10 {
		a.print("after ")
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "before pending" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestLogIsFilesOfItsOwnerOnly(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{})
	a.print("x")
	for _, name := range a.files() {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Join(a.dir, "7")); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
}

func TestWhatIsPrintedIsOnDiskWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, t.TempDir(), Limits{})
		for i := range 20 { // so that nothing waits for a pause
			a.log().Append([]byte{'a' + byte(i)})
			<-time.After(100 * time.Millisecond)
		}
		text, err := os.ReadFile(a.files()[1])
		if all := "abcdefghijklmnopqrst"; err != nil || len(text) < 10 || !strings.HasPrefix(all, string(text)) {
			t.Errorf("on disk after 2 s: %q, %v", text, err)
		}
	})
}

func TestSegmentsAreDroppedBySizeAndNoLineBetweenIsLost(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{Segment: 1 << 10, Total: 8 << 10})
	var all strings.Builder
	for i := range 5000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%50))
		all.WriteString(line)
		a.print(line)
		if i%500 != 0 {
			continue
		}
		kept, size := a.read(From{}), int64(0)
		if !strings.HasSuffix(all.String(), kept) {
			t.Fatal("what is kept is not the end of what was printed")
		}
		for _, name := range a.files() {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		if size > 8<<10 || i > 1000 && (size < 5<<10 || len(kept) < 2<<10) {
			t.Errorf("after line %d: %d bytes on disk, %d of them text", i, size, len(kept))
		}
	}
}

func TestSegmentsAreDroppedByAge(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{Segment: 40, Age: 30 * 24 * time.Hour})
	a.print("the first segment is full by this\n")
	a.now = a.now.Add(20 * 24 * time.Hour)
	a.print("the second one is full by that\n")
	for _, test := range []struct {
		days int
		want string
	}{
		{5, "the first segment is full by this\nthe second one is full by that\n"},
		{10, "the second one is full by that\n"},
		{20, ""},
	} {
		a.now = a.now.Add(time.Duration(test.days) * 24 * time.Hour)
		if err := a.dropAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := a.read(From{}); got != test.want {
			t.Errorf("%d days later: %q", test.days, got)
		}
	}
	for _, name := range a.files() { // one says how much came before
		if info, err := os.Stat(name); err != nil || info.Size() > 0 {
			t.Errorf("left: %s, %v", name, err)
		}
	}
	a.print("and on")
	if got := a.read(From{}); got != "and on" {
		t.Errorf("after all was dropped: %q", got)
	}
}

func TestLogOfAMachineThatIsGoneIsDroppedByAge(t *testing.T) {
	dir := t.TempDir()
	newArchive(t, dir, Limits{}).print("old")
	a := newArchive(t, dir, Limits{})
	a.now = a.now.Add(91 * 24 * time.Hour)
	if err := a.dropAll(t.Context()); err != nil || len(a.files()) != 0 {
		t.Errorf("left: %v, %v", a.files(), err)
	}
}

// A process may be killed in the middle of any write. The next one goes on
// with what is there, and does not take it for newer than it is.
func TestLogGoesOnAfterACrashInTheMiddleOfAWrite(t *testing.T) {
	original := t.TempDir()
	a := newArchive(t, original, Limits{Segment: 100})
	for i := range 7 {
		a.print(fmt.Sprintf("%d: some text of a machine\n", i))
	}
	whole := a.read(From{})
	for _, file := range a.files() {
		if file < a.files()[len(a.files())-2] {
			continue // complete before the last segment was begun
		}
		content, err := os.ReadFile(file)
		if err != nil || len(content) == 0 {
			t.Fatalf("%s: %d bytes, %v", file, len(content), err)
		}
		for size := range content {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, "7", filepath.Base(file)), int64(size)); err != nil {
				t.Fatal(err)
			}
			b := newArchive(t, dir, Limits{Segment: 100})
			b.now = a.now
			left := b.read(From{})
			missing := 0
			if strings.HasSuffix(file, bytesSuffix) {
				missing = len(content) - size
			}
			if left != whole[:len(whole)-missing] {
				t.Fatalf("%s cut to %d bytes: %q", file, size, left)
			}
			b.print("new\n")
			b.print("newer\n")
			if got := b.read(From{}); got != left+"new\nnewer\n" {
				t.Fatalf("%s cut to %d bytes: after new lines %q", file, size, got)
			}
			if got := b.read(From{Since: a.now}); got != "new\nnewer\n" {
				t.Fatalf("%s cut to %d bytes: since the crash %q", file, size, got)
			}
			if got := b.read(From{Since: a.now.Add(time.Second)}); got != "newer\n" {
				t.Fatalf("%s cut to %d bytes: a second later %q", file, size, got)
			}
		}
	}
}

// Index first, bytes second: a process may be killed between.
func TestTimeOfBytesThatNeverCameIsForgotten(t *testing.T) {
	dir := t.TempDir()
	a := newArchive(t, dir, Limits{})
	a.print("text\n")
	began := a.now
	index := a.files()[0]
	content, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	content = appendRecord(content, a.now.UnixMilli(), 5)
	content = appendRecord(content, a.now.Add(time.Second).UnixMilli(), 9)
	if err := os.WriteFile(index, content[:len(content)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	b := newArchive(t, dir, Limits{})
	b.now = began.Add(time.Hour)
	b.print("more than four\n")
	b.print("end\n")
	if got := b.read(From{Since: began.Add(time.Hour)}); got != "more than four\nend\n" {
		t.Errorf("since then: %q", got)
	}
	if got := b.read(From{Since: began.Add(time.Hour + time.Second)}); got != "end\n" {
		t.Errorf("later: %q", got)
	}
}

func TestDiskThatTakesNothingIsToldOnceAndHoldsUpNobody(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{})
	inTheWay := filepath.Join(a.dir, "7")
	a.log()
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		a.print("lost")
	}
	if n := strings.Count(a.out.String(), "gap"); n != 1 || a.log().Lost() != 20 {
		t.Errorf("told %d times, %d bytes lost: %s", n, a.log().Lost(), &a.out)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	a.print("kept")
	if got := a.read(From{}); got != "kept" || !strings.Contains(a.out.String(), "written again") {
		t.Errorf("%q; %s", got, &a.out)
	}
}

func TestSlowDiskCostsBytesNotMemory(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{})
	l := a.log()
	l.disk.Lock() // as a write that takes its time
	line := bytes.Repeat([]byte("x"), 1<<10)
	for range 1000 {
		l.Append(line)
	}
	l.disk.Unlock()
	l.Flush()
	kept := int64(len(a.read(From{})))
	if kept > 2*maxPending || kept+l.Lost() != 1000<<10 || !strings.Contains(a.out.String(), errSlow.Error()) {
		t.Errorf("%d bytes kept, %d lost: %s", kept, l.Lost(), &a.out)
	}
}

func TestRemovedFilesAreMadeAgain(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{})
	a.print("gone")
	if err := os.RemoveAll(filepath.Join(a.dir, "7")); err != nil {
		t.Fatal(err)
	}
	a.print("here")
	if got := a.read(From{}); got != "here" {
		t.Errorf("%q", got)
	}
}

func TestIdleLogsAreSmall(t *testing.T) {
	const logs = 1000
	a := newArchive(t, t.TempDir(), Limits{})
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, goroutines := live(), runtime.NumGoroutine()
	all := make([]*Log, logs)
	for i := range all {
		all[i] = a.Log(fmt.Sprint(i), slog.Default())
		all[i].Append([]byte("login: "))
		all[i].Flush()
	}
	after := live()
	if each := (int64(after) - int64(before)) / logs; each > 2<<10 {
		t.Errorf("%d bytes for each idle log", each)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines more", n-goroutines)
	}
	runtime.KeepAlive(all)
}

func TestLogIsWrittenAndReadAtTheSameTime(t *testing.T) {
	a := newArchive(t, t.TempDir(), Limits{Segment: 4 << 10, Total: 64 << 10})
	l := a.log()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 3000 {
			l.Append(fmt.Appendf(nil, "%08d\n", i))
			if rand.N(20) == 0 {
				l.Flush()
			}
		}
	})
	for range 3 {
		wg.Go(func() {
			for range 200 {
				text, err := io.ReadAll(l.Read(From{Lines: 100}))
				if err != nil {
					t.Error(err)
				}
				var last int
				for i, line := range strings.Fields(string(text)) {
					var n int
					if _, err := fmt.Sscanf(line, "%d", &n); err != nil || i > 0 && n != last+1 {
						t.Errorf("%q after %d", line, last)
						return
					}
					last = n
				}
			}
		})
	}
	wg.Wait()
	l.Flush()
}

// BenchmarkAppend keeps what it appends: its speed is that of the log with its
// disk.
func BenchmarkAppend(b *testing.B) {
	root, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	l := New(root, Limits{}, time.Now).Log("1", slog.Default())
	p := bytes.Repeat([]byte("x"), 100)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		l.Append(p)
		if n%1000 == 0 { // or most of it would be dropped, which is quick
			l.Flush()
		}
	}
	l.Flush()
	if lost := l.Lost(); lost > 0 {
		b.Errorf("%d bytes were lost", lost)
	}
}
