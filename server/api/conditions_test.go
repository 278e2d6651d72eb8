package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"provisioner/lab"
)

// reply is how a request was answered, beside the body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// exchange makes a request with headers, as "name: value".
func (w *world) exchange(who, method, target, body string, headers ...string) (reply, string) {
	w.t.Helper()
	header := http.Header{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Set(name, value)
	}
	response := w.send(who, method, target, strings.NewReader(body), header)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header}, string(content)
}

func TestWhatIsReadHasATag(t *testing.T) {
	w := newWorld(t)
	first, body := w.exchange("ada", "GET", "/machine/web-01", "")
	tag := first.Header.Get("ETag")
	if tag == "" || first.StatusCode != 200 || body == "" {
		t.Fatal(first.StatusCode, tag)
	}
	for _, none := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		again, body := w.exchange("ada", "GET", "/machine/web-01", "", "If-None-Match: "+none)
		if again.StatusCode != 304 || body != "" || again.Header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %q", none, again.StatusCode, body)
		}
	}
	changed, _ := w.exchange("ada", "PUT", "/machine/web-01", `{"kernel": "linux"}`, "If-Match: "+tag)
	if changed.StatusCode != 200 || changed.Header.Get("ETag") == tag {
		t.Fatalf("the change: %d, ETag %s", changed.StatusCode, changed.Header.Get("ETag"))
	}
	now, _ := w.exchange("ada", "GET", "/machine/web-01", "", "If-None-Match: "+tag)
	if now.StatusCode != 200 || now.Header.Get("ETag") != changed.Header.Get("ETag") {
		t.Errorf("after the change: %d, ETag %s, and it said %s", now.StatusCode, now.Header.Get("ETag"), changed.Header.Get("ETag"))
	}
	head, body := w.exchange("ada", "HEAD", "/machine/web-01", "")
	if head.StatusCode != 200 || head.Header.Get("ETag") != changed.Header.Get("ETag") || body != "" {
		t.Errorf("HEAD: %d, ETag %s, %q", head.StatusCode, head.Header.Get("ETag"), body)
	}
	if list, _ := w.exchange("ada", "GET", "/machine", ""); list.Header.Get("ETag") == "" {
		t.Error("a list has no ETag")
	}
}

func TestAChangeOfSomethingElseIsRefused(t *testing.T) {
	w := newWorld(t)
	const stale = `If-Match: "of-yesterday"`
	for _, change := range []struct{ who, method, target, body string }{
		{"ada", "PUT", "/machine/web-01", `{"kernel": "linux"}`},
		{"root", "DELETE", "/machine/arm-01", ""},
		{"root", "PUT", "/network/lab", `{"domain": "x"}`},
		{"root", "PUT", "/site", `{"term": "1h"}`},
		{"root", "DELETE", "/user/grace", ""},
	} {
		got, body := w.exchange(change.who, change.method, change.target, change.body, stale)
		if got.StatusCode != 412 || !strings.Contains(body, `"PreconditionFailed"`) {
			t.Errorf("%s %s: %d %s", change.method, change.target, got.StatusCode, body)
		}
	}
	if got, body := w.exchange("root", "PUT", "/site", `{"term": "1h"}`, "If-Match: *"); got.StatusCode != 200 {
		t.Errorf("anything: %d %s", got.StatusCode, body)
	}
	if got, body := w.exchange("root", "DELETE", "/user/nobody", "", stale); got.StatusCode != 404 {
		t.Errorf("what is not there: %d %s", got.StatusCode, body)
	}
	if got, body := w.exchange("ada", "DELETE", "/machine/web-01/reservation", "", stale); got.StatusCode != 400 {
		t.Errorf("what cannot be read: %d %s", got.StatusCode, body)
	}
}

// TestOfManyChangesOneIsDone has many who read the same change it at once.
func TestOfManyChangesOneIsDone(t *testing.T) {
	w := newWorld(t)
	first, _ := w.exchange("ada", "GET", "/preseed/debian", "")
	const clients = 20
	statuses := make(chan int, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			body := `{"description": "` + strings.Repeat("x", i+1) + `"}`
			got, _ := w.exchange("root", "PUT", "/preseed/debian", body, "If-Match: "+first.Header.Get("ETag"))
			statuses <- got.StatusCode
		})
	}
	all.Wait()
	close(statuses)
	count := make(map[int]int)
	for status := range statuses {
		count[status]++
	}
	if count[200] != 1 || count[412] != clients-1 {
		t.Errorf("of %d changes: %v", clients, count)
	}
}

// TestAChangeIsCheckedWhenNobodyElseCanChangeAnything has somebody else come in
// between the first look and the change.
func TestAChangeIsCheckedWhenNobodyElseCanChangeAnything(t *testing.T) {
	w := newWorld(t)
	looks := 0
	ctx := lab.OnlyIf(t.Context(), func(context.Context) error {
		looks++
		return errStale
	})
	err := w.lab.ChangeSite(ctx, lab.Local, func(s *lab.Site) { s.ConsolesInsist = true })
	site, _ := w.lab.Site(t.Context(), lab.Local)
	if err == nil || looks != 1 || site.ConsolesInsist {
		t.Errorf("%v after %d looks, and the site is %+v", err, looks, site)
	}
}
