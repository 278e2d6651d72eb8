package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

// FuzzHandler makes any request of the whole API, as any of its users: no
// answer is ever 5xx but 503, and each refusal says what is wrong.
func FuzzHandler(f *testing.F) {
	seedWithExamples(f)
	f.Add("root", "POST", "/machine/import?format=csv", "Idempotency-Key: a", []byte("name,arch\n\"x"))
	f.Add("root", "PUT", "/site", "If-Match: \"x\"", []byte(`{"term": null, "max_term": "99999999w"}`))
	f.Add("ada", "GET", "/machine?q=((((((((", "Accept: text/plain", []byte(nil))
	f.Add("ada", "GET", "/%2e%2e/%00/machine/%ff", "", []byte(nil))
	f.Add("root", "POST", "/group", "", []byte(strings.Repeat("[", 10000)))
	var now *arena
	f.Cleanup(func() { now.close() })
	f.Fuzz(func(t *testing.T, who, method, target, header string, body []byte) {
		r := requestOf(t.Context(), who, method, target, header, body)
		if r == nil {
			return
		}
		if now == nil {
			one, err := newArena()
			if err != nil {
				t.Fatal(err)
			}
			now = one
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // for those who wait or follow
		defer cancel()
		w := httptest.NewRecorder()
		now.api.router.ServeHTTP(w, r.WithContext(ctx))
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d %s\n%s", w.Code, w.Body, now.log.String())
		}
		checkRefusal(t, w)
		if w.Code == http.StatusUnauthorized { // it may have done away with whom it asks as
			now.close()
			now = nil
		}
	})
}

// checkRefusal finds refusals that do not say what is wrong.
func checkRefusal(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	silence := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden && w.Body.Len() == 0
	if w.Code < 400 || silence || w.Header().Get("Content-Type") == "text/plain; charset=utf-8" { // a WebSocket's
		return
	}
	var said Error
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Type == "" || len(said.Errors) == 0 || said.Errors[0] == "" {
		t.Errorf("%d %q: %v", w.Code, w.Body, err)
	}
}

// requestOf is a request of those that a server could have read; nil otherwise.
func requestOf(ctx context.Context, who, method, target, header string, body []byte) *http.Request {
	address, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") || strings.Contains(method, " ") || method == "" {
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://lab/", bytes.NewReader(body))
	if err != nil {
		return nil
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = address.Path, address.RawPath, address.RawQuery
	for line := range strings.Lines(header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header.Set(name, value)
	}
	if who != "-" {
		r.Header.Set("Authorization", "Bearer "+tokenOf(who))
	}
	return r
}

// seedWithExamples begins with all that the tests ask.
func seedWithExamples(f *testing.F) {
	f.Helper()
	names, err := fs.Glob(exampleFiles, "examples/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	old, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(names, old...) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		exchanges, err := readExchanges(name, string(text))
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range exchanges {
			f.Add(e.who, e.method, e.path, "", []byte(e.body))
		}
	}
}

// arena is the lab of a fuzz target, which outlives a single test.
type arena struct {
	dir string
	db  *store.DB
	lab *lab.Lab
	api *api
	log lockedBuffer
}

func newArena() (a *arena, err error) {
	a = &arena{}
	if a.dir, err = os.MkdirTemp("", "api-fuzz"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err = os.CopyFS(a.dir, os.DirFS(template)); err != nil {
		return nil, err
	}
	if a.db, err = storetest.Open(context.Background(), filepath.Join(a.dir, "provisioner.db")); err != nil {
		return nil, err
	}
	if a.lab, err = newLab(a.db, a.dir, &fakeBMC{}); err != nil {
		return nil, err
	}
	a.api, err = newAPI(context.Background(), a.lab, slog.New(slog.NewTextHandler(&a.log, nil)))
	return a, err
}

func (a *arena) close() {
	if a == nil {
		return
	}
	var err error
	if a.lab != nil {
		err = a.lab.Close()
	}
	if a.db != nil {
		err = errors.Join(err, a.db.Close())
	}
	if err = errors.Join(err, os.RemoveAll(a.dir)); err != nil {
		panic(err)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}
