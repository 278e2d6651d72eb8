package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAPOSTWithAKeyIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	const order = `{"query": "(= assignee_count 0)", "reason": "build 7"}`
	done, answer := w.exchange("grace", "POST", "/machine/reservation", order, "Idempotency-Key: build-7")
	if done.StatusCode != 200 || done.Header.Get("Idempotent-Replayed") != "" {
		t.Fatal(done.StatusCode, answer)
	}
	again, repeated := w.exchange("grace", "POST", "/machine/reservation", order, "Idempotency-Key: build-7")
	if again.StatusCode != 200 || repeated != answer || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %d %s; want %s", again.StatusCode, repeated, answer)
	}
	var machines []Machine
	_, list := w.exchange("grace", "GET", "/machine", "")
	if err := json.Unmarshal([]byte(list), &machines); err != nil || len(machines) != 1 {
		t.Errorf("grace holds %s, %v", list, err)
	}
	for what, got := range map[string]struct {
		response reply
		want     int
	}{
		"another body": {first(w.exchange("grace", "POST", "/machine/reservation", `{"query": null}`, "Idempotency-Key: build-7")), 422},
		"another path": {first(w.exchange("grace", "POST", "/machine/3/reservation", order, "Idempotency-Key: build-7")), 422},
		"another user": {first(w.exchange("ada", "POST", "/machine/reservation", order, "Idempotency-Key: build-7")), 200},
		"too long":     {first(w.exchange("ada", "POST", "/machine/reservation", order, "Idempotency-Key: "+strings.Repeat("x", 256))), 400},
		"spaces":       {first(w.exchange("ada", "POST", "/machine/reservation", order, "Idempotency-Key: a b")), 400},
		"an upload":    {first(w.exchange("ada", "POST", "/image", "", "Idempotency-Key: a")), 400},
	} {
		if got.response.StatusCode != got.want {
			t.Errorf("%s: %d; want %d", what, got.response.StatusCode, got.want)
		}
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestWhatWasRefusedIsAskedAnew(t *testing.T) {
	w := newWorld(t)
	const order = `{"query": "(= name \"web-01\")"}`
	if got, body := w.exchange("grace", "POST", "/machine/reservation", order, "Idempotency-Key: k"); got.StatusCode != 404 {
		t.Fatal(got.StatusCode, body)
	}
	if got, body := w.exchange("ada", "DELETE", "/machine/web-01/reservation", ""); got.StatusCode != 204 {
		t.Fatal(got.StatusCode, body)
	}
	if got, body := w.exchange("grace", "POST", "/machine/reservation", order, "Idempotency-Key: k"); got.StatusCode != 200 {
		t.Errorf("when it is free: %d %s", got.StatusCode, body)
	}
}

// keyed is a handler whose answers are kept, and how often it was asked.
type keyed struct {
	*answers
	now   time.Time
	asked int
	serve http.HandlerFunc
}

func newKeyed() *keyed {
	k := &keyed{now: noon}
	k.answers = newAnswers(func() time.Time { return k.now })
	k.serve = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(strconv.Itoa(k.asked))) }
	return k
}

func (k *keyed) post(token, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("body"))
	r.Header.Set(idempotencyHeader, key)
	w := httptest.NewRecorder()
	ctx := context.WithValue(r.Context(), tokenKey{}, sha256.Sum256([]byte(token)))
	k.once(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked++
		k.serve(w, r)
	})).ServeHTTP(w, r.WithContext(ctx))
	return w
}

func TestAnswersAreKeptForADay(t *testing.T) {
	k := newKeyed()
	k.post("ada", "a")
	k.now = noon.Add(answersFor)
	if got := k.post("ada", "a"); k.asked != 1 || got.Body.String() != "1" {
		t.Errorf("after a day it was asked %d times", k.asked)
	}
	k.now = k.now.Add(time.Second)
	if k.post("ada", "a"); k.asked != 2 {
		t.Errorf("after more it was asked %d times", k.asked)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	k := newKeyed()
	k.post("grace", "0")
	for i := range maxAnswers + 1 {
		k.post("ada", strconv.Itoa(i))
	}
	if got := len(k.of[sha256.Sum256([]byte("ada"))]); got != maxAnswers {
		t.Errorf("%d answers are kept of one token", got)
	}
	before := k.asked
	if k.post("grace", "0"); k.asked != before {
		t.Error("the answer of another token has gone")
	}
	k.serve = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswerBytes/3)) }
	for i := range 10 {
		k.post("eve", strconv.Itoa(i))
		if k.bytes > maxAnswerBytes {
			t.Fatalf("%d bytes are kept", k.bytes)
		}
	}
	if k.bytes < maxAnswerBytes/3 {
		t.Errorf("only %d bytes are kept", k.bytes)
	}
}

func TestTheSameRequestAtTheSameTime(t *testing.T) {
	k := newKeyed()
	entered, leave, left := make(chan bool), make(chan bool), make(chan bool)
	k.serve = func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		w.WriteHeader(http.StatusCreated)
	}
	go func() {
		k.post("ada", "a")
		close(left)
	}()
	<-entered
	if got := k.post("ada", "a"); got.Code != http.StatusConflict || got.Header().Get("Retry-After") == "" {
		t.Errorf("meanwhile: %d", got.Code)
	}
	close(leave)
	<-left
	if got := k.post("ada", "a"); got.Code != http.StatusCreated || k.asked != 1 {
		t.Errorf("afterwards: %d, asked %d times", got.Code, k.asked)
	}
}

// TestAClientThatHasGoneHearsLater is what keys are for.
func TestAClientThatHasGoneHearsLater(t *testing.T) {
	k := newKeyed()
	k.serve = func(w http.ResponseWriter, r *http.Request) {
		if err := r.Context().Err(); err != nil {
			t.Errorf("what was begun was given up: %v", err)
		}
		_, _ = w.Write([]byte("done"))
	}
	r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("body"))
	r.Header.Set(idempotencyHeader, "a")
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), tokenKey{}, sha256.Sum256([]byte("ada"))))
	cancel()
	k.once(k.serve).ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	if got := k.post("ada", "a"); got.Body.String() != "done" || k.asked != 0 {
		t.Errorf("%q, asked %d times more", got.Body.String(), k.asked)
	}
}

func TestAnAnswerThatPanicsIsNotKept(t *testing.T) {
	k := newKeyed()
	k.serve = func(http.ResponseWriter, *http.Request) { panic("oh") }
	func() {
		defer func() { _ = recover() }()
		k.post("ada", "a")
	}()
	k.serve = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
	if got := k.post("ada", "a"); got.Code != http.StatusCreated {
		t.Errorf("afterwards: %d", got.Code)
	}
}
