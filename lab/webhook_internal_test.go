package lab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/store"
	"provisioner/store/storetest"
)

// answers is a webhook that a test plays: the statuses of its answers in
// their order, the last one for ever; 0 is no answer.
type answers struct {
	statuses []int
	times    []time.Duration // when it was asked, since the first time
	bodies   []string
	begun    time.Time
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(a.times) == 0 {
		a.begun = time.Now()
	}
	a.times = append(a.times, time.Since(a.begun))
	body, _ := io.ReadAll(r.Body)
	a.bodies = append(a.bodies, string(body))
	status := a.statuses[min(len(a.times), len(a.statuses))-1]
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func TestAWebhookIsToldUntilItHasHeard(t *testing.T) {
	for what, test := range map[string]struct {
		statuses []int
		most     time.Duration // how long it is tried
		least    time.Duration
		tries    int // 0: many
		missed   string
	}{
		"answers":            {[]int{204}, 0, 0, 1, ""},
		"answers later":      {[]int{0, 500, 429, 408, 200}, 20 * time.Second, 13 * time.Second, 5, ""},
		"redirects":          {[]int{302, 200}, 2 * time.Second, 0, 2, ""},
		"refuses":            {[]int{404}, 4 * time.Second, 2 * time.Second, webhookRefused, "it refuses it"},
		"is gone for ever":   {[]int{0}, 25 * time.Hour, 24 * time.Hour, 0, "it is too old"},
		"fails with refusal": {[]int{404, 500, 404, 200}, 10 * time.Second, 6 * time.Second, 4, ""},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, err := storetest.Open(t.Context(), filepath.Join(t.TempDir(), "provisioner.db"))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = db.Close() }()
				var log bytes.Buffer
				l, err := New(Config{Store: db, DataDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				const secret = "0123456789abcdef"
				if err := l.SetWebhook(t.Context(), Local, "https://chat.example.org/hooks/path-is-secret", secret); err != nil {
					t.Fatal(err)
				}
				var hooks []store.Webhook
				err = l.write(t.Context(), func(tx *store.Tx) (err error) {
					for _, kind := range []string{EventLogin, EventReserved, EventReleased} {
						if err := tx.AddEvent(t.Context(), store.Event{At: l.now(), Kind: kind, User: "ada"}); err != nil {
							return err
						}
					}
					hooks, err = tx.Webhooks(t.Context())
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				played := &answers{statuses: test.statuses}
				c := &courier{lab: l, client: &http.Client{
					Transport:     played,
					CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
				}, hook: hooks[0]}
				begun := time.Now()
				if err := c.bring(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < test.least || took > 2*test.most {
					t.Errorf("it took %v", took)
				}
				first := slices.IndexFunc(played.bodies, func(b string) bool { return !strings.Contains(b, `"kind":"reserved"`) })
				if test.tries != 0 && first != test.tries {
					t.Errorf("the first event was sent %d times, want %d", first, test.tries)
				}
				if test.tries == 0 && first > 0 && first < 100 {
					t.Errorf("the first event was sent %d times only", first)
				}
				for i := 2; i < len(played.times) && i < first; i++ {
					if gap := played.times[i] - played.times[i-1]; gap > webhookMost*9/8 {
						t.Errorf("%v between two tries", gap)
					}
				}
				if missed := strings.Contains(log.String(), "has missed an event"); missed != (test.missed != "") || !strings.Contains(log.String(), test.missed) {
					t.Errorf("log: %s", &log)
				}
				if strings.Contains(log.String(), secret) || strings.Contains(log.String(), "path-is-secret") {
					t.Errorf("the log has the secret: %s", &log)
				}
				again := &answers{statuses: []int{200}}
				err = l.store.Read(t.Context(), func(tx *store.Tx) (err error) {
					hooks, err = tx.Webhooks(t.Context())
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				// After a restart, nothing comes twice.
				c = &courier{lab: l, client: &http.Client{Transport: again}, hook: hooks[0]}
				if err := c.bring(t.Context()); err != nil || len(again.bodies) != 0 {
					t.Errorf("it comes again: %v, %v", again.bodies, err)
				}
			})
		})
	}
}

func TestAWebhookThatIsWaitedForEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := storetest.Open(t.Context(), filepath.Join(t.TempDir(), "provisioner.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		l, err := New(Config{Store: db, DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := &courier{lab: l, client: &http.Client{Transport: &answers{statuses: []int{0}}}, stop: cancel, ended: make(chan struct{}), news: make(chan struct{}, 1)}
		c.hook.URL = "http://chat.example.org/"
		if err := l.write(ctx, func(tx *store.Tx) error {
			return tx.AddEvent(ctx, store.Event{At: l.now(), Kind: EventReserved})
		}); err != nil {
			t.Fatal(err)
		}
		go func() { // ends with c.end
			defer close(c.ended)
			c.run(ctx)
		}()
		pass(time.Hour)
		before := time.Now()
		c.end()
		if took := time.Since(before); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
