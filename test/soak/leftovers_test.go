package soak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// holdings is what a process may leave behind.
type holdings struct {
	goroutines int
	files      []string // what each open file is
	heap       int64    // bytes
}

func held(t *testing.T) (h holdings) {
	t.Helper()
	h.goroutines = runtime.NumGoroutine()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			h.files = append(h.files, name)
		} // else it is the folder that was just read
	}
	runtime.GC()
	runtime.GC() // what finalizers and pools held on to
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.heap = int64(m.HeapAlloc)
	return h
}

// checkLeftovers compares what is held with what was held before, and gives
// what is on its way out a few seconds for it.
func checkLeftovers(t *testing.T, before holdings, heapSlack int64) {
	t.Helper()
	var now holdings
	for range 50 {
		now = held(t)
		if now.goroutines <= before.goroutines && len(now.files) <= len(before.files) && now.heap <= before.heap+heapSlack {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Logf("left over: %d goroutines (%d before), %d files (%d), %d KB of heap (%d)",
		now.goroutines, before.goroutines, len(now.files), len(before.files), now.heap>>10, before.heap>>10)
	if now.goroutines > before.goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left, %d were there before:\n%s", now.goroutines, before.goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if len(now.files) > len(before.files) {
		t.Errorf("%d files are open, %d were before: %s", len(now.files), len(before.files), strings.Join(now.files, ", "))
	}
	if now.heap > before.heap+heapSlack {
		t.Errorf("%d KB of heap are in use, %d were before", now.heap>>10, before.heap>>10)
	}
}

func TestMissingBytesAreNoticed(t *testing.T) {
	const lines = 200
	var all string
	for n := range lines {
		all += line(7, n)
	}
	for name, c := range map[string]struct {
		log     string
		lossy   []stretch
		missing int64 // -1: an error
	}{
		"all":                        {all, nil, 0},
		"the end is missing":         {all[:len(all)-1], nil, -1},
		"the beginning is missing":   {all[1:], nil, -1},
		"a byte is missing":          {all[:5000] + all[5001:], nil, -1},
		"a byte is there twice":      {all[:5000] + all[4999:], nil, -1},
		"a line is there twice":      {all[:640] + all[576:], []stretch{{0, 1000}}, -1},
		"lost in a restart":          {all[:5000] + all[6000:], []stretch{{4000, 6000}}, 1000},
		"lost up to a line":          {all[:5000] + all[6016:], []stretch{{4000, 6016}}, 1016},
		"lost in two restarts":       {all[:5000] + all[7000:], []stretch{{4000, 6000}, {6000, 7000}}, 2000},
		"lost where lines are alike": {all[64:], []stretch{{0, 64}}, 64},
		"lost before a restart":      {all[:3999] + all[6000:], []stretch{{4000, 6000}}, -1},
		"lost more than in restarts": {all[:5000] + all[7000:], []stretch{{4000, 6000}}, -1},
		"of another machine":         {all[:6400] + line(8, 100) + all[6464:], []stretch{{6000, 7000}}, -1},
	} {
		m := &machine{number: 7, printed: lines * lineSize, lossy: c.lossy}
		missing, err := m.check([]byte(c.log))
		if (err != nil) != (c.missing < 0) || err == nil && missing != c.missing {
			t.Errorf("%s: %d bytes missing, error %v", name, missing, err)
		}
	}
}

func (s stretch) String() string { return fmt.Sprintf("%d to %d", s.from, s.to) }
