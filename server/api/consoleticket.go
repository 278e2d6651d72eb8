package api

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
)

// TicketPath is where the WebSocket is found that old clients take a ticket to.
const TicketPath = "/ws"

const (
	// ticketTime is for how long a ticket is good.
	ticketTime = time.Minute

	// maxTickets is how many there may be at once; the oldest go first.
	maxTickets = 1000
)

// ticket admits somebody to a console, once: a browser cannot show a token
// where it opens a WebSocket.
type ticket struct {
	code    string
	until   time.Time
	actor   lab.Actor
	machine string
}

// tickets are those that were not used yet. They are in memory: after a restart
// one asks for another.
type tickets struct {
	now func() time.Time

	mu  sync.Mutex
	all []ticket // the oldest first
}

// issue returns the code of a new ticket.
func (t *tickets) issue(actor lab.Actor, machine string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, code := t.now(), rand.Text()
	t.all = slices.DeleteFunc(t.all, func(old ticket) bool { return !now.Before(old.until) })
	t.all = append(t.all[max(0, len(t.all)+1-maxTickets):], ticket{code, now.Add(ticketTime), actor, machine})
	return code
}

// redeem takes a ticket away. It returns false for one that there is not, or not any more.
func (t *tickets) redeem(code string) (ticket, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, one := range t.all {
		if one.code == code {
			t.all = slices.Delete(t.all, i, i+1)
			return one, t.now().Before(one.until)
		}
	}
	return ticket{}, false
}

func (a *api) consoleTicketOperations() {
	operation(a, huma.Operation{
		OperationID: "open-console", Method: http.MethodPost, Path: "/machine/{id}/console", Tags: []string{"consoles"},
		Metadata: map[string]any{silent: true},
		Summary:  "Get a ticket to a console",
		Description: "As mr-provisioner's clients know it: a WebSocket at `ws://HOST:PORT/ws?token=TOKEN` (`wss` where this was asked over TLS) is then the " +
			"console. Binary messages are bytes, both ways, and a text message says what is wrong. Who comes this way takes the console from another program, " +
			"and the keyboard from who has it. A ticket is good for a minute, and once. `GET` of this path as a WebSocket can more, and needs no ticket.",
	}, a.openConsole)
}

type openConsoleInput struct {
	MachinePath
	host string
	port int
}

// Resolve notes by which address the client has come: there it finds the
// WebSocket, too.
func (in *openConsoleInput) Resolve(ctx huma.Context) []error {
	in.port = 80
	if ctx.TLS() != nil || ctx.Header("X-Forwarded-Proto") == "https" {
		in.port = 443
	}
	in.host = ctx.Host()
	if host, port, err := net.SplitHostPort(in.host); err == nil {
		if number, err := strconv.ParseUint(port, 10, 16); err == nil {
			in.host, in.port = host, int(number)
		}
	}
	return nil
}

type openConsoleAnswer struct {
	Body struct {
		Host  string `json:"host"`
		Port  int    `json:"port"`
		Token string `json:"token" doc:"The ticket"`
	}
}

func (a *api) openConsole(ctx context.Context, actor lab.Actor, in *openConsoleInput) (*openConsoleAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	if err := a.lab.MayOpenConsole(ctx, actor, name); err != nil {
		return nil, err
	}
	out := &openConsoleAnswer{}
	out.Body.Host, out.Body.Port, out.Body.Token = in.host, in.port, a.tickets.issue(actor, name)
	return out, nil
}

// ServeTicket is the console that a ticket is for.
func (h Handler) ServeTicket(w http.ResponseWriter, r *http.Request) {
	one, ok := h.api.tickets.redeem(r.URL.Query().Get("token"))
	if !ok {
		http.Error(w, "the ticket is not valid: it is good for a minute, and once. POST /api/v1/machine/ID/console gives another", http.StatusForbidden)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), actorKey{}, one.actor))
	visit := consoleVisit{live: &h.api.live, plain: true}
	if err := h.api.serveConsole(w, r, one.machine, "take", "", &visit); err != nil {
		writeError(w, h.api.refusal(huma.Operation{Method: r.Method, Path: r.URL.Path}, err))
	}
}
