package boot

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestDHCPGuard(t *testing.T) {
	site := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, test := range []struct {
		name   string
		guard  DHCPGuard
		from   string
		header string
		status int
	}{
		{"this host", DHCPGuard{}, "127.0.0.1:9", "", 200},
		{"this host over IPv6", DHCPGuard{}, "[::1]:9", "", 200},
		{"a private network", DHCPGuard{}, "10.1.2.3:9", "", 200},
		{"a private network, by a socket of both", DHCPGuard{}, "[::ffff:172.31.0.1]:9", "", 200},
		{"the link", DHCPGuard{}, "[fe80::1%eth0]:9", "", 200},
		{"the internet", DHCPGuard{}, "192.0.2.7:9", "", 403},
		{"just outside", DHCPGuard{}, "172.32.0.1:9", "", 403},
		{"no address", DHCPGuard{}, "somebody", "", 403},
		{"a configured network", DHCPGuard{From: site}, "192.0.2.7:9", "", 200},
		{"a private network, where others are configured", DHCPGuard{From: site}, "10.1.2.3:9", "", 403},
		{"nobody", DHCPGuard{From: []netip.Prefix{}}, "127.0.0.1:9", "", 403},
		{"the secret", DHCPGuard{Secret: "hunter2"}, "10.1.2.3:9", "Bearer hunter2", 200},
		{"the secret from elsewhere", DHCPGuard{Secret: "hunter2"}, "192.0.2.7:9", "Bearer hunter2", 403},
		{"no secret", DHCPGuard{Secret: "hunter2"}, "10.1.2.3:9", "", 401},
		{"another secret", DHCPGuard{Secret: "hunter2"}, "10.1.2.3:9", "Bearer hunter", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			passed := false
			handler := test.guard.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }), slog.New(slog.NewTextHandler(&log, nil)))
			for range 3 {
				request := httptest.NewRequest(http.MethodGet, "/ipv4", nil)
				request.RemoteAddr = test.from
				if test.header != "" {
					request.Header.Set("Authorization", test.header)
				}
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, request)
				if recorder.Code != test.status || passed != (test.status == 200) {
					t.Errorf("%d, passed on %t; want %d", recorder.Code, passed, test.status)
				}
				if strings.Contains(recorder.Body.String()+log.String(), "hunter2") {
					t.Errorf("the secret is told: %s %s", recorder.Body, log.String())
				}
			}
			refused := 0
			if test.status != 200 {
				refused = 1
			}
			if lines := strings.Count(log.String(), "\n"); lines != refused {
				t.Errorf("logged %d times, want %d:\n%s", lines, refused, log.String())
			}
		})
	}
}
