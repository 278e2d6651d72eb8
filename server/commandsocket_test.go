package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/coder/websocket"

	"provisioner/lab"
	"provisioner/lab/console"
	"provisioner/server/remote"
	"provisioner/store"
)

func (p *product) url() *url.URL {
	return &url.URL{Scheme: "http", Host: p.HTTPAddr().String()}
}

func (p *product) scopedToken(user string, scope store.TokenScope) string {
	p.t.Helper()
	token, err := p.lab.CreateToken(p.t.Context(), lab.Local, lab.NewToken{User: user, Scope: scope})
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// remote runs a command by a token.
func (p *product) remote(token string, input io.Reader, args ...string) (result, error) {
	p.t.Helper()
	var out, notes bytes.Buffer
	command := remote.Command{Server: p.url(), Token: token, Args: args, Stdin: input, Stdout: &out, Stderr: &notes}
	code, err := command.Run(p.t.Context())
	return result{out: out.String(), notes: notes.String(), code: code}, err
}

func TestCommandsOverHTTPAreThoseOverSSH(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", false)
	p.enrolled("grace", false)
	if err := p.lab.Assign(t.Context(), lab.Local, "web-02", "grace", ""); err != nil {
		t.Fatal(err)
	}
	token := p.scopedToken("ada", store.ScopeOperate)
	for _, args := range [][]string{
		{"reserve", "web-01"}, {"reserve", "web-01"}, {"reserve", "web-02"}, {"reserve", "no-such"}, {"power", "web-01", "reset"},
		{"power", "web-01", "status", "--json"}, {"power", "web-02", "status"}, {"list", "--json"}, {"list"}, {"frobnicate"}, {"list", "\x1b[2J"},
		{"boot", "web-01", "pxe", "--efi", "--legacy"}, {"help"}, {"list", "--help"}, {"release", "web-01"},
	} {
		if args[0] == "reserve" || args[0] == "release" {
			got, err := p.remote(token, strings.NewReader(""), args...)
			again := p.run("ada", key, strings.Join(args, " "), "")
			if err != nil || again.code != 5 && again.code != got.code {
				t.Errorf("%v: %+v, %v; then over ssh: %+v", args, got, err, again)
			}
			continue
		}
		want := p.run("ada", key, strings.Join(args, " "), "")
		got, err := p.remote(token, strings.NewReader(""), args...)
		if err != nil || got != want {
			t.Errorf("%v: %+v, %v; over ssh: %+v", args, got, err, want)
		}
	}
	// What a shell would take apart arrives as it is.
	if r, err := p.remote(token, strings.NewReader(""), "reserve", "web-01", "--reason", "two  words'\""); err != nil || r.code != 0 {
		t.Errorf("reason: %+v, %v", r, err)
	}
	m, err := p.lab.Machine(t.Context(), lab.Local, "web-01")
	if err != nil || m.Holders[0].Reason != "two  words'\"" {
		t.Errorf("holder: %+v, %v", m.Holders, err)
	}
}

func TestATokenBoundsItsCommands(t *testing.T) {
	p := start(t)
	p.enrolled("ada", true)
	if r, err := p.remote(p.scopedToken("ada", store.ScopeRead), strings.NewReader(""), "list"); err != nil || r.code != 0 || !strings.Contains(r.out, "web-01") {
		t.Errorf("list: %+v, %v", r, err)
	}
	if r, err := p.remote(p.scopedToken("ada", store.ScopeRead), strings.NewReader(""), "reserve", "web-01"); err != nil || r.code != 4 || !strings.Contains(r.notes, "the token is for reading only") {
		t.Errorf("reserve: %+v, %v", r, err)
	}
	if _, err := p.remote("nonsense", strings.NewReader(""), "list"); err == nil || !strings.Contains(err.Error(), "the token is not valid") {
		t.Errorf("another token: %v", err)
	}
	for header, status := range map[string]int{"": 401, "Basic eDp5": 401, p.scopedToken("ada", store.ScopeAdmin): 401} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url().JoinPath(remote.Path).String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", header)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != status || answer.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("authorization %q: %s", header, answer.Status)
		}
	}
}

// terminalOf plays the terminal of somebody at a console.
type terminalOf struct {
	keys   *io.PipeWriter
	screen *io.PipeReader
	ended  chan error // how the command ended; nil: with an exit code, in code
	code   int
	notes  bytes.Buffer // to be read when it has ended
}

func (p *product) consoleOver(ctx context.Context, token string) *terminalOf {
	p.t.Helper()
	in, keys := io.Pipe()
	screen, out := io.Pipe()
	c := &terminalOf{keys: keys, screen: screen, ended: make(chan error, 1)}
	command := remote.Command{
		Server: p.url(), Token: token, Args: []string{"console", "web-01"}, Stdin: in, Stdout: out, Stderr: &c.notes,
		Terminal: &remote.Terminal{Name: "xterm", Size: remote.Size{Width: 80, Height: 24}},
	}
	go func() { // ends with the command
		code, err := command.Run(ctx)
		c.code = code
		_ = in.CloseWithError(io.ErrClosedPipe) // which ends who types
		_ = out.Close()
		c.ended <- err
	}()
	return c
}

func TestAConsoleOverHTTP(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	if err := p.lab.Assign(t.Context(), lab.Local, "web-01", "ada", ""); err != nil {
		t.Fatal(err)
	}
	c := p.consoleOver(t.Context(), p.scopedToken("ada", store.ScopeOperate))
	machine := <-p.bmc.opened
	joined(t, machine, c.screen)
	typed := strings.Repeat("0123456789abcde\r", 1<<16) // 1 MiB: more than a window
	got := make(chan string, 1)
	go func() { // ends with what was typed
		b := make([]byte, len(typed))
		n, _ := io.ReadFull(machine, b)
		got <- string(b[:n])
	}()
	if _, err := io.WriteString(c.keys, typed); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != typed {
		t.Errorf("%d of %d bytes arrived", len(text), len(typed))
	}
	go func() { _, _ = io.Copy(io.Discard, machine) }()  // ends with the server
	go func() { _, _ = io.Copy(io.Discard, c.screen) }() // ends with the command
	if _, err := io.WriteString(c.keys, "\r~."); err != nil {
		t.Fatal(err)
	}
	if err := <-c.ended; err != nil || c.code != 0 || !strings.Contains(c.notes.String(), "left the console of web-01]\r\n") {
		t.Errorf("it ended with %d, %v: %q", c.code, err, c.notes.String())
	}
}

func TestACommandOverHTTPEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(p *product, cancel context.CancelFunc) error
		code  int
		words string
	}{
		"with its token":   {func(p *product, _ context.CancelFunc) error { return p.lab.RevokeToken(p.t.Context(), lab.Local, 1) }, 4, "it was revoked"},
		"with the holding": {func(p *product, _ context.CancelFunc) error { return p.lab.Release(p.t.Context(), lab.Local, "web-01") }, 4, "you hold web-01 no more"},
		"with the server":  {func(p *product, _ context.CancelFunc) error { p.stop(); return nil }, 6, "the server is stopping"},
		"with its client":  {func(_ *product, cancel context.CancelFunc) error { cancel(); return nil }, -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			p.enrolled("ada", false)
			if err := p.lab.Assign(t.Context(), lab.Local, "web-01", "ada", ""); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := p.consoleOver(ctx, p.scopedToken("ada", store.ScopeOperate))
			joined(t, <-p.bmc.opened, c.screen)
			go func() { _, _ = io.Copy(io.Discard, c.screen) }() // ends with the command
			other, err := p.lab.OpenConsole(t.Context(), lab.Local, "web-01")
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if err := test.end(p, cancel); err != nil {
				t.Fatal(err)
			}
			err = <-c.ended
			if test.code >= 0 {
				if err != nil || c.code != test.code || !strings.Contains(c.notes.String(), test.words) {
					t.Errorf("it ended with %d, %v: %q", c.code, err, c.notes.String())
				}
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
			for left := false; !left; { // the server sees it go
				out, err := other.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, notice := range out.Notices {
					left = left || notice.Kind == console.Left
				}
			}
		})
	}
}

// A command that waits for its input is told, too.
func TestACommandThatReadsEndsWithItsToken(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	token := p.scopedToken("ada", store.ScopeOperate)
	asked := make(chan struct{})
	ended := make(chan result, 1)
	go func() { // ends with the command
		r, err := p.remote(token, &waiting{asked: asked, until: t.Context()}, "key", "add")
		if err != nil {
			t.Error(err)
		}
		ended <- r
	}()
	<-asked
	if err := p.lab.RevokeToken(t.Context(), lab.Local, 1); err != nil {
		t.Fatal(err)
	}
	if r := <-ended; r.code != 4 || !strings.Contains(r.notes, "it was revoked") {
		t.Errorf("it ended with %+v", r)
	}
}

// Half of an image is none, however its sender has gone.
func TestInputThatBreaksOffIsNotKept(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	token := p.scopedToken("ada", store.ScopeOperate)
	half := strings.Repeat("x", 1<<20)
	for name, broken := range map[string]error{"disk": errors.New("input/output error"), "kept": io.EOF} {
		input := io.MultiReader(strings.NewReader(half), iotest.ErrReader(broken))
		if r, err := p.remote(token, input, "image", "put", name, "--type", "initrd"); (err == nil) != (name == "kept") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	p.stop() // which waits for both
	images, err := p.lab.Images(t.Context(), lab.Local)
	if err != nil || len(images) != 1 || images[0].Name != "kept" || images[0].Size != 1<<20 {
		t.Errorf("images: %+v, %v", images, err)
	}
}

// waiting is the input of somebody who types nothing. Its first Read is told.
type waiting struct {
	asked chan struct{}
	until context.Context //nolint:containedctx // of the test
}

func (w *waiting) Read([]byte) (int, error) {
	close(w.asked)
	<-w.until.Done()
	return 0, io.EOF
}

// A client that does not read holds up neither the server nor its own end.
func TestAClientThatDoesNotReadIsHungUp(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	if err := p.lab.Assign(t.Context(), lab.Local, "web-01", "ada", ""); err != nil {
		t.Fatal(err)
	}
	conn := p.socket(p.scopedToken("ada", store.ScopeOperate))
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"args":["console","web-01"]}`)); err != nil {
		t.Fatal(err)
	}
	machine := <-p.bmc.opened
	line := bytes.Repeat([]byte("x"), 64<<10)
	for range 512 { // 32 MiB: more than the sockets of both ends hold
		if _, err := machine.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now()
	p.stop()
	if took := time.Since(before); took > 8*time.Second {
		t.Errorf("the server took %s to end", took)
	}
}

// socket is a connection of a client that the test plays.
func (p *product) socket(token string) *websocket.Conn {
	p.t.Helper()
	conn, answer, err := websocket.Dial(p.t.Context(), p.url().JoinPath(remote.Path).String(),
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		p.t.Fatal(err)
	}
	if answer.Body != nil {
		_ = answer.Body.Close()
	}
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func TestWhatIsNoCommandIsRefused(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	token := p.scopedToken("ada", store.ScopeOperate)
	wait := `{"args":["reserve","--query","(= name \"none\")","--wait"]}` // which reads no input
	type message struct {
		kind websocket.MessageType
		text string
	}
	text := func(s string) message { return message{websocket.MessageText, s} }
	typed := message{websocket.MessageBinary, strings.Repeat("x", 32<<10)}
	for name, test := range map[string]struct {
		messages []message
		code     websocket.StatusCode
		words    string
	}{
		"input first":     {[]message{typed}, websocket.StatusPolicyViolation, "say the command first"},
		"no JSON":         {[]message{text("list")}, websocket.StatusPolicyViolation, "this is no command"},
		"another kind":    {[]message{text(`{"args":"list"}`)}, websocket.StatusPolicyViolation, "this is no command"},
		"a terminal":      {[]message{text(`{"args":["list"],"terminal":{"name":"` + strings.Repeat("x", 65) + `"}}`)}, websocket.StatusPolicyViolation, "no name of a terminal"},
		"many words":      {[]message{text(`{"args":["x"` + strings.Repeat(`,"x"`, 1000) + `]}`)}, websocket.StatusPolicyViolation, "at most 1000 words"},
		"too long":        {[]message{text(`{"args":["` + strings.Repeat("x", 65<<10) + `"]}`)}, websocket.StatusMessageTooBig, ""},
		"no request":      {[]message{text(wait), text("resize")}, websocket.StatusPolicyViolation, "this is no request"},
		"too much input":  {[]message{text(wait), typed, typed, typed, typed, typed, typed, typed, typed, typed}, websocket.StatusPolicyViolation, "more of standard input came"},
		"a size, and end": {[]message{text(wait), text(`{"resize":{"width":-1,"height":1000000}}`), text(`{"end":true}`), typed, text("x")}, websocket.StatusPolicyViolation, "this is no request"},
	} {
		conn := p.socket(token)
		for _, m := range test.messages {
			if err := conn.Write(t.Context(), m.kind, []byte(m.text)); err != nil {
				break // it has been hung up already
			}
		}
		var err error
		for err == nil {
			_, _, err = conn.Read(t.Context())
		}
		if websocket.CloseStatus(err) != test.code || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v", name, err)
		}
	}

	_, answer, err := websocket.Dial(t.Context(), p.url().JoinPath(remote.Path).String(), &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}, "Origin": {"https://elsewhere.example.org"}},
	})
	if err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site: %v", err)
	}
	_ = answer.Body.Close()
}

func TestCommandsPassAProxyWithTLS(t *testing.T) {
	p := start(t)
	p.enrolled("ada", false)
	proxy := httptest.NewTLSServer(http.StripPrefix("/lab", httputil.NewSingleHostReverseProxy(p.url())))
	defer proxy.Close()
	base, err := url.Parse(proxy.URL + "/lab/")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	command := remote.Command{Server: base, Token: p.scopedToken("ada", store.ScopeRead), Args: []string{"whoami"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}
	if _, err := command.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--ca-file") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	command.Roots = proxy.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if code, err := command.Run(t.Context()); err != nil || code != 0 || !strings.HasPrefix(out.String(), "ada (user), by token") {
		t.Errorf("%d, %v: %s", code, err, out.String())
	}
}
