package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
)

// maxWait is how long a request may wait at a place in the queue, which is less
// than the server gives an answer.
const maxWait = 45 * time.Second

// Place is a place in the queue, in answers.
type Place struct {
	ID       int64   `json:"id"`
	User     string  `json:"user"`
	Machine  *string `json:"machine" doc:"That is waited for; null: any that matches"`
	Query    *string `json:"query" doc:"What it must match; null: any"`
	Reason   *string `json:"reason"`
	For      *string `json:"for" doc:"The term that was asked for; null: what the site has"`
	Priority int     `json:"priority"`
	Keep     bool    `json:"keep" doc:"The place is kept while nobody waits at it"`
	Ahead    int     `json:"ahead" doc:"So many come first, whatever they wait for"`
	Present  bool    `json:"present" doc:"Somebody waits at it"`
	Created  *string `json:"created"`
}

func toPlace(p lab.Place) Place {
	return Place{
		ID: p.ID, User: p.User, Machine: optionalText(p.Machine), Query: optionalText(p.Query), Reason: optionalText(p.Reason), For: term(p.Term),
		Priority: p.Priority, Keep: p.Keep, Ahead: p.Ahead, Present: p.Present, Created: moment(p.CreatedAt),
	}
}

func (a *api) queueOperations() {
	tags := []string{"reservations"}
	operation(a, huma.Operation{
		OperationID: "list-queue", Method: http.MethodGet, Path: "/queue", Tags: tags,
		Summary: "Who waits for machines", Description: "By number; `ahead` says whose turn is next.",
	}, a.listQueue)
	operation(a, huma.Operation{
		OperationID: "enqueue", Method: http.MethodPost, Path: "/queue", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Take a place in the queue for a machine",
		Description: "Then wait at it (`POST /queue/{place}/wait`). It is lost when nobody has waited there for five minutes, but with `keep`. " +
			"The next that is free and matches is yours, at once where one is.",
	}, a.enqueue)
	operation(a, huma.Operation{
		OperationID: "get-place", Method: http.MethodGet, Path: "/queue/{place}", Tags: tags, Summary: "Look at a place in the queue",
	}, a.getPlace)
	operation(a, huma.Operation{
		OperationID: "wait", Method: http.MethodPost, Path: "/queue/{place}/wait", Tags: tags,
		Summary:     "Wait at your place in the queue",
		Description: "The answer comes when you have a machine, which ends the place, or after the time that you give: then its machine is null, and you ask again.",
	}, a.wait)
	operation(a, huma.Operation{
		OperationID: "leave-queue", Method: http.MethodDelete, Path: "/queue/{place}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Give up a place in the queue", Description: "Your own; admins, any. What it has led to already is given back.",
	}, a.leaveQueue)
}

type listQueueInput struct {
	Filtering
	Paging
}

func (a *api) listQueue(ctx context.Context, actor lab.Actor, in *listQueueInput) (*list[Place], error) {
	rows, err := a.lab.Queue(ctx, actor)
	if err != nil {
		return nil, err
	}
	places := make([]Place, len(rows))
	for i, p := range rows {
		places[i] = toPlace(p)
	}
	return listOf(places, in.Filtering, &in.Paging, func(p Place) int64 { return p.ID })
}

type enqueueInput struct {
	Body struct {
		_        struct{}         `additionalProperties:"true"`
		Machine  optional[string] `json:"machine,omitempty" maxLength:"64" doc:"This one; or else:"`
		Query    optional[string] `json:"query,omitempty" maxLength:"300" doc:"Any that matches; null: any"`
		Reason   optional[string] `json:"reason,omitempty" maxLength:"140"`
		For      optional[string] `json:"for,omitempty" maxLength:"32" doc:"How long, such as 4h"`
		Priority int              `json:"priority,omitempty" minimum:"-10" maximum:"10" doc:"The highest first; above 0 is for admins"`
		Keep     bool             `json:"keep,omitempty"`
	}
}

// Position is where somebody is in the queue, in answers.
type Position struct {
	Place int64 `json:"place" doc:"The number to wait at"`
}

type positionAnswer struct{ Body Position }

func (a *api) enqueue(ctx context.Context, actor lab.Actor, in *enqueueInput) (*positionAnswer, error) {
	request := lab.ReserveRequest{
		Machine: deref(in.Body.Machine.value), Query: deref(in.Body.Query.value), Reason: deref(in.Body.Reason.value),
		Priority: in.Body.Priority, Keep: in.Body.Keep,
	}
	var err error
	if request.For, err = parseTerm("for", in.Body.For); err != nil {
		return nil, err
	}
	id, err := a.lab.Enqueue(ctx, actor, request)
	if err != nil {
		return nil, orInvalid(err)
	}
	return &positionAnswer{Position{id}}, nil
}

// PlacePath names a place in the queue in a path.
type PlacePath struct {
	ID int64 `path:"place" minimum:"1" doc:"The number of the place"`
}

type placeAnswer struct{ Body Place }

func (a *api) getPlace(ctx context.Context, actor lab.Actor, in *PlacePath) (*placeAnswer, error) {
	rows, err := a.lab.Queue(ctx, actor)
	if err != nil {
		return nil, err
	}
	for _, p := range rows {
		if p.ID == in.ID {
			return &placeAnswer{toPlace(p)}, nil
		}
	}
	return nil, missing("place in the queue", strconv.FormatInt(in.ID, 10))
}

type waitInput struct {
	PlacePath
	Seconds int `query:"seconds" minimum:"1" maximum:"45" default:"45" doc:"How long at most"`
}

type got struct {
	Machine *string `json:"machine" doc:"That is yours now; null: none yet"`
}

type gotAnswer struct{ Body got }

func (a *api) wait(ctx context.Context, actor lab.Actor, in *waitInput) (*gotAnswer, error) {
	session, leave := a.lab.Session(ctx, actor)
	defer leave()
	waiting, cancel := context.WithTimeout(session, min(time.Duration(in.Seconds)*time.Second, maxWait))
	defer cancel()
	name, err := a.lab.Await(waiting, actor, in.ID)
	switch {
	case err == nil:
		return &gotAnswer{got{optionalText(name)}}, nil
	case lab.CodeOf(err) == lab.Unavailable && waiting.Err() != nil && session.Err() == nil:
		return &gotAnswer{}, nil
	case session.Err() != nil && ctx.Err() == nil: // the token is worth nothing any more
		return nil, context.Cause(session)
	}
	return nil, err
}

func (a *api) leaveQueue(ctx context.Context, actor lab.Actor, in *PlacePath) (*nothing, error) {
	return nil, a.lab.Leave(ctx, actor, in.ID)
}
