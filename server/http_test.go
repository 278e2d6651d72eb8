package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestMachinesAreAnsweredOverHTTP(t *testing.T) {
	p := start(t)
	for _, test := range []struct {
		method, path string
		status       int
		body         string // contained
	}{
		{http.MethodGet, "/", 200, "ssh"},
		{http.MethodGet, "/healthz", 200, "ok"},
		{http.MethodGet, "/boot/no-such-token/preseed", 404, "no run that is going on"},
		{http.MethodPost, "/boot/no-such-token/phone-home", 404, "no run that is going on"},
		{http.MethodGet, "/boot/..%2f..%2fetc/preseed", 404, ""},
		{http.MethodGet, "/dhcp/ipv4?hwaddr=nonsense", 400, ""},
		{http.MethodGet, "/dhcp/ipv4?hwaddr=52:54:00:00:00:01", 404, ""},
		{http.MethodPost, "/dhcp/ipv4/seen", 400, ""},
		{http.MethodGet, "/no-such", 404, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+p.HTTPAddr().String()+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.body) {
			t.Errorf("%s %s: %d %q, %v", test.method, test.path, response.StatusCode, body, err)
		}
	}
}
