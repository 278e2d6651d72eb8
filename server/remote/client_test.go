package remote_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coder/websocket"

	"provisioner/server/remote"
)

func run(t *testing.T, address string) (code int, out string, err error) {
	t.Helper()
	server, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	c := remote.Command{Server: server, Token: "secret-token", Args: []string{"list"}, Stdin: strings.NewReader(""), Stdout: &text, Stderr: io.Discard}
	code, err = c.Run(t.Context())
	return code, text.String(), err
}

func TestWhyAServerWasNotReachedIsSaid(t *testing.T) {
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	answers := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	old.StartTLS()
	t.Cleanup(old.Close)
	for name, test := range map[string]struct{ address, words string }{
		"nobody there":   {"http://" + closed.Addr().String(), "connection refused; is the server running there?"},
		"no host":        {"http://no-such-host.invalid", "there is no host no-such-host.invalid"},
		"no scheme":      {"lab.example.org", "give one such as https://"},
		"another scheme": {"ftp://lab.example.org", "give one such as https://"},
		"no TLS":         {strings.Replace(serve(http.NotFoundHandler()), "http:", "https:", 1), "does not speak TLS"},
		"unknown CA":     {old.URL, "--ca-file"},
		"wrong token":    {serve(answers(401, "", "the token is not valid: make one\n")), "the token is not valid: make one"},
		"no words":       {serve(answers(401, "", "")), "does not take the token"},
		"escapes":        {serve(answers(403, "", "\x1b[2Jno")), ": [2Jno"},
		"another path":   {serve(answers(404, "", "")), "is the address right"},
		"elsewhere":      {serve(answers(301, "https://elsewhere.example.org", "")), "elsewhere.example.org: give that address"},
		"a web page":     {serve(answers(200, "", "<html>")), "is no provisioner, or a proxy"},
		"bad gateway":    {serve(answers(502, "", "")), "it answered 502"},
	} {
		_, _, err := run(t, test.address)
		if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\x1b") || strings.Contains(err.Error(), "secret-token") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// plays is a server that does with each connection what the test says.
func plays(t *testing.T, play func(ctx context.Context, conn *websocket.Conn)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		if _, start, err := conn.Read(r.Context()); err != nil || string(start) != `{"args":["list"]}` {
			t.Errorf("start: %s, %v", start, err)
		}
		play(r.Context(), conn)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestAServerIsHeard(t *testing.T) {
	say := func(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, text string) {
		_ = conn.Write(ctx, kind, []byte(text))
	}
	for name, test := range map[string]struct {
		play  func(ctx context.Context, conn *websocket.Conn)
		code  int
		out   string
		words string // of the error
	}{
		"an exit code": {func(ctx context.Context, conn *websocket.Conn) {
			say(ctx, conn, websocket.MessageBinary, "\x01web-01\n")
			say(ctx, conn, websocket.MessageBinary, "")
			say(ctx, conn, websocket.MessageText, "{}")
			say(ctx, conn, websocket.MessageBinary, "\x02[note]\n")
			say(ctx, conn, websocket.MessageBinary, "\x01web-02\n")
			say(ctx, conn, websocket.MessageText, `{"exit":6}`)
			_, _, _ = conn.Read(ctx)
		}, 6, "web-01\nweb-02\n", ""},
		"gone": {func(context.Context, *websocket.Conn) {}, 0, "", "was lost"},
		"sent away": {func(_ context.Context, conn *websocket.Conn) {
			_ = conn.Close(websocket.StatusPolicyViolation, "no \x1bmore")
		}, 0, "", ": no more"},
		"no JSON": {func(ctx context.Context, conn *websocket.Conn) {
			say(ctx, conn, websocket.MessageText, "exit 0")
			_, _, _ = conn.Read(ctx)
		}, 0, "", "cannot be understood"},
		"much": {func(ctx context.Context, conn *websocket.Conn) {
			say(ctx, conn, websocket.MessageBinary, strings.Repeat("x", 65<<10))
			_, _, _ = conn.Read(ctx)
		}, 0, "", "was lost"},
		"exit early": {func(ctx context.Context, conn *websocket.Conn) {
			say(ctx, conn, websocket.MessageText, `{"exit":0,"window":10}`)
		}, 0, "", ""},
	} {
		code, out, err := run(t, plays(t, test.play))
		if code != test.code || out != test.out || (err == nil) != (test.words == "") || err != nil && (!strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%s: %d, %q, %v", name, code, out, err)
		}
	}
}

// No more is sent than the server has room for.
func TestInputWaitsForRoom(t *testing.T) {
	input := strings.Repeat("0123456789", 5000)
	got := make(chan string, 1)
	address := plays(t, func(ctx context.Context, conn *websocket.Conn) {
		var text strings.Builder
		sent := 0
		for {
			room := 1 + len(text.String())%7000
			sent += room
			if err := conn.Write(ctx, websocket.MessageText, []byte(`{"window":`+strconv.Itoa(room)+`}`)); err != nil {
				return
			}
			for text.Len() < sent {
				kind, message, err := conn.Read(ctx)
				if err != nil {
					return
				}
				if kind == websocket.MessageText {
					got <- text.String()
					_ = conn.Write(ctx, websocket.MessageText, []byte(`{"exit":0}`))
					_, _, _ = conn.Read(ctx)
					return
				}
				text.Write(message)
			}
			if text.Len() > sent {
				t.Errorf("%d bytes came where there was room for %d", text.Len(), sent)
			}
		}
	})
	server, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c := remote.Command{Server: server, Token: "t", Args: []string{"list"}, Stdin: strings.NewReader(input), Stdout: io.Discard, Stderr: io.Discard}
	if code, err := c.Run(t.Context()); err != nil || code != 0 {
		t.Fatalf("%d, %v", code, err)
	}
	if text := <-got; text != input {
		t.Errorf("%d bytes of %d came", len(text), len(input))
	}
}

// What could not be read whole is not taken for whole.
func TestInputThatBreaksOffEndsTheCommand(t *testing.T) {
	ended := make(chan bool, 1) // whether the server was told that it was all
	address := plays(t, func(ctx context.Context, conn *websocket.Conn) {
		_ = conn.Write(ctx, websocket.MessageText, []byte(`{"window":100}`))
		for {
			kind, _, err := conn.Read(ctx)
			if err != nil || kind == websocket.MessageText {
				ended <- err == nil
				return
			}
		}
	})
	server, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	input := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("input/output error")))
	c := remote.Command{Server: server, Token: "t", Args: []string{"list"}, Stdin: input, Stdout: io.Discard, Stderr: io.Discard}
	if _, err := c.Run(t.Context()); err == nil || err.Error() != "read standard input: input/output error" {
		t.Errorf("it ended with %v", err)
	}
	if <-ended {
		t.Error("the server took it for all")
	}
}

func TestACommandEndsWithItsContext(t *testing.T) {
	begun := make(chan struct{})
	gone := make(chan struct{})
	address := plays(t, func(ctx context.Context, conn *websocket.Conn) {
		close(begun)
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				close(gone)
				return
			}
		}
	})
	server, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with begun
		<-begun
		cancel()
	}()
	in, _ := io.Pipe() // nobody types
	c := remote.Command{Server: server, Token: "t", Args: []string{"list"}, Stdin: in, Stdout: io.Discard, Stderr: io.Discard}
	if _, err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	<-gone
}

func FuzzParseStart(f *testing.F) {
	for _, seed := range []string{
		`{"args":["list","--json"]}`, `{"args":["console","web-01"],"terminal":{"name":"xterm","width":80,"height":24}}`,
		`{"args":null,"terminal":{"name":"\u001b","width":-1}}`, `[]`, `{"args":["\ud800"]}`, `{"terminal":{"width":1e9}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		s, err := remote.ParseStart(message)
		if err != nil || s.Terminal == nil {
			return
		}
		if w, h := s.Terminal.Width, s.Terminal.Height; w < 1 || w > 1000 || h < 1 || h > 1000 || len(s.Terminal.Name) > 64 {
			t.Errorf("a terminal of %d x %d, called %q", w, h, s.Terminal.Name)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{`{"end":true}`, `{"resize":{"width":80,"height":24}}`, `{"resize":{"width":-9999999999}}`, `""`, `{"resize":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := remote.ParseRequest(message)
		if err != nil || r.Resize == nil {
			return
		}
		if w, h := r.Resize.Width, r.Resize.Height; w < 1 || w > 1000 || h < 1 || h > 1000 {
			t.Errorf("a size of %d x %d", w, h)
		}
	})
}
