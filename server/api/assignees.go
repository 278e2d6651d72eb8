package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Assignee is a user who holds a machine, in answers.
type Assignee struct {
	ID     int64   `json:"id" doc:"Of the reservation"`
	User   string  `json:"user"`
	Reason *string `json:"reason"`
	Since  *string `json:"since" doc:"RFC 1123"`
	Until  *string `json:"until" doc:"When the term ends; null: it has none"`
	LentBy *string `json:"lent_by" doc:"Who gets it back"`
}

func toAssignee(h store.Holder) Assignee {
	return Assignee{
		ID: h.ReservationID, User: h.User, Reason: optionalText(h.Reason), Since: date(h.Since), Until: date(h.Until), LentBy: optionalText(h.LentBy),
	}
}

func (a *api) assigneeOperations() {
	tags := []string{"reservations"}
	operation(a, huma.Operation{
		OperationID: "reserve-any", Method: http.MethodPost, Path: "/machine/reservation", Tags: tags,
		Summary: "Reserve a machine that matches",
		Description: "The first one by name that nobody holds, and that you may use; 404 where there is none. " +
			"Two callers never get the same machine, and whoever waits in the queue for it comes first.",
	}, a.reserveAny)
	operation(a, huma.Operation{
		OperationID: "list-assignees", Method: http.MethodGet, Path: "/machine/{id}/assignee", Tags: tags,
		Summary: "List who holds a machine",
	}, a.listAssignees)
	operation(a, huma.Operation{
		OperationID: "assign", Method: http.MethodPost, Path: "/machine/{id}/assignee", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Give a machine to a user", Description: "Beside those who hold it. Admins only.",
	}, a.assign)
	operation(a, huma.Operation{
		OperationID: "get-assignee", Method: http.MethodGet, Path: "/machine/{id}/assignee/{aid}", Tags: tags,
		Summary: "Look at a reservation",
	}, a.getAssignee)
	operation(a, huma.Operation{
		OperationID: "change-assignee", Method: http.MethodPut, Path: "/machine/{id}/assignee/{aid}", Tags: tags,
		Summary: "Say anew why a user holds a machine", Description: "That user, and admins.",
	}, a.changeAssignee)
	operation(a, huma.Operation{
		OperationID: "unassign", Method: http.MethodDelete, Path: "/machine/{id}/assignee/{aid}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Give a machine back, or take it from a user", Description: "That user, and admins.",
	}, a.unassign)
}

type reserveAnyInput struct {
	Body struct {
		_      struct{}         `additionalProperties:"true"`
		Query  optional[string] `json:"query" maxLength:"300" doc:"An expression of the query language; null: any machine"`
		Reason optional[string] `json:"reason,omitempty" maxLength:"140"`
	}
}

func (a *api) reserveAny(ctx context.Context, actor lab.Actor, in *reserveAnyInput) (*machineAnswer, error) {
	request := lab.ReserveRequest{Query: deref(in.Body.Query.value), Reason: deref(in.Body.Reason.value)}
	name, err := a.lab.ReserveAny(ctx, actor, request)
	if lab.CodeOf(err) == lab.Conflict { // which old clients do not know
		return nil, &lab.Error{Code: lab.NotFound, Message: err.Error(), Err: err}
	}
	if err != nil {
		return nil, err
	}
	return a.machine(ctx, actor, name)
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

type assigneeList struct{ Body []Assignee }

func (a *api) listAssignees(ctx context.Context, actor lab.Actor, in *MachinePath) (*assigneeList, error) {
	m, err := in.machine(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	out := &assigneeList{Body: make([]Assignee, len(m.Holders))}
	for i, h := range m.Holders {
		out.Body[i] = toAssignee(h)
	}
	return out, nil
}

type assigneeAnswer struct{ Body Assignee }

type assignInput struct {
	MachinePath
	Body struct {
		_      struct{}         `additionalProperties:"true"`
		User   string           `json:"user"`
		Reason optional[string] `json:"reason,omitempty" maxLength:"140"`
	}
}

func (a *api) assign(ctx context.Context, actor lab.Actor, in *assignInput) (*assigneeAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	err = a.lab.Assign(ctx, actor, name, in.Body.User, deref(in.Body.Reason.value))
	if err != nil {
		return nil, orInvalid(err)
	}
	return a.assignee(ctx, actor, name, in.Body.User)
}

// assignee looks at the reservation of a user.
func (a *api) assignee(ctx context.Context, actor lab.Actor, machine, user string) (*assigneeAnswer, error) {
	m, err := a.lab.Machine(ctx, actor, machine)
	if err != nil {
		return nil, err
	}
	for _, h := range m.Holders {
		if strings.EqualFold(h.User, user) {
			return &assigneeAnswer{toAssignee(h)}, nil
		}
	}
	return nil, &lab.Error{Code: lab.NotFound, Message: fmt.Sprintf("%s does not hold %s", user, m.Name)}
}

// AssigneePath names a reservation in a path.
type AssigneePath struct {
	MachinePath
	Assignee string `path:"aid" doc:"The number of the reservation, the name of the user, or self" example:"self"`
}

// find finds the reservation that a path is about.
func (p AssigneePath) find(ctx context.Context, a *api, actor lab.Actor) (machine string, h store.Holder, err error) {
	name, err := p.name(ctx, a, actor)
	if err != nil {
		return "", h, err
	}
	m, err := a.lab.Machine(ctx, actor, name)
	if err != nil {
		return "", h, err
	}
	for _, h := range m.Holders {
		self := p.Assignee == "self" && h.UserID == actor.User.ID
		if self || strconv.FormatInt(h.ReservationID, 10) == p.Assignee || strings.EqualFold(h.User, p.Assignee) {
			return m.Name, h, nil
		}
	}
	return "", h, &lab.Error{Code: lab.NotFound, Message: fmt.Sprintf("%s has no assignee %q", m.Name, p.Assignee)}
}

func (a *api) getAssignee(ctx context.Context, actor lab.Actor, in *AssigneePath) (*assigneeAnswer, error) {
	_, h, err := in.find(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return &assigneeAnswer{toAssignee(h)}, nil
}

type changeAssigneeInput struct {
	AssigneePath
	Body struct {
		_      struct{}         `additionalProperties:"true"`
		Reason optional[string] `json:"reason" maxLength:"140"`
	}
}

func (a *api) changeAssignee(ctx context.Context, actor lab.Actor, in *changeAssigneeInput) (*assigneeAnswer, error) {
	machine, h, err := in.find(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	if err := a.lab.SetReason(ctx, actor, machine, h.User, deref(in.Body.Reason.value)); err != nil {
		return nil, err
	}
	return a.assignee(ctx, actor, machine, h.User)
}

func (a *api) unassign(ctx context.Context, actor lab.Actor, in *AssigneePath) (*struct{}, error) {
	machine, h, err := in.find(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.Unassign(ctx, actor, machine, h.User)
}
