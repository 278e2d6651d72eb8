package lab_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

// addEvents keeps n events in one transaction, behind the lab's back.
func addEvents(tb testing.TB, db *store.DB, n int) {
	tb.Helper()
	err := db.Write(tb.Context(), func(tx *store.Tx) error {
		for i := range n {
			e := store.Event{At: time.Unix(1, 0), Kind: lab.EventBootConfig, Machine: "web-01", Detail: fmt.Sprint("event ", i)}
			if err := tx.AddEvent(tb.Context(), e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestAStreamIsResumed(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	stream, err := f.Follow(ctx, f.grace, -1)
	f.must(err)
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	batch := kept(t, stream)
	if batch.Events[0].Kind != lab.EventReserved || batch.Last != batch.Events[0].ID {
		t.Fatalf("the first batch from now on: %+v", batch)
	}
	stream.Close()

	addEvents(t, f.db, 1200)
	stream, err = f.Follow(ctx, f.grace, batch.Last)
	f.must(err)
	defer stream.Close()
	f.must(f.Release(ctx, f.ada, "web-01"))
	last, n := batch.Last, 0
	for n < 1201 {
		batch, err := stream.Next(ctx)
		f.must(err)
		for _, e := range batch.Events {
			if e.ID == 0 {
				continue
			}
			if e.ID != last+1 {
				t.Fatalf("event %d after %d", e.ID, last)
			}
			last, n = e.ID, n+1
		}
	}
	late, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := stream.Next(late); !errors.Is(err, context.Canceled) {
		t.Errorf("next after its end: %v", err)
	}
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	if batch := kept(t, stream); batch.Events[0].Kind != lab.EventReserved {
		t.Errorf("after a wait that was broken off: %+v", batch)
	}
}

// kept returns the next batch that begins with an event that is kept, and not
// only told, as the power is.
func kept(t *testing.T, stream *lab.EventStream) lab.EventBatch {
	t.Helper()
	for {
		batch, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(batch.Events) > 0 && batch.Events[0].ID != 0 {
			return batch
		}
	}
}

func TestASlowReaderCatchesUpOrIsTold(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	stream, err := f.Follow(ctx, f.admin, -1)
	f.must(err)
	defer stream.Close()
	read := func(want int) (got int, skipped int64) {
		for last := int64(-1); got+int(skipped) < want; {
			batch, err := stream.Next(ctx)
			f.must(err)
			skipped += batch.Skipped
			for _, e := range batch.Events {
				if e.ID == 0 {
					continue
				}
				if last > 0 && e.ID != last+1 {
					t.Fatalf("event %d after %d", e.ID, last)
				}
				got, last = got+1, e.ID
			}
		}
		return got, skipped
	}
	addEvents(t, f.db, 5000) // more than a subscription holds
	f.must(f.Reserve(ctx, f.ada, "web-01", ""))
	if got, skipped := read(5001); got != 5001 || skipped != 0 {
		t.Errorf("%d events came and %d were left out of 5001", got, skipped)
	}
	addEvents(t, f.db, 15000)
	f.must(f.Release(ctx, f.ada, "web-01"))
	if got, skipped := read(15001); got+int(skipped) != 15001 || skipped == 0 && got < 15001 {
		t.Errorf("%d events came and %d were left out of 15001", got, skipped)
	}
	resumed, err := f.Follow(ctx, f.admin, 1)
	f.must(err)
	defer resumed.Close()
	if batch, err := resumed.Next(ctx); err != nil || batch.Skipped < 10000 || batch.Events[0].ID != batch.Skipped+2 {
		t.Errorf("resumed from far behind: %d left out, %v", batch.Skipped, err)
	}
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	stream, err := f.Follow(ctx, f.token(lab.NewToken{User: "ada"}), -1)
	f.must(err)
	defer stream.Close()
	tokens, err := f.Tokens(ctx, f.admin, "ada")
	f.must(err)
	f.must(f.RevokeToken(ctx, f.admin, tokens[0].ID))
	for err == nil {
		_, err = stream.Next(ctx)
	}
	f.refused(err, lab.Denied, "revoked")
}

// BenchmarkFollow is what 100 streams cost: events/s is what each of them gets.
func BenchmarkFollow(b *testing.B) {
	const streams, batch = 100, 100
	db, err := storetest.Open(b.Context(), filepath.Join(b.TempDir(), "provisioner.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	l, err := lab.New(lab.Config{Store: db, DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.AddUser(b.Context(), lab.Local, "ada", false, nil); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }() // ends with cancel, below
	defer func() {
		cancel()
		<-ended
		_ = l.Close()
	}()
	token, err := l.CreateToken(ctx, lab.Local, lab.NewToken{User: "ada"})
	if err != nil {
		b.Fatal(err)
	}
	actor, err := l.Authenticate(ctx, token, store.ScopeRead, "")
	if err != nil {
		b.Fatal(err)
	}
	var read sync.WaitGroup
	var skipped int64
	var mu sync.Mutex
	for range streams {
		stream, err := l.Follow(ctx, actor, -1)
		if err != nil {
			b.Fatal(err)
		}
		read.Go(func() {
			defer stream.Close()
			for n := 0; n < b.N*batch; {
				got, err := stream.Next(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				skipped += got.Skipped
				mu.Unlock()
				n += len(got.Events) + int(got.Skipped)
			}
		})
	}
	b.ResetTimer()
	for range b.N {
		addEvents(b, db, batch)
		l.Wake()
	}
	read.Wait()
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(skipped), "skipped")
}
