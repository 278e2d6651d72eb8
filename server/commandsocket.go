package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"provisioner/lab"
	"provisioner/server/remote"
	"provisioner/store"
	"provisioner/tui"
)

const (
	// startTime is how long a client may take to say what it wants.
	startTime = 10 * time.Second

	// aliveEvery is how often a word is sent where a command has nothing to say:
	// proxies take a connection for dead after a minute.
	aliveEvery = 30 * time.Second
)

// commandSocket is a command line that comes over HTTP; see [remote].
type commandSocket struct {
	conn  *websocket.Conn
	ctx   context.Context //nolint:containedctx // of the connection: it lasts longer than the command's, so that a farewell can be said
	stdin *inbox
	sizes chan tui.Size // the newest
}

// serveCommand runs the command line of who shows a token.
func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request) {
	s.sockets.Add(1)
	defer s.sockets.Done()
	actor, err := s.lab.Authenticate(r.Context(), bearer(r), store.ScopeRead, r.RemoteAddr)
	if errors.Is(err, lab.ErrToken) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="provisioner"`)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	conn, err := websocket.Accept(w, r, nil) // pages of other sites are refused
	if err != nil {
		return // which was answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(remote.MaxMessage)
	connCtx, hangUp := context.WithCancel(context.WithoutCancel(r.Context()))
	defer hangUp()
	ctx, leave := s.stay(connCtx, actor)
	defer leave()
	socket := &commandSocket{conn: conn, ctx: connCtx, sizes: make(chan tui.Size, 1)}
	socket.stdin = newInbox(func(n int) { _ = socket.reply(remote.Reply{Window: n}) })
	// A client that does not read, or does not send, would hold up a command
	// whose time is over.
	defer context.AfterFunc(ctx, func() {
		socket.stdin.end(context.Cause(ctx))
		time.AfterFunc(farewell, hangUp)
	})()
	start, err := socket.start()
	if err != nil {
		_ = conn.Close(websocket.StatusPolicyViolation, closeReason(err))
		return
	}
	heard := make(chan struct{})
	go func() { // ends with the connection
		defer close(heard)
		defer hangUp()
		socket.listen()
	}()
	go socket.stayAlive() // likewise
	if socket.reply(remote.Reply{Window: inboxSize}) == nil {
		code := s.runCommandLine(ctx, socket.line(actor, start))
		_ = socket.reply(remote.Reply{Exit: &code}) // the client may have gone
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
	hangUp()
	<-heard
}

// bearer is the token that a request shows (RFC 6750 §2.1).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// closeReason is why a connection is closed: at most 123 bytes (RFC 6455 §5.5).
func closeReason(err error) string {
	text := []byte(printable(err.Error()))
	return strings.ToValidUTF8(string(text[:min(len(text), 123)]), "")
}

// start reads what the client wants.
func (c *commandSocket) start() (remote.Start, error) {
	ctx, cancel := context.WithTimeout(c.ctx, startTime)
	defer cancel()
	kind, message, err := c.conn.Read(ctx)
	if err != nil {
		return remote.Start{}, err
	}
	if kind != websocket.MessageText {
		return remote.Start{}, errors.New("say the command first")
	}
	return remote.ParseStart(message)
}

// line is the command line as it is run here.
func (c *commandSocket) line(actor lab.Actor, start remote.Start) commandLine {
	line := commandLine{
		actor: actor, args: start.Args, stdin: c.stdin,
		stdout: socketWriter{c, remote.Stdout}, stderr: socketWriter{c, remote.Stderr},
	}
	if t := start.Terminal; t != nil {
		line.terminal = &terminal{name: t.Name, width: t.Width, height: t.Height, resized: c.sizes}
	}
	return line
}

// listen takes what the client sends until the connection ends. It waits for
// nobody: a client that is not read any more could not be seen to go away.
func (c *commandSocket) listen() {
	defer c.stdin.end(errHungUp)
	for {
		kind, message, err := c.conn.Read(c.ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			err = c.stdin.put(message)
		} else {
			err = c.heed(message)
		}
		if err != nil {
			_ = c.conn.Close(websocket.StatusPolicyViolation, closeReason(err))
			return
		}
	}
}

func (c *commandSocket) heed(message []byte) error {
	request, err := remote.ParseRequest(message)
	if err != nil {
		return err
	}
	if request.End {
		c.stdin.end(nil)
	}
	if size := request.Resize; size != nil {
		select {
		case <-c.sizes:
		default:
		}
		c.sizes <- tui.Size{Width: size.Width, Height: size.Height} // there is room: nobody else sends
	}
	return nil
}

// stayAlive sends empty replies.
func (c *commandSocket) stayAlive() {
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
			if c.reply(remote.Reply{}) != nil {
				return
			}
		}
	}
}

func (c *commandSocket) reply(r remote.Reply) error {
	message, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.conn.Write(c.ctx, websocket.MessageText, message)
}

// socketWriter sends what a command prints. It blocks for as long as the client
// does not read.
type socketWriter struct {
	socket *commandSocket
	stream byte // [remote.Stdout] or [remote.Stderr]
}

func (w socketWriter) Write(p []byte) (n int, err error) {
	message := make([]byte, 1, 1+min(len(p), remote.Chunk))
	message[0] = w.stream
	for n < len(p) {
		part := p[n:min(n+remote.Chunk, len(p))]
		if err := w.socket.conn.Write(w.socket.ctx, websocket.MessageBinary, append(message[:1], part...)); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
