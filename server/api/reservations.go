package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Reservation is who held what and why, in answers.
type Reservation struct {
	ID       int64   `json:"id"`
	Machine  string  `json:"machine" doc:"As it was called then"`
	User     string  `json:"user"`
	Reason   *string `json:"reason"`
	Started  *string `json:"started" doc:"RFC 3339"`
	Until    *string `json:"until" doc:"When the term ends, or would have; null: it has none"`
	Ended    *string `json:"ended" doc:"null: it goes on"`
	EndedBy  *string `json:"ended_by"`
	EndedWhy *string `json:"ended_why" doc:"released, term, idle, lent, returned or missed"`
	LentBy   *string `json:"lent_by" doc:"Who gets it back"`
}

func toReservation(r store.Reservation) Reservation {
	answer := Reservation{
		ID: r.ID, Machine: r.Machine, User: r.User, Reason: optionalText(r.Reason), Started: moment(r.StartedAt), Until: moment(r.ExpiresAt),
		Ended: moment(r.EndedAt), EndedBy: optionalText(r.EndedBy), EndedWhy: optionalText(string(r.EndedWhy)),
	}
	if r.Lender != nil {
		answer.LentBy = optionalText(r.Lender.User)
	}
	return answer
}

func (a *api) reservationOperations() {
	tags := []string{"reservations"}
	operation(a, huma.Operation{
		OperationID: "list-reservations", Method: http.MethodGet, Path: "/reservation", Tags: tags,
		Summary: "Who held what and why", Description: "The newest first, 100 of them where no limit is given. It remembers machines and users that are gone.",
	}, a.listReservations)
	operation(a, huma.Operation{
		OperationID: "reserve", Method: http.MethodPost, Path: "/machine/{id}/reservation", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Reserve a machine", Description: "One that nobody holds; 409 where somebody does.",
	}, a.reserve)
	operation(a, huma.Operation{
		OperationID: "release", Method: http.MethodDelete, Path: "/machine/{id}/reservation", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Give a machine back", Description: "What was lent goes back to who lent it. An admin who does not hold the machine takes it from all who do.",
	}, a.release)
	operation(a, huma.Operation{
		OperationID: "extend", Method: http.MethodPost, Path: "/machine/{id}/reservation/extend", Tags: tags,
		Summary: "Move the end of your term", Description: "An admin who does not hold the machine extends all its terms, beyond the site's maximum, too.",
	}, a.extend)
	operation(a, huma.Operation{
		OperationID: "lend", Method: http.MethodPost, Path: "/machine/{id}/reservation/lend", Tags: tags,
		Summary: "Lend a machine to another user", Description: "It comes back when the time is over, or when it is given or taken back.",
	}, a.lend)
	operation(a, huma.Operation{
		OperationID: "reclaim", Method: http.MethodPost, Path: "/machine/{id}/reservation/reclaim", Tags: tags,
		Summary: "Take back what you have lent, before its time",
	}, a.reclaim)
}

type listReservationsInput struct {
	Machine string `query:"machine" maxLength:"64" doc:"Only of this one, as it is called or was"`
	User    string `query:"user" maxLength:"64"`
	Since   string `query:"since" maxLength:"64" doc:"Only what had not ended then: a time (RFC 3339), or how long ago, such as 30d"`
	Paging
}

func (a *api) listReservations(ctx context.Context, actor lab.Actor, in *listReservationsInput) (*list[Reservation], error) {
	before, err := in.afterID()
	if err != nil {
		return nil, err
	}
	since, err := parseMoment("since", in.Since, a.now())
	if err != nil {
		return nil, err
	}
	in.bounded()
	rows, err := a.lab.History(ctx, actor, store.HistoryFilter{Machine: in.Machine, User: in.User, Since: since, Before: before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return newestFirst(rows, &in.Paging, func(r store.Reservation) int64 { return r.ID }, toReservation), nil
}

type reserveInput struct {
	MachinePath
	Body struct {
		_      struct{}         `additionalProperties:"true"`
		Reason optional[string] `json:"reason,omitempty" maxLength:"140"`
		For    optional[string] `json:"for,omitempty" maxLength:"32" doc:"How long, such as 4h or 2d; null: as long as the site has it"`
	}
}

func (a *api) reserve(ctx context.Context, actor lab.Actor, in *reserveInput) (*machineAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	request := lab.ReserveRequest{Machine: name, Reason: deref(in.Body.Reason.value)}
	if request.For, err = parseTerm("for", in.Body.For); err != nil {
		return nil, err
	}
	if name, err = a.lab.ReserveAny(ctx, actor, request); err != nil {
		return nil, err
	}
	return a.machine(ctx, actor, name)
}

func (a *api) release(ctx context.Context, actor lab.Actor, in *MachinePath) (*nothing, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.Release(ctx, actor, name)
}

type until struct {
	Until *string `json:"until" doc:"When it ends (RFC 3339); null: that is open"`
}

type untilAnswer struct{ Body until }

type extendInput struct {
	MachinePath
	Body struct {
		_  struct{}         `additionalProperties:"true"`
		By optional[string] `json:"by,omitempty" maxLength:"32" doc:"How long, such as 4h; null: what the site has as a term"`
	}
}

func (a *api) extend(ctx context.Context, actor lab.Actor, in *extendInput) (*untilAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	by, err := parseTerm("by", in.Body.By)
	if err != nil {
		return nil, err
	}
	end, err := a.lab.Extend(ctx, actor, name, by)
	return whenKnown(end, err)
}

func whenKnown(end time.Time, err error) (*untilAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &untilAnswer{until{moment(end)}}, nil
}

type lendInput struct {
	MachinePath
	Body struct {
		_      struct{}         `additionalProperties:"true"`
		User   string           `json:"user" maxLength:"64" doc:"To whom"`
		For    optional[string] `json:"for,omitempty" maxLength:"32" doc:"How long; null: until your own term ends"`
		Reason optional[string] `json:"reason,omitempty" maxLength:"140"`
	}
}

func (a *api) lend(ctx context.Context, actor lab.Actor, in *lendInput) (*untilAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	lasts, err := parseTerm("for", in.Body.For)
	if err != nil {
		return nil, err
	}
	end, err := a.lab.Lend(ctx, actor, name, in.Body.User, lasts, deref(in.Body.Reason.value))
	return whenKnown(end, orInvalid(err))
}

func (a *api) reclaim(ctx context.Context, actor lab.Actor, in *MachinePath) (*machineAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	if err := a.lab.Reclaim(ctx, actor, name); err != nil {
		return nil, err
	}
	return a.machine(ctx, actor, name)
}
