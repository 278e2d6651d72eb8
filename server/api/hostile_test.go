package api

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// hostile are values that nobody should send, as JSON.
var hostile = []string{
	`null`, `true`, `-1`, `1e300`, `""`, `"\u0000"`, `"../../etc/passwd"`, `"'; DROP TABLE users; --"`, `[null]`, `["x", "x"]`, `{"": {"x": null}}`,
	"\"\xff\xfe\"", `"` + strings.Repeat("x", 10_000) + `"`, strings.Repeat(`{"x":`, 100) + `1` + strings.Repeat(`}`, 100), `{`,
}

// hostileParameters are values for paths and queries.
var hostileParameters = []string{
	"0", "9223372036854775808", "99999999", "..", "%2e%2e%2f", "%00", "%ff", "(and", "nil", "'", strings.Repeat("x", 5000), "true", "self",
}

// TestHostileValuesAreNeverOurFault puts them into each key, path and query of
// each operation, beside what its example has.
func TestHostileValuesAreNeverOurFault(t *testing.T) {
	h := &hostility{t: t, asked: make(map[int]int)}
	defer func() { h.arena.close() }()
	names, err := fs.Glob(exampleFiles, "examples/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	operations := operationsOf(newWorld(t).api.huma.OpenAPI())
	for _, name := range names {
		text, err := fs.ReadFile(exampleFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		exchanges, err := readExchanges(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		e := exchanges[len(exchanges)-1]
		h.bodies(e)
		h.paths(e)
		h.queries(operations[strings.TrimSuffix(path.Base(name), ".txt")], e)
	}
	t.Logf("answers: %v", h.asked)
	if h.asked[http.StatusBadRequest] < 1500 || h.asked[http.StatusNotFound] < 500 || h.asked[http.StatusOK] < 500 {
		t.Errorf("the requests were answered with %v", h.asked)
	}
}

type hostility struct {
	t     *testing.T
	arena *arena
	asked map[int]int // how many were answered with each status
}

func (h *hostility) bodies(e exchange) {
	for _, value := range hostile {
		h.ask(e.method, e.path, value)
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal([]byte(e.body), &keys) != nil {
		return
	}
	for key := range keys {
		for _, value := range hostile {
			h.ask(e.method, e.path, with(keys, key, value))
		}
	}
	h.ask(e.method, e.path, strings.Replace(e.body, "}", `, "unknown": 1}`, 1))
	h.ask(e.method, e.path, e.body+e.body)
}

// with is an object with another value of a key, which may be no JSON.
func with(keys map[string]json.RawMessage, key, value string) string {
	var parts []string
	for name, own := range keys {
		text := string(own)
		if name == key {
			text = value
		}
		parts = append(parts, `"`+name+`": `+text)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (h *hostility) paths(e exchange) {
	file, query, _ := strings.Cut(e.path, "?")
	parts := strings.Split(file, "/")
	for i := 2; i < len(parts); i++ {
		for _, value := range hostileParameters {
			other := append([]string(nil), parts...)
			other[i] = value
			h.ask(e.method, strings.Join(other, "/")+"?"+query, e.body)
		}
	}
}

func (h *hostility) queries(op *huma.Operation, e exchange) {
	file, _, _ := strings.Cut(e.path, "?")
	for _, p := range op.Parameters {
		if p.In != "query" {
			continue
		}
		for _, value := range hostileParameters {
			if strings.ContainsAny(value, "()'") {
				value = url.QueryEscape(value)
			}
			h.ask(e.method, file+"?"+p.Name+"="+value, e.body)
		}
	}
}

// ask makes a request as an admin.
func (h *hostility) ask(method, target, body string) {
	h.t.Helper()
	if h.arena == nil {
		one, err := newArena()
		if err != nil {
			h.t.Fatal(err)
		}
		h.arena = one
	}
	r := requestOf(h.t.Context(), "root", method, target, "", []byte(body))
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	w := httptest.NewRecorder()
	h.arena.api.router.ServeHTTP(w, r.WithContext(ctx))
	if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
		h.t.Errorf("%s %.200s %.200q: %d %s\n%s", method, target, body, w.Code, w.Body, h.arena.log.String())
	}
	checkRefusal(h.t, w)
	h.asked[w.Code]++
	if w.Code == http.StatusUnauthorized { // it has done away with itself
		h.arena.close()
		h.arena = nil
	}
}
