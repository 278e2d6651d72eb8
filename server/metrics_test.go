package server_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

// get asks an address as somebody with a token; an empty one is none.
func (p *product) get(address, path, token string) (status int, body string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func (p *product) newToken(n lab.NewToken) string {
	p.t.Helper()
	token, err := p.lab.CreateToken(p.t.Context(), lab.Local, n)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func TestWhoMayReadMetricsAndProfiles(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	p.enrolled("root", true)
	tokens := map[string]string{
		"nobody": "", "stranger": "no-such-token",
		"reader": p.newToken(lab.NewToken{User: "ada", Scope: store.ScopeRead}),
		"some":   p.newToken(lab.NewToken{User: "root", Scope: store.ScopeRead, Machines: `(= name "web-01")`}),
		"person": p.newToken(lab.NewToken{User: "ada", Scope: store.ScopeAdmin}),
		"robot":  p.newToken(lab.NewToken{User: "root", Scope: store.ScopeOperate}),
		"admin":  p.newToken(lab.NewToken{User: "root", Scope: store.ScopeAdmin}),
	}
	people, apart := p.HTTPAddr().String(), p.MetricsAddr().String()
	for _, test := range []struct {
		address, path, who string
		status             int
		contained          string
	}{
		{people, "/metrics", "nobody", 401, "show a token"},
		{people, "/metrics", "stranger", 401, "not valid"},
		{people, "/metrics", "some", 403, "statistics are of all"},
		{people, "/metrics", "reader", 200, "provisioner_machines{"},
		{people, "/metrics", "admin", 200, "provisioner_machines{"},
		{apart, "/metrics", "nobody", 200, "provisioner_machines{"},
		{people, "/debug/pprof/", "nobody", 401, ""},
		{people, "/debug/pprof/", "reader", 403, "needs admin"},
		{people, "/debug/pprof/heap", "robot", 403, "needs admin"},
		{people, "/debug/pprof/heap", "person", 403, "only an admin"},
		{people, "/debug/pprof/", "admin", 200, "goroutine"},
		{people, "/debug/pprof/goroutine?debug=1", "admin", 200, "goroutine profile"},
		{people, "/debug/pprof/cmdline", "admin", 200, "test"},
		{apart, "/debug/pprof/", "nobody", 404, ""},
		{apart, "/", "nobody", 404, ""},
		{people, "/healthz", "nobody", 200, "ok\n"},
		{apart, "/healthz", "nobody", 200, "ok\n"},
		{people, "/readyz", "nobody", 200, "listeners: ok\nlab: ok\n"},
		{apart, "/readyz", "nobody", 200, "listeners: ok\nlab: ok\n"},
	} {
		if status, body := p.get(test.address, test.path, tokens[test.who]); status != test.status || !strings.Contains(body, test.contained) {
			t.Errorf("%s asks for %s: %d %.200s; want %d %q", test.who, test.path, status, body, test.status, test.contained)
		}
	}
}

func TestItIsNotReadyWithoutItsLab(t *testing.T) {
	p := start(t)
	p.stop()
	if err := p.lab.Ready(t.Context()); lab.CodeOf(err) != lab.Unavailable {
		t.Errorf("the lab after its end: %v", err)
	}
}

// metrics returns the samples that can be read now, by name and labels.
func (p *product) metrics() map[string]string {
	p.t.Helper()
	status, body := p.get(p.MetricsAddr().String(), "/metrics", "")
	if status != 200 {
		p.t.Fatal(status, body)
	}
	samples := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			i := strings.LastIndex(line, " ")
			samples[line[:i]] = line[i+1:]
		}
	}
	return samples
}

// installed has web-01 installed, and returns the address from which it was.
func (p *product) installed() (address string) {
	p.t.Helper()
	p.installable()
	address = p.install("")
	events, err := p.lab.Follow(p.t.Context(), lab.Local, -1)
	if err != nil {
		p.t.Fatal(err)
	}
	defer events.Close()
	if status, body := p.get(p.HTTPAddr().String(), address+"phone-home", ""); status != 200 {
		p.t.Fatal(status, body)
	}
	for { // what is published has been counted
		batch, err := events.Next(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		if slices.ContainsFunc(batch.Events, func(e store.Event) bool { return e.Kind == lab.EventProvisionEnded }) {
			return address
		}
	}
}

// TestMetricsCountWhatHappens: a run from its beginning to its end, and what
// machines and programs ask for meanwhile.
func TestMetricsCountWhatHappens(t *testing.T) {
	p := start(t)
	address := p.installed()
	p.get(p.HTTPAddr().String(), "/no-such-place", "")
	p.get(p.HTTPAddr().String(), "/api/v1/machine/web-01", "")
	got := p.metrics()
	for sample, want := range map[string]string{
		`provisioner_machines{state="ready"}`:                                                       "1",
		`provisioner_machines{state="unknown"}`:                                                     "1",
		`provisioner_machines_power{power="unknown"}`:                                               "1",
		`provisioner_bmcs_failing`:                                                                  "1",
		`provisioner_runs_running`:                                                                  "0",
		`provisioner_runs_total{result="done"}`:                                                     "1",
		`provisioner_runs_total{result="failed"}`:                                                   "0",
		`provisioner_run_duration_seconds_count{result="done"}`:                                     "1",
		`provisioner_run_stage_duration_seconds_count{stage="waiting for the machine"}`:             "1",
		`provisioner_run_stage_duration_seconds_count{stage="phoned home"}`:                         "1",
		`provisioner_events_total{kind="provision ended"}`:                                          "1",
		`provisioner_http_requests_total{code="200",method="GET",route="/boot/{token}/phone-home"}`: "1",
		`provisioner_http_requests_total{code="404",method="GET",route="other"}`:                    "1",
		`provisioner_http_requests_total{code="401",method="GET",route="/api/v1/machine/{id}"}`:     "1",
		`provisioner_statistics_up`:                                                                 "1",
		`provisioner_tftp_transfers_active`:                                                         "0",
	} {
		if got[sample] != want {
			t.Errorf("%s is %q, want %q", sample, got[sample], want)
		}
	}
	if got[`provisioner_bmc_failures_total{reason="no answer",request="power state"}`] == "" ||
		got[`provisioner_bmc_request_duration_seconds_count{request="power state"}`] == "" {
		t.Error("BMCs are not counted")
	}
	for sample := range got {
		if strings.Contains(sample, "web-0") || strings.Contains(sample, "ada") || strings.Contains(sample, address) {
			t.Errorf("%s names somebody or something", sample)
		}
	}
}

// TestTheDashboardShowsMetricsThatThereAre checks docs/grafana.json.
func TestTheDashboardShowsMetricsThatThereAre(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	p := start(t)
	p.installed()
	there := map[string]bool{"": true}
	_, body := p.get(p.MetricsAddr().String(), "/metrics", "")
	for _, family := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		names := []string{family[1]}
		if family[2] == "histogram" {
			names = []string{family[1] + "_bucket", family[1] + "_sum", family[1] + "_count"}
		}
		for _, name := range names {
			there[name] = true
		}
	}
	n := 0
	for _, panel := range dashboard.Panels {
		if panel.Type == "row" {
			continue
		}
		if len(panel.Targets) == 0 {
			t.Errorf("%s shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			names := regexp.MustCompile(`\b(?:provisioner|process|go)_[a-z_]+`).FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: %s names no metric", panel.Title, target.Expr)
			}
			for _, name := range names {
				n++
				if !there[name] {
					t.Errorf("%s: there is no %s", panel.Title, name)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("it shows %d metrics", n)
	}
}
