package lab_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
)

func TestAWebhookHearsOfReservations(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	const secret = "correct horse battery"
	type message struct {
		ID      int64
		At      time.Time
		Kind    string
		Machine string
		User    string
		Detail  string
		Holders []struct {
			User   string
			Reason string
			Until  *time.Time
		}
	}
	heard := make(chan message, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); err != nil || r.Method != http.MethodPost || r.Header.Get("X-Provisioner-Signature") != want {
			t.Errorf("%s, %v, %v; want the signature %s", r.Method, err, r.Header, want)
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil || r.Header.Get("X-Provisioner-Event") != m.Kind {
			t.Errorf("%s: %v, %v", body, err, r.Header)
		}
		heard <- m
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	f.must(f.SetWebhook(ctx, f.admin, server.URL+"/hook", secret))
	_, err := f.ReserveAny(ctx, f.ada, lab.ReserveRequest{Machine: "web-01", Reason: "bisect", For: 2 * time.Hour})
	f.must(err)
	if m := <-heard; m.Kind != lab.EventReserved || m.Machine != "web-01" || m.User != "ada" || m.ID == 0 || !m.At.Equal(f.clock()) ||
		len(m.Holders) != 1 || m.Holders[0].User != "ada" || m.Holders[0].Reason != "bisect" || !m.Holders[0].Until.Equal(f.clock().Add(2*time.Hour)) {
		t.Errorf("heard of a reservation: %+v", m)
	}
	f.pass(time.Hour)
	if m := <-heard; m.Kind != lab.EventTermEnding || m.User != "ada" || !strings.Contains(m.Detail, "ends in 1h") {
		t.Errorf("heard of its end: %+v", m)
	}

	hooks, err := f.Webhooks(ctx, f.admin)
	if err != nil || len(hooks) != 1 || hooks[0].URL != server.URL+"/hook" {
		t.Errorf("webhooks: %+v, %v", hooks, err)
	}
	_, err = f.Webhooks(ctx, f.ada)
	f.refused(err, lab.Denied, "only an admin")
	f.refused(f.SetWebhook(ctx, f.ada, server.URL, secret), lab.Denied, "only an admin")
	f.refused(f.RemoveWebhook(ctx, f.ada, server.URL), lab.Denied, "only an admin")
	f.refused(f.RemoveWebhook(ctx, f.admin, server.URL), lab.NotFound, "there is no webhook")
	f.refused(f.SetWebhook(ctx, f.admin, server.URL, "short"), lab.Invalid, "16 bytes")
	for _, bad := range []string{"", "ftp://example.org/", "https://", "/hook", "https://u:p@example.org/", "http://[::1", "https://example.org/\n", "https://example.org/" + strings.Repeat("x", 1000)} {
		f.refused(f.SetWebhook(ctx, f.admin, bad, secret), lab.Invalid)
	}
	f.must(f.RemoveWebhook(ctx, f.admin, server.URL+"/hook"))
	if kinds := f.kinds("web-01", 1); !slices.Equal(kinds, []string{lab.EventTermEnding}) {
		t.Errorf("events: %v", kinds)
	}
}

func TestAWebhookThatHangsHoldsUpNothing(t *testing.T) {
	f := newFixture(t)
	called, done := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(done)
	f.must(f.SetWebhook(t.Context(), f.admin, server.URL, "correct horse battery"))
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	<-called
	for range 50 {
		f.must(f.Reserve(t.Context(), f.ada, "web-02", ""))
		f.must(f.Release(t.Context(), f.ada, "web-02"))
	}
}
