package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// dialTime is how long a server may take to answer.
const dialTime = 10 * time.Second

// Command is a command line that is run on a server.
type Command struct {
	Server *url.URL       // http or https; the server's own address, or a proxy's before it
	Token  string         // by which the server knows who asks
	Roots  *x509.CertPool // who may have signed the server's certificate; nil: whom the system trusts

	Args []string

	// Stdin is read in a goroutine of its own. A Read that nobody waits for any
	// more may stay behind.
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	Terminal *Terminal   // where all three are shown, in raw mode; nil: there is none
	Resized  <-chan Size // nil: it keeps its size
}

// Run runs the command until it has ended, and returns its exit code. An error
// says that there is none: the server could not be reached, does not take the
// token, or has gone away. When ctx ends, the command is told, too.
func (c Command) Run(ctx context.Context) (code int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(MaxMessage)
	if err := send(ctx, conn, Start{Args: c.Args, Terminal: c.Terminal}); err != nil {
		return 0, c.lost(ctx, err)
	}
	window := &window{grown: make(chan struct{}, 1)}
	go func() { // ends with ctx, once a Read returns
		if err := c.sendStdin(ctx, conn, window); err != nil {
			cancel(err) // the server is not to take it for the end of the input
		}
	}()
	go c.sendSizes(ctx, conn) // ends with ctx
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil {
			return 0, c.lost(ctx, err)
		}
		if kind == websocket.MessageBinary {
			if err := c.print(message); err != nil {
				return 0, err
			}
			continue
		}
		var reply Reply
		if err := json.Unmarshal(message, &reply); err != nil {
			return 0, fmt.Errorf("%s sent what cannot be understood: %w", c.Server.Redacted(), err)
		}
		if reply.Exit != nil {
			_ = conn.Close(websocket.StatusNormalClosure, "") // all is said
			return *reply.Exit, nil
		}
		window.grow(reply.Window)
	}
}

// print writes what the command has printed.
func (c Command) print(message []byte) error {
	to := c.Stdout
	switch {
	case len(message) == 0:
		return nil
	case message[0] == Stderr:
		to = c.Stderr
	}
	_, err := to.Write(message[1:])
	return err
}

// sendStdin sends standard input as the server has room for it. Its error is
// that of who reads, for people.
func (c Command) sendStdin(ctx context.Context, conn *websocket.Conn, w *window) error {
	buffer := make([]byte, Chunk)
	for {
		room := w.await(ctx)
		if room == 0 {
			return nil
		}
		n, err := c.Stdin.Read(buffer[:min(room, len(buffer))])
		if n > 0 {
			w.grow(-n)
			_ = conn.Write(ctx, websocket.MessageBinary, buffer[:n]) // whose end Run sees, and ends ctx
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = send(ctx, conn, Request{End: true})
			return nil
		case err != nil:
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

// sendSizes tells of each size that the terminal gets.
func (c Command) sendSizes(ctx context.Context, conn *websocket.Conn) {
	for {
		select {
		case size, ok := <-c.Resized:
			if !ok || send(ctx, conn, Request{Resize: &size}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func send(ctx context.Context, conn *websocket.Conn, v any) error {
	message, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(message) > MaxMessage {
		return fmt.Errorf("the command line is longer than %d bytes", MaxMessage)
	}
	return conn.Write(ctx, websocket.MessageText, message)
}

// window is how many bytes of standard input the server has room for.
type window struct {
	mu    sync.Mutex
	room  int
	grown chan struct{} // holds one token when room has grown
}

func (w *window) grow(n int) {
	w.mu.Lock()
	w.room += n
	w.mu.Unlock()
	select {
	case w.grown <- struct{}{}:
	default:
	}
}

// await blocks until there is room, and returns it; 0: ctx has ended.
func (w *window) await(ctx context.Context) int {
	for {
		w.mu.Lock()
		room := w.room
		w.mu.Unlock()
		if room > 0 {
			return room
		}
		select {
		case <-w.grown:
		case <-ctx.Done():
			return 0
		}
	}
}

// dial reaches the server. Its error is for people.
func (c Command) dial(ctx context.Context) (*websocket.Conn, error) {
	if c.Server.Scheme != "http" && c.Server.Scheme != "https" || c.Server.Host == "" {
		return nil, fmt.Errorf("%s is no address of a server: give one such as https://lab.example.org", c.Server.Redacted())
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	client := &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		},
		// Nobody else gets the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	conn, answer, err := websocket.Dial(ctx, c.Server.JoinPath(Path).String(), &websocket.DialOptions{ //nolint:bodyclose // it is a copy, or the connection
		HTTPClient: client, HTTPHeader: http.Header{"Authorization": {"Bearer " + c.Token}},
	})
	if err == nil {
		return conn, nil
	}
	if answer == nil {
		return nil, c.unreached(err)
	}
	said := ""
	if answer.Body != nil {
		text, _ := io.ReadAll(answer.Body) // the library has kept its beginning, and nothing is read any more
		said = printable(strings.TrimSpace(string(text)))
	}
	server := c.Server.Redacted()
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		if said == "" {
			said = "it does not take the token"
		}
		return nil, fmt.Errorf("%s: %s", server, said)
	case http.StatusNotFound:
		return nil, fmt.Errorf("%s does not know this command line: is the address right, and the server of this release or a later one?", server)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return nil, fmt.Errorf("%s sends us elsewhere, to %s: give that address", server, printable(answer.Header.Get("Location")))
	}
	return nil, fmt.Errorf("%s is no provisioner, or a proxy before it does not pass WebSockets on: it answered %s", server, printable(answer.Status))
}

// unreached says why there was no answer.
func (c Command) unreached(err error) error {
	server := c.Server.Redacted()
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var lookup *net.DNSError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is signed by nobody who is known: give its certificate authority with --ca-file", server)
	case errors.As(err, &name), errors.As(err, &invalid):
		return fmt.Errorf("the certificate of %s is not for it, or not now: %w", server, errors.Join(unwrapTLS(err)))
	case errors.As(err, &lookup):
		return fmt.Errorf("%s: there is no host %s", server, lookup.Name)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s does not speak TLS: give its address with http://, or that of the proxy before it", server)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("%s cannot be reached: %w; is the server running there?", server, op.Err)
	}
	return fmt.Errorf("%s cannot be reached: %w", server, err)
}

// unwrapTLS is the innermost error, which says what is wrong with a certificate.
func unwrapTLS(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// lost says how the connection ended before the command.
func (c Command) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if reason := new(websocket.CloseError); errors.As(err, reason) && reason.Reason != "" {
		return fmt.Errorf("%s: %s", c.Server.Redacted(), printable(reason.Reason))
	}
	return fmt.Errorf("the connection to %s was lost; what the command did until then is done", c.Server.Redacted())
}

// printable drops what a terminal might obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}
