package api

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExamples runs what the document shows, and checks that it shows something
// of each operation.
func TestExamples(t *testing.T) {
	missing := operationsOf(newWorld(t).api.huma.OpenAPI())
	names, err := fs.Glob(exampleFiles, "examples/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		delete(missing, strings.TrimSuffix(path.Base(name), ".txt"))
		text, err := fs.ReadFile(exampleFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(path.Base(name), ".txt"), func(t *testing.T) { newWorld(t).run(name, string(text)) })
	}
	for id := range missing {
		t.Errorf("there is no examples/%s.txt", id)
	}
}

// TestOldClientsGetTheAnswersThatTheyKnow runs testdata, which is written from
// what is known of mr-provisioner's clients.
func TestOldClientsGetTheAnswersThatTheyKnow(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(path.Base(name), ".txt"), func(t *testing.T) { newWorld(t).run(name, string(text)) })
	}
}

// run has the exchanges of a text, one after the other.
func (w *world) run(name, text string) {
	w.t.Helper()
	exchanges, err := readExchanges(name, text)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range exchanges {
		status, answer := w.ask(e.who, e.method, e.path, e.body)
		if status != e.status {
			w.t.Errorf("%s:%d: %s %s: %d %s; want %d", name, e.line, e.method, e.path, status, answer, e.status)
			continue
		}
		switch strings.TrimSpace(e.answer) {
		case "":
		case "nothing":
			if answer != "" {
				w.t.Errorf("%s:%d: %s %s: it says %q; want nothing", name, e.line, e.method, e.path, answer)
			}
		default:
			var got, want any
			if err := json.Unmarshal([]byte(e.answer), &want); err != nil {
				w.t.Fatalf("%s:%d: %v", name, e.line, err)
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil {
				w.t.Errorf("%s:%d: %q: %v", name, e.line, answer, err)
				continue
			}
			if diff := cmp.Diff(want, got, cmp.FilterValues(isDots, cmp.Ignore())); diff != "" {
				w.t.Errorf("%s:%d: %s %s: %s\n%s", name, e.line, e.method, e.path, answer, diff)
			}
		}
	}
}

// isDots finds "...", which stands for whatever there is.
func isDots(a, b any) bool { return a == "..." || b == "..." }

// ask makes a request as somebody, "-" being nobody, and returns the answer.
func (w *world) ask(who, method, target, body string) (status int, answer string) {
	w.t.Helper()
	header := http.Header{}
	if strings.HasPrefix(body, "q=") || strings.HasPrefix(body, "file=") {
		body = form(w.t, header, body)
	}
	response := w.send(who, method, target, strings.NewReader(body), header)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(bytes.TrimSpace(content))
}

func (w *world) send(who, method, target string, body io.Reader, header http.Header) *http.Response {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	if who != "-" {
		request.Header.Set("Authorization", "Bearer "+tokenOf(who))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return response
}

// form makes a form of lines: name=value, or file=@NAME:CONTENT.
func form(t *testing.T, header http.Header, lines string) string {
	t.Helper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		filename, content, isFile := strings.Cut(value, ":")
		var part io.Writer
		var err error
		if isFile && strings.HasPrefix(filename, "@") {
			part, err = writer.CreateFormFile(name, filename[1:])
			value = content
		} else {
			part, err = writer.CreateFormField(name)
		}
		if err == nil {
			_, err = io.WriteString(part, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	header.Set("Content-Type", writer.FormDataContentType())
	return body.String()
}

func tokenOf(who string) string { return "token-of-" + who }

func TestATokenIsShownInEveryFormThatClientsSend(t *testing.T) {
	w := newWorld(t)
	for header, want := range map[string]int{
		"Bearer token-of-ada": 200, "bearer  token-of-ada": 200, "token-of-ada": 200, " token-of-ada ": 200,
		"": 401, "Bearer": 401, "Bearer ": 401, "Basic token-of-ada": 401, "Bearer token-of-nobody": 401, "token-of-ADA": 401,
	} {
		response := w.send("-", http.MethodGet, "/machine", nil, http.Header{"Authorization": {header}})
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != want {
			t.Errorf("%q: %d, %v; want %d", header, response.StatusCode, err, want)
		}
		if want == 401 && (len(body) > 0 || response.Header.Get("WWW-Authenticate") == "") {
			t.Errorf("%q: %q, WWW-Authenticate %q", header, body, response.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestPagesOfAnySiteMayAsk(t *testing.T) {
	w := newWorld(t)
	response := w.send("-", http.MethodOptions, "/machine/1/power", nil, http.Header{
		"Origin": {"https://ci.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
	})
	_ = response.Body.Close()
	if response.StatusCode != 204 || response.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(response.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("preflight: %d %v", response.StatusCode, response.Header)
	}
	response = w.send("ada", http.MethodGet, "/machine", nil, http.Header{"Origin": {"https://ci.example"}})
	_ = response.Body.Close()
	if response.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("request: %v", response.Header)
	}
}

func TestAListIsFollowedByItsLinks(t *testing.T) {
	w := newWorld(t)
	var got []string
	target := "/machine?show_all=true&limit=2&q=(>%20id%200)"
	for pages := 0; target != ""; pages++ {
		if pages > 3 {
			t.Fatal("the links go in a circle")
		}
		response := w.send("ada", http.MethodGet, target, nil, nil)
		var machines []Machine
		err := json.NewDecoder(response.Body).Decode(&machines)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != 200 || len(machines) > 2 {
			t.Fatalf("%s: %d, %v", target, response.StatusCode, err)
		}
		for _, m := range machines {
			got = append(got, m.Name)
		}
		target, _, _ = strings.Cut(strings.TrimPrefix(response.Header.Get("Link"), "<"+Prefix), ">")
	}
	if strings.Join(got, " ") != "arm-01 web-01 web-02.lab" {
		t.Errorf("%q", got)
	}
}
