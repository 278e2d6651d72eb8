package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"provisioner/lab"
	"provisioner/lab/console"
)

// Guest is somebody who is at a console.
type Guest struct {
	Name  string    `json:"name"`
	Mode  string    `json:"mode" enum:"watching,asking,writing"`
	Since time.Time `json:"since"`
	Quiet int64     `json:"quiet_s,omitempty" doc:"Of one who writes: for how many seconds they have typed nothing"`
}

var modeNames = map[console.Mode]string{console.Watching: "watching", console.Asking: "asking", console.Writing: "writing"}

func (a *api) consoleOperations() {
	operation(a, huma.Operation{
		OperationID: "get-console", Method: http.MethodGet, Path: "/machine/{id}/console", Tags: []string{"consoles"},
		Summary: "See who is at a console, or come to it",
		Description: "As a WebSocket (RFC 6455), you are at the console itself; its holders and admins may. `mode` says whether you `watch` " +
			"(a token for reading is enough), `ask` for the keyboard (you have it at once where nobody else types) or `take` it from who has " +
			"it, and the console from another program. You are first shown the last 64 KiB that were printed, or `replay` lines; then what comes.\n\n" +
			"Binary messages are bytes: from us, what the machine prints; from you, what you type, at most 64 KiB each. Text messages are " +
			"JSON objects. Yours have a key `do`: `ask`, `take` or `yield` the keyboard, `break` to send BREAK, `who` to hear who is here. " +
			"Ours have a key `type`:\n\n" +
			"- `status`: how the connection to the machine stands: `state` (closed, connecting, connected, lost), `in_use` (another program has it), `text`\n" +
			"- `mode`: what you do: `mode` (watching, asking, writing)\n" +
			"- `notice`: what others do: `kind` (joined, left, asked, took, writes, yours, refused, told), `who`, `text`\n" +
			"- `guests`: who is here: `guests`, as in the answer below\n" +
			"- `skipped`: you have read too slowly, and `bytes` were left out\n" +
			"- `lost`: what you type does not reach the machine: `text` says why, once until it does again\n" +
			"- `done`, `failed`: your `do`, and where it failed, `text`\n" +
			"- `end`: why you are sent away: `text`; the connection is then closed with 1001 (the server stops), 1008 (you may no more) or 1011\n",
		Middlewares: huma.Middlewares{a.upgradeToConsole},
	}, a.consoleGuests)
}

type consoleInput struct {
	MachinePath
	Mode   string `query:"mode" enum:"watch,ask,take" default:"watch" doc:"For a WebSocket"`
	Replay int    `query:"replay" minimum:"0" required:"false" doc:"For a WebSocket: the last lines that are shown first"`
}

type consoleAnswer struct {
	Body struct {
		Guests []Guest `json:"guests" doc:"The longest first"`
	}
}

func (a *api) consoleGuests(ctx context.Context, actor lab.Actor, in *consoleInput) (*consoleAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	guests, err := a.lab.ConsoleGuests(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	out := &consoleAnswer{}
	out.Body.Guests = toGuests(guests)
	return out, nil
}

func toGuests(guests []console.Guest) []Guest {
	answer := make([]Guest, len(guests))
	for i, g := range guests {
		answer[i] = Guest{Name: g.Name, Mode: modeNames[g.Mode], Since: g.Since.UTC(), Quiet: int64(g.Quiet / time.Second)}
	}
	return answer
}

// upgradeToConsole answers requests for a WebSocket, and leaves others to the
// operation.
func (a *api) upgradeToConsole(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	if r.Header.Get("Upgrade") == "" {
		next(ctx)
		return
	}
	asked := r.URL.Query()
	if err := a.serveConsole(w, r, ctx.Param("id"), asked.Get("mode"), asked.Get("replay"), &consoleVisit{live: &a.live}); err != nil {
		writeError(w, a.refusal(*ctx.Operation(), err))
	}
}

// openSeat takes a seat at a console as a request wants it.
func (a *api) openSeat(ctx context.Context, actor lab.Actor, machine, mode, replay string) (*lab.Seat, error) {
	lines := -1
	if replay != "" {
		var err error
		if lines, err = strconv.Atoi(replay); err != nil || lines < 0 {
			return nil, invalid("replay: %.40q is no number of lines", replay)
		}
	}
	name, err := a.lab.MachineName(ctx, actor, machine)
	if err != nil {
		return nil, err
	}
	switch mode {
	case "watch", "":
		return a.lab.WatchConsole(ctx, actor, name, lines)
	case "ask", "take":
	default:
		return nil, invalid("mode: %.40q is none of watch, ask and take", mode)
	}
	if lines < 0 {
		return a.lab.OpenConsole(ctx, actor, name)
	}
	return a.lab.ReplayConsole(ctx, actor, name, lines)
}
