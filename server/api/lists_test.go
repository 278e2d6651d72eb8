package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestEveryListIsPagedAndFiltered(t *testing.T) {
	w := newWorld(t)
	for _, group := range []string{"kernel", "arm", "Build"} {
		if got, body := w.exchange("root", "POST", "/group", `{"name": "`+group+`"}`); got.StatusCode != 201 {
			t.Fatal(body)
		}
	}
	for target, want := range map[string]string{
		"/user?limit=3":             "ada eve grace root",
		"/group?limit=1":            "arm Build kernel",
		"/architecture?limit=1":     "amd64 arm64 armhf riscv64",
		"/image?show_all=1&limit=3": "grub initrd linux linux-arm",
		"/image?show_all=1&q=(and%20(=%20arch%20arm64)%20(>%20size%200))": "linux-arm",
		"/image?show_all=1&q=(=%20user%20nil)&limit=2":                    "grub initrd linux linux-arm",
		"/user?q=(=%20machines%20web-01)":                                 "ada",
		"/group?q=(not%20(=%20members%20ada))&limit=2":                    "arm Build kernel",
		"/token?show_all=true&limit=1":                                    "1 2 3 4",
		"/reservation?limit=1":                                            "1",
		"/audit?limit=2&action=machine%20added":                           "",
	} {
		var names []string
		for next := target; next != ""; {
			response, body := w.exchange("root", "GET", next, "")
			var page []struct {
				ID   json.Number
				Name string
			}
			if err := json.Unmarshal([]byte(body), &page); err != nil || response.StatusCode != 200 {
				t.Fatalf("%s: %d %s", next, response.StatusCode, body)
			}
			for _, one := range page {
				if one.Name == "" {
					one.Name = one.ID.String()
				}
				names = append(names, one.Name)
			}
			link := response.Header.Get("Link")
			next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"+Prefix), ">")
			if len(names) > 50 {
				t.Fatalf("%s: the links go in a circle", target)
			}
		}
		if want != "" && strings.Join(names, " ") != want {
			t.Errorf("%s: %s; want %s", target, strings.Join(names, " "), want)
		}
	}
}

func TestWhatIsWrongWithAListIsSaid(t *testing.T) {
	w := newWorld(t)
	for target, words := range map[string]string{
		"/image?q=(and%20(=%20arch%20arm64)":   "query: column 1: unbalanced",
		"/image?q=(=%20assignee_count%201)":    "there are id, name",
		"/image?limit=0":                       "limit",
		"/image?limit=many":                    "limit",
		"/run?after=x":                         "after: give what the header Link said",
		"/token?after=x":                       "after: give what the header Link said",
		"/audit?since=yesterday":               "since: give how long ago",
		"/image?q=" + strings.Repeat("x", 301): "q",
	} {
		got, body := w.exchange("root", "GET", target, "")
		if got.StatusCode != 400 || !strings.Contains(body, words) {
			t.Errorf("%s: %d %s; want %q", target, got.StatusCode, body, words)
		}
	}
}

func TestBodiesThatAreWrong(t *testing.T) {
	w := newWorld(t)
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for body, words := range map[string]string{
		`{"name": "x", "members": ` + deep + `}`:      "deeper than 32 levels",
		`{"name": "x", "other": ` + deep + `}`:        "deeper than 32 levels",
		"{\"name\": \"\xff\"}":                        "not UTF-8",
		`{"name": 7}`:                                 "string",
		`{"name": null}`:                              "string",
		`{"name": ["x"]}`:                             "string",
		`{"name": "` + strings.Repeat("x", 70) + `"}`: "length",
		`{"members": []}`:                             "name",
		`{"name": "x"`:                                "JSON",
		`[]`:                                          "object",
		``:                                            "body",
		`{"name": "x\u0000y"}`:                        "letters, digits",
	} {
		got, answer := w.exchange("root", "POST", "/group", body)
		if got.StatusCode != 400 || !strings.Contains(answer, words) {
			t.Errorf("%.60q: %d %s; want %q", body, got.StatusCode, answer, words)
		}
	}
	// What only looks deep is not.
	if got, answer := w.exchange("root", "POST", "/group", `{"name": "x", "other": "`+strings.Repeat(`[\"`, 100)+`"}`); got.StatusCode != 201 {
		t.Errorf("brackets in text: %d %s", got.StatusCode, answer)
	}
}

func TestWhatIsUsedStays(t *testing.T) {
	w := newWorld(t)
	for target, words := range map[string]string{
		"/user/ada":                        "web-01",
		"/bmc/1":                           "web-01",
		"/architecture/amd64":              "web-01",
		"/architecture/amd64/subarch/uefi": "web-01, web-02.lab",
		"/network/lab":                     "web-01",
		"/machine/web-01":                  "ada",
		"/image/grub":                      "amd64/uefi",
	} {
		got, body := w.exchange("root", "DELETE", target, "")
		if got.StatusCode != 409 || !strings.Contains(body, words) {
			t.Errorf("%s: %d %s; want %q", target, got.StatusCode, body, words)
		}
	}
}

func TestOnlyAdminsDoWhatIsForAdmins(t *testing.T) {
	w := newWorld(t)
	for _, request := range []struct{ method, target, body string }{
		{"POST", "/user", `{"name": "x"}`}, {"PUT", "/user/ada", `{"role": "admin"}`}, {"DELETE", "/user/grace", ""},
		{"GET", "/user/self/key", ""}, {"POST", "/token", `{}`}, {"GET", "/token", ""},
		{"POST", "/group", `{"name": "x"}`}, {"POST", "/pool", `{"name": "x"}`},
		{"GET", "/bmc", ""}, {"POST", "/bmc", `{"address": "x"}`}, {"PUT", "/bmc/1", `{}`}, {"DELETE", "/bmc/1", ""},
		{"POST", "/architecture", `{"name": "x"}`}, {"PUT", "/architecture/amd64/subarch/uefi", `{"efiboot": false}`},
		{"POST", "/network", `{"name": "x", "subnetv4": "10.9.0.0/16"}`}, {"DELETE", "/network/lab", ""}, {"GET", "/discovered", ""},
		{"POST", "/machine", `{"name": "x"}`}, {"DELETE", "/machine/arm-01", ""}, {"PUT", "/machine/web-01", `{"name": "x"}`},
		{"POST", "/machine/import", `[]`}, {"GET", "/machine/export", ""},
		{"PUT", "/template/grub-disk", `{"content": "x"}`}, {"DELETE", "/template/grub-disk", ""},
		{"PUT", "/site", `{"term": "1h"}`}, {"GET", "/webhook", ""}, {"PUT", "/webhook", `{"url": "http://x", "secret": "0123456789abcdef"}`},
		{"POST", "/pattern", `{"name": "x", "expression": "y"}`}, {"GET", "/audit", ""},
		{"POST", "/queue", `{"machine": "web-01", "priority": 1}`}, {"DELETE", "/preseed/debian", ""},
	} {
		got, body := w.exchange("ada", request.method, request.target, request.body)
		if got.StatusCode != 403 {
			t.Errorf("%s %s: %d %s", request.method, request.target, got.StatusCode, body)
		}
	}
}
