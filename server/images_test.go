package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
)

// token makes a token of an account.
func (p *product) token(user string) string {
	p.t.Helper()
	token, err := p.lab.CreateToken(p.t.Context(), lab.Local, lab.NewToken{User: user, Name: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// needs leaves a test out where a program is missing, which continuous
// integration may not.
func needs(t *testing.T, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: install %s", err, install)
		}
		t.Skipf("%v: install %s", err, install)
	}
}

// curl runs curl against the server, and returns what it was answered: the
// status, and the headers and the body.
func (p *product) curl(token string, args ...string) (status int, answer string) {
	p.t.Helper()
	needs(p.t, "curl", "curl")
	path := args[len(args)-1]
	args[len(args)-1] = "http://" + p.HTTPAddr().String() + path
	args = append([]string{"--silent", "--show-error", "--include", "--write-out", "\n%{http_code}"}, args...)
	if token != "" {
		args = append([]string{"--header", "Authorization: Bearer " + token}, args...)
	}
	out, err := exec.CommandContext(p.t.Context(), "curl", args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("curl %s: %v: %s", path, err, out)
	}
	i := bytes.LastIndexByte(out, '\n')
	status, err = strconv.Atoi(string(out[i+1:]))
	if err != nil {
		p.t.Fatal(err)
	}
	return status, string(out[:i])
}

func (p *product) file(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// nothingLeft checks that no upload has left a file. A session that was torn
// may end a moment after its connection.
func (p *product) nothingLeft() {
	p.t.Helper()
	for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(p.dir, "images", "uploads", "*"))
		if err == nil && len(files) == 0 {
			return
		}
		if err != nil || time.Since(began) > 10*time.Second {
			p.t.Errorf("left behind: %v, %v", files, err)
			return
		}
	}
}

func TestImageIsAddedByAForm(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	ada, file := p.token("ada"), p.file("vmlinuz", "a kernel")
	status, answer := p.curl(ada, "-F", "name=linux-6.12", "-F", "type=kernel", "-F", "description=with the fix",
		"-F", "sha256="+sumOf("a kernel"), "-F", "file=@"+file, "/images")
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	var image struct {
		Name, Filename, SHA256, Owner, Arch string
		Public                              bool
	}
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	if err := json.Unmarshal([]byte(body), &image); err != nil {
		t.Fatal(err)
	}
	if image.Name != "linux-6.12" || image.Filename != "vmlinuz" || image.SHA256 != sumOf("a kernel") || image.Owner != "ada" ||
		image.Arch != "amd64" || image.Public {
		t.Errorf("image: %+v", image)
	}
	for _, test := range []struct {
		token  string
		status int
		words  string
		args   []string
	}{
		{"", 401, "show a token", []string{"-F", "type=kernel", "-F", "file=@" + file}},
		{"guessed", 401, "the token is not valid", []string{"-F", "type=kernel", "-F", "file=@" + file}},
		{ada, 409, "of that name already", []string{"-F", "name=linux-6.12", "-F", "type=kernel", "-F", "file=@" + file}},
		{ada, 403, "only an admin", []string{"-F", "name=grub", "-F", "type=bootloader", "-F", "file=@" + file}},
		{ada, 400, "none of kernel", []string{"-F", "name=other", "-F", "file=@" + file}},
		{ada, 404, "vax", []string{"-F", "type=kernel", "-F", "arch=vax", "-F", "file=@" + file}},
		{ada, 400, "SHA-256", []string{"-F", "type=kernel", "-F", "sha256=" + sumOf("another"), "-F", "file=@" + file}},
		{ada, 400, "neither true nor false", []string{"-F", "type=kernel", "-F", "public=perhaps", "-F", "file=@" + file}},
		{ada, 400, "nobody knows it", []string{"-F", "typ=kernel", "-F", "file=@" + file}},
		{ada, 400, "no file", []string{"-F", "type=kernel"}},
		{ada, 400, "more than 4096 bytes", []string{"-F", "type=" + strings.Repeat("x", 5000), "-F", "file=@" + file}},
		{ada, 400, "more than 16 fields", append(slicesRepeat("-F", "name=x", 17), "-F", "file=@"+file)},
		{ada, 400, "send a form", []string{"--data", "type=kernel"}},
	} {
		status, answer := p.curl(test.token, append(test.args, "/images")...)
		if status != test.status || !strings.Contains(answer, test.words) {
			t.Errorf("%q: %d %s", test.args, status, answer)
		}
	}
	p.nothingLeft()
}

func slicesRepeat(flag, value string, n int) (args []string) {
	for range n {
		args = append(args, flag, value)
	}
	return args
}

func metadata(pairs ...string) string {
	var encoded []string
	for i := 0; i < len(pairs); i += 2 {
		encoded = append(encoded, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return "Upload-Metadata: " + strings.Join(encoded, ",")
}

// header is what an answer of curl says in a header.
func header(answer, name string) string {
	for line := range strings.Lines(answer) {
		if key, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

const (
	tus   = "Tus-Resumable: 1.0.0"
	piece = "Content-Type: application/offset+octet-stream"
)

func TestUploadIsContinued(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	p.enrolled("grace", false)
	ada, grace := p.token("ada"), p.token("grace")

	status, answer := p.curl("", "-X", "OPTIONS", "/images/uploads")
	if status != 204 || header(answer, "Tus-Version") != "1.0.0" || header(answer, "Tus-Extension") != "creation,termination,expiration" {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := p.curl(ada, "-X", "POST", "-H", "Upload-Length: 8", "/images/uploads"); status != 412 || header(answer, "Tus-Version") != "1.0.0" {
		t.Errorf("another version: %d %s", status, answer)
	}
	create := func(token string, args ...string) (int, string) {
		return p.curl(token, append(append([]string{"-X", "POST", "-H", tus}, args...), "/images/uploads")...)
	}
	status, answer = create(ada, "-H", "Upload-Length: 8", "-H", metadata("name", "linux", "type", "kernel", "filename", "vmlinuz", "sha256", sumOf("a kernel")))
	where := header(answer, "Location")
	if status != 201 || !strings.HasPrefix(where, "/images/uploads/") || header(answer, "Upload-Expires") == "" {
		t.Fatalf("%d %s", status, answer)
	}
	patch := func(token string, offset int, content string) (int, string) {
		return p.curl(token, "-X", "PATCH", "-H", tus, "-H", piece, "-H", "Upload-Offset: "+strconv.Itoa(offset), "--data-binary", content, where)
	}
	head := func(token string) (int, string) {
		status, answer := p.curl(token, "--head", "-H", tus, where)
		return status, header(answer, "Upload-Offset")
	}
	if status, _ := patch(ada, 0, "a ke"); status != 204 {
		t.Errorf("first piece: %d", status)
	}
	if status, offset := head(ada); status != 200 || offset != "4" {
		t.Errorf("%d %s", status, offset)
	}
	if status, _ := head(grace); status != 404 {
		t.Errorf("somebody else's upload: %d", status)
	}
	if status, answer := patch(ada, 2, "kernel"); status != 409 || !strings.Contains(answer, "4 bytes have come") {
		t.Errorf("a piece of elsewhere: %d %s", status, answer)
	}
	if status, _ := p.curl(ada, "-X", "PATCH", "-H", tus, "-H", "Upload-Offset: 4", "--data-binary", "rnel", where); status != 415 {
		t.Errorf("a piece of another type: %d", status)
	}
	if status, _ := p.curl(ada, "-X", "POST", "-H", "X-HTTP-Method-Override: PATCH", "-H", tus, "-H", piece, "-H", "Upload-Offset: 4", "--data-binary", "rnel", where); status != 204 {
		t.Errorf("last piece: %d", status)
	}
	if status, offset := head(ada); status != 200 || offset != "8" {
		t.Errorf("when it is done: %d %s", status, offset)
	}
	if status, answer := patch(ada, 8, ""); status != 204 {
		t.Errorf("the answer was lost: %d %s", status, answer)
	}
	if images, err := p.lab.Images(t.Context(), lab.Local); err != nil || len(images) != 1 || images[0].SHA256 != sumOf("a kernel") {
		t.Errorf("images: %+v, %v", images, err)
	}

	// One that is given up leaves nothing; one that is wrong neither.
	_, answer = create(ada, "-H", "Upload-Length: 8", "-H", metadata("name", "other", "type", "kernel", "sha256", sumOf("a kernel")))
	where = header(answer, "Location")
	if status, answer := patch(ada, 0, "A kernel"); status != 400 || !strings.Contains(answer, "SHA-256") {
		t.Errorf("wrong content: %d %s", status, answer)
	}
	if status, _ := head(ada); status != 404 {
		t.Errorf("an upload that failed for good: %d", status)
	}
	_, answer = create(ada, "-H", "Upload-Length: 8", "-H", metadata("name", "other", "type", "kernel"))
	where = header(answer, "Location")
	if status, _ := p.curl(ada, "-X", "DELETE", "-H", tus, where); status != 204 {
		t.Errorf("end of an upload: %d", status)
	}
	p.nothingLeft()

	for _, test := range []struct {
		status int
		words  string
		args   []string
	}{
		{400, "Upload-Length", []string{"-H", metadata("name", "x1", "type", "kernel")}},
		{400, "Upload-Length", []string{"-H", "Upload-Length: -1"}},
		{400, "1 to", []string{"-H", "Upload-Length: 0", "-H", metadata("name", "x1", "type", "kernel")}},
		{413, "at most", []string{"-H", "Upload-Length: 99999999999999"}},
		{400, "base64", []string{"-H", "Upload-Length: 8", "-H", "Upload-Metadata: name !"}},
		{409, "already", []string{"-H", "Upload-Length: 8", "-H", metadata("name", "linux", "type", "kernel")}},
		{403, "only an admin", []string{"-H", "Upload-Length: 8", "-H", metadata("name", "grub", "type", "bootloader")}},
	} {
		if status, answer := create(ada, test.args...); status != test.status || !strings.Contains(answer, test.words) {
			t.Errorf("%q: %d %s", test.args, status, answer)
		}
	}
}

// TestUploadOutlivesItsConnection breaks one off in the middle.
func TestUploadOutlivesItsConnection(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	ada := p.token("ada")
	_, answer := p.curl(ada, "-X", "POST", "-H", tus, "-H", "Upload-Length: 10", "-H", metadata("name", "linux", "type", "kernel"), "/images/uploads")
	where := header(answer, "Location")
	conn, err := net.DialTCP("tcp", nil, p.HTTPAddr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: lab\r\nAuthorization: Bearer %s\r\n%s\r\n%s\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\nhello ",
		where, ada, tus, piece)
	if err := errors.Join(err, conn.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	response, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(response), "HTTP/1.1 503 ") || !strings.Contains(string(response), "broke off") {
		t.Errorf("the torn request: %q, %v", response, err)
	}
	if _, answer = p.curl(ada, "--head", "-H", tus, where); header(answer, "Upload-Offset") != "6" {
		t.Errorf("what came is not kept: %s", answer)
	}
	status, answer := p.curl(ada, "-X", "PATCH", "-H", tus, "-H", piece, "-H", "Upload-Offset: 6", "--data-binary", "lab!", where)
	if status != 204 {
		t.Fatalf("%d %s", status, answer)
	}
	if images, err := p.lab.Images(t.Context(), lab.Local); err != nil || len(images) != 1 || images[0].SHA256 != sumOf("hello lab!") {
		t.Errorf("images: %+v, %v", images, err)
	}
}
