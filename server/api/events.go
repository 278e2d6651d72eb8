package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Event is something that happened.
type Event struct {
	ID          int64     `json:"id,omitempty" doc:"It grows. Left out: the event was only told, and is not kept"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind" doc:"Such as reserved, power, console pattern"`
	Machine     string    `json:"machine" doc:"Its name; empty: it is about none"`
	User        string    `json:"user" doc:"Who did it; empty: nobody"`
	RunID       int64     `json:"run_id,omitempty" doc:"Of which run"`
	Detail      string    `json:"detail"`
	LogPosition int64     `json:"log_position,omitempty" doc:"Where in the log of the machine's console: bytes that came before"`
}

func toEvent(e store.Event) Event {
	return Event{
		ID: e.ID, At: e.At.UTC(), Kind: e.Kind, Machine: e.Machine, User: e.User, RunID: e.RunID, Detail: e.Detail,
		LogPosition: e.LogPosition,
	}
}

func (a *api) eventOperations() {
	operation(a, huma.Operation{
		OperationID: "list-events", Method: http.MethodGet, Path: "/events", Tags: []string{"events"},
		Summary: "List what has happened, or follow what happens",
		Description: "The newest come first, as far as you may know of them. The header Link (RFC 8288) says where the next page is.\n\n" +
			"With `stream`, the answer does not end: it is `text/event-stream`, and each event is told as it happens, the oldest first, as " +
			"`data:` in the form of this list, with its number as `id:`. It goes on where a former one ended with the header Last-Event-ID, or " +
			"`after`, as long as the events are kept; without either, it begins now. Where some are left out, because you have read too slowly or " +
			"they are kept no more, `event: skipped` says how many. `event: end` says why the server ends the stream; ask again, unless it says " +
			"that the token is worth nothing any more. A line `:` comes every 15 s when nothing happens. Of the filters, `machine`, `user` and " +
			"`kind` work on streams.",
		Middlewares: huma.Middlewares{a.streamEvents},
	}, a.listEvents)
	list := a.huma.OpenAPI().Paths["/events"].Get
	list.Responses["200"].Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
}

type listEventsInput struct {
	Machine string    `query:"machine" maxLength:"256" doc:"Only of this one: its number, or its name"`
	User    string    `query:"user" maxLength:"256" doc:"Only what this one did"`
	Kind    []string  `query:"kind,explode" maxItems:"100" doc:"Only of this kind, or these"`
	Since   time.Time `query:"since" doc:"Only from then on (RFC 3339)"`
	Until   time.Time `query:"until" doc:"Only before then"`
	Before  int64     `query:"before" minimum:"1" required:"false" doc:"Only with a lower number; the header Link has it"`
	Limit   int       `query:"limit" minimum:"1" maximum:"1000" required:"false" doc:"How many at most; left out: 100"`

	Stream      bool  `query:"stream" doc:"Follow what happens; see above"`
	After       int64 `query:"after" minimum:"0" doc:"With stream: only what came after the event of this number"`
	LastEventID int64 `header:"Last-Event-ID" minimum:"0" doc:"As after, which it comes before"`
}

type eventList struct {
	Link string `header:"Link" doc:"rel=\"next\": where the next page is"`
	Body []Event
}

func (a *api) listEvents(ctx context.Context, actor lab.Actor, in *listEventsInput) (*eventList, error) {
	filter := lab.EventFilter{
		Machine: a.nameOfEvents(ctx, actor, in.Machine), User: in.User, Kinds: in.Kind, Since: in.Since, Until: in.Until,
		Before: in.Before, Limit: in.Limit,
	}
	events, err := a.lab.Events(ctx, actor, filter)
	if err != nil {
		return nil, err
	}
	out := &eventList{Body: make([]Event, len(events))}
	for i, e := range events {
		out.Body[i] = toEvent(e)
	}
	limit := in.Limit
	if limit == 0 {
		limit = 100
	}
	if len(events) == limit {
		next := url.Values{"before": {strconv.FormatInt(events[len(events)-1].ID, 10)}, "limit": {strconv.Itoa(limit)}, "kind": in.Kind}
		for name, value := range map[string]string{"machine": in.Machine, "user": in.User} {
			if value != "" {
				next.Set(name, value)
			}
		}
		for name, value := range map[string]time.Time{"since": in.Since, "until": in.Until} {
			if !value.IsZero() {
				next.Set(name, value.Format(time.RFC3339Nano))
			}
		}
		out.Link = "<" + Prefix + "/events?" + next.Encode() + `>; rel="next"`
	}
	return out, nil
}

// nameOfEvents is the name of a machine that somebody wants the events of. One
// that is gone has some, too: what names none is taken for its name.
func (a *api) nameOfEvents(ctx context.Context, actor lab.Actor, ref string) string {
	if ref == "" {
		return ""
	}
	if name, err := a.lab.MachineName(ctx, actor, ref); err == nil {
		return name
	}
	return ref
}
