package lab

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provisioner/store"
	"provisioner/store/storetest"
)

// TestFloodOfPatternsHoldsUpNoConsole has more found than can be kept, while
// nobody keeps it.
func TestFloodOfPatternsHoldsUpNoConsole(t *testing.T) {
	db, err := storetest.Open(t.Context(), filepath.Join(t.TempDir(), "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var log bytes.Buffer
	l := &Lab{
		store: db, log: slog.New(slog.NewTextHandler(&log, nil)), now: time.Now, wakeFeed: make(chan struct{}, 1),
		patterns: patterns{found: make(chan foundPattern, foundDepth)},
	}
	unread := l.newPatternScanner("web-00")
	unread([]byte("No bootable device.\n"), 0) // before Run: nobody looks
	if err := l.loadPatterns(t.Context()); err != nil {
		t.Fatal(err)
	}
	const machines, lines = 40, 20
	for m := range machines {
		printed := l.newPatternScanner(fmt.Sprintf("web-%02d", m))
		for range lines {
			printed([]byte("Linux version 6.1.0\nNo bootable device.\n"), 100) // each time it starts anew
		}
	}
	for len(l.patterns.found) > 0 {
		l.keepBatch(t.Context(), nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.keepFound(ctx) // ends

	var events []store.Event
	err = db.Read(t.Context(), func(tx *store.Tx) (err error) {
		events, err = tx.EventsAfter(t.Context(), 0, 10_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != foundDepth {
		t.Fatalf("%d events are kept, want %d; log: %s", len(events), foundDepth, log.String())
	}
	if events[0].Machine != "web-00" || events[0].LogPosition != 120 {
		t.Errorf("the first event: %+v", events[0])
	}
	if want := fmt.Sprintf("dropped=%d", machines*lines-foundDepth); !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %s: %s", want, log.String())
	}
}
