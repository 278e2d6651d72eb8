package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

// answer is what came of a request to the HTTP listener.
type answer struct {
	status int
	header http.Header
	length int64
	body   string
}

func (p *product) ask(method, path string, header http.Header) answer {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.HTTPAddr().String()+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.ContentLength, string(body)}
}

func TestBootFilesOverHTTP(t *testing.T) {
	p := start(t)
	const path, content = "/bootloaders/amd64/uefi/grubx64.efi", "0123456789"
	err := p.lab.AddImage(t.Context(), lab.Local, lab.NewImage{
		Name: "grub", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "grubx64.efi", Public: true,
	}, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	tag := `"` + hex.EncodeToString(sum[:]) + `"`
	for _, test := range []struct {
		name, method string
		header       http.Header
		status       int
		body         string
	}{
		{"whole", http.MethodGet, nil, 200, content},
		{"size", http.MethodHead, nil, 200, ""},
		{"range", http.MethodGet, http.Header{"Range": {"bytes=3-5"}}, 206, "345"},
		{"rest", http.MethodGet, http.Header{"Range": {"bytes=8-"}}, 206, "89"},
		{"range of the same", http.MethodGet, http.Header{"Range": {"bytes=3-5"}, "If-Range": {tag}}, 206, "345"},
		{"range of another", http.MethodGet, http.Header{"Range": {"bytes=3-5"}, "If-Range": {`"x"`}}, 200, content},
		{"range behind the end", http.MethodGet, http.Header{"Range": {"bytes=10-"}}, 416, ""},
		{"known", http.MethodGet, http.Header{"If-None-Match": {tag}}, 304, ""},
		{"changed", http.MethodGet, http.Header{"If-Match": {`"x"`}}, 412, ""},
	} {
		got := p.ask(test.method, path, test.header)
		if got.status != test.status || got.status < 300 && got.body != test.body {
			t.Errorf("%s: %d, %q", test.name, got.status, got.body)
		}
		if test.status < 300 && (got.header.Get("Etag") != tag || got.header.Get("Content-Type") != "application/efi") {
			t.Errorf("%s: %v", test.name, got.header)
		}
		if test.method == http.MethodHead && got.length != int64(len(content)) {
			t.Errorf("%s: %d bytes", test.name, got.length)
		}
	}

	config := p.ask(http.MethodGet, "/grub/grub.cfg-01-52-54-00-99-99-99", nil)
	if config.status != 200 || !strings.Contains(config.body, "Booting from disk") || config.header.Get("Cache-Control") != "no-store" || config.header.Get("Etag") != "" {
		t.Errorf("configuration: %+v", config)
	}
	if got := p.ask(http.MethodGet, "/ipxe/boot.ipxe", nil); !strings.HasPrefix(got.body, "#!ipxe\n") {
		t.Errorf("first script of iPXE: %+v", got)
	}
	for path, status := range map[string]int{
		"/no-such": 404, "/bootloaders/amd64/uefi/none": 404, "/boot/token/kernel/vmlinuz": 404,
		"/..%2f..%2fetc%2fpasswd": 400, "/a/%2e%2e/%2e%2e/provisioner.db": 400, "/%00": 400, "/%ff": 400, "/" + strings.Repeat("x", 300): 400,
	} {
		if got := p.ask(http.MethodGet, path, nil); got.status != status {
			t.Errorf("%.40s: %d, want %d", path, got.status, status)
		}
	}
	if got := p.ask(http.MethodPost, path, nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.status)
	}
}
