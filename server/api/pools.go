package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Group is a group of users in answers.
type Group struct {
	Name    string   `json:"name"`
	Members []string `json:"members" doc:"Names of users"`
}

// Pool is a group of machines in answers.
type Pool struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Machines    []string `json:"machines"`
	Groups      []string `json:"groups" doc:"Whose members may use them; admins always may"`
}

func toGroup(g store.Group) Group { return Group{Name: g.Name, Members: notNil(g.Members)} }

func toPool(p store.Pool) Pool {
	return Pool{Name: p.Name, Description: p.Description, Machines: notNil(p.Machines), Groups: notNil(p.Groups)}
}

func (a *api) poolOperations() {
	tags := []string{"pools"}
	operation(a, huma.Operation{
		OperationID: "list-groups", Method: http.MethodGet, Path: "/group", Tags: tags, Summary: "List groups of users",
	}, a.listGroups)
	operation(a, huma.Operation{
		OperationID: "add-group", Method: http.MethodPost, Path: "/group", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a group of users", Description: "Admins only, as for all changes of groups and pools.",
	}, a.addGroup)
	operation(a, huma.Operation{
		OperationID: "get-group", Method: http.MethodGet, Path: "/group/{name}", Tags: tags, Summary: "Look at a group of users",
	}, a.getGroup)
	operation(a, huma.Operation{
		OperationID: "change-group", Method: http.MethodPut, Path: "/group/{name}", Tags: tags, Summary: "Say who is in a group",
	}, a.changeGroup)
	operation(a, huma.Operation{
		OperationID: "remove-group", Method: http.MethodDelete, Path: "/group/{name}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove a group of users",
	}, a.removeGroup)
	operation(a, huma.Operation{
		OperationID: "list-pools", Method: http.MethodGet, Path: "/pool", Tags: tags, Summary: "List pools of machines",
	}, a.listPools)
	operation(a, huma.Operation{
		OperationID: "add-pool", Method: http.MethodPost, Path: "/pool", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a pool of machines", Description: "A machine in no pool is for everybody; one in pools, for the groups of these.",
	}, a.addPool)
	operation(a, huma.Operation{
		OperationID: "get-pool", Method: http.MethodGet, Path: "/pool/{name}", Tags: tags, Summary: "Look at a pool of machines",
	}, a.getPool)
	operation(a, huma.Operation{
		OperationID: "change-pool", Method: http.MethodPut, Path: "/pool/{name}", Tags: tags,
		Summary:     "Say which machines a pool has, and for whom they are",
		Description: "Who holds a machine and may not use it any more keeps it until their term is over.",
	}, a.changePool)
	operation(a, huma.Operation{
		OperationID: "remove-pool", Method: http.MethodDelete, Path: "/pool/{name}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove a pool", Description: "Its machines are for everybody then, unless they are in another one.",
	}, a.removePool)
}

type listPoolsInput struct {
	Filtering
	Paging
}

func (a *api) listGroups(ctx context.Context, actor lab.Actor, in *listPoolsInput) (*list[Group], error) {
	rows, err := a.lab.Groups(ctx, actor)
	if err != nil {
		return nil, err
	}
	groups := make([]Group, len(rows))
	for i, g := range rows {
		groups[i] = toGroup(g)
	}
	return listOf(groups, in.Filtering, &in.Paging, func(g Group) string { return byName(g.Name) })
}

type groupAnswer struct{ Body Group }

func (a *api) getGroup(ctx context.Context, actor lab.Actor, in *NamePath) (*groupAnswer, error) {
	rows, err := a.lab.Groups(ctx, actor)
	if err != nil {
		return nil, err
	}
	for _, g := range rows {
		if strings.EqualFold(g.Name, in.Name) {
			return &groupAnswer{toGroup(g)}, nil
		}
	}
	return nil, missing("group", in.Name)
}

type addGroupInput struct {
	Body struct {
		_       struct{} `additionalProperties:"true"`
		Name    string   `json:"name" maxLength:"63"`
		Members []string `json:"members,omitempty" maxItems:"10000" doc:"Names of users"`
	}
}

func (a *api) addGroup(ctx context.Context, actor lab.Actor, in *addGroupInput) (*groupAnswer, error) {
	name := in.Body.Name
	err := a.lab.AddGroup(ctx, actor, name)
	if err == nil && len(in.Body.Members) > 0 {
		if err = a.lab.ChangeGroup(ctx, actor, name, func(g *store.Group) { g.Members = in.Body.Members }); err != nil {
			err = errors.Join(orInvalid(err), a.lab.RemoveGroup(ctx, actor, name))
		}
	}
	if err != nil {
		return nil, err
	}
	return a.getGroup(ctx, actor, &NamePath{name})
}

type changeGroupInput struct {
	NamePath
	Body struct {
		_       struct{}        `additionalProperties:"true"`
		Name    given[string]   `json:"name,omitempty" maxLength:"63"`
		Members given[[]string] `json:"members,omitempty" maxItems:"10000" doc:"All of them"`
	}
}

func (a *api) changeGroup(ctx context.Context, actor lab.Actor, in *changeGroupInput) (*groupAnswer, error) {
	if _, err := a.getGroup(ctx, actor, &in.NamePath); err != nil {
		return nil, err
	}
	err := a.lab.ChangeGroup(ctx, actor, in.Name, func(g *store.Group) {
		setGiven(&g.Name, in.Body.Name)
		setGiven(&g.Members, in.Body.Members)
	})
	if err != nil {
		return nil, orInvalid(err)
	}
	setGiven(&in.Name, in.Body.Name)
	return a.getGroup(ctx, actor, &in.NamePath)
}

func (a *api) removeGroup(ctx context.Context, actor lab.Actor, in *NamePath) (*nothing, error) {
	return nil, a.lab.RemoveGroup(ctx, actor, in.Name)
}

func (a *api) listPools(ctx context.Context, actor lab.Actor, in *listPoolsInput) (*list[Pool], error) {
	rows, err := a.lab.Pools(ctx, actor)
	if err != nil {
		return nil, err
	}
	pools := make([]Pool, len(rows))
	for i, p := range rows {
		pools[i] = toPool(p)
	}
	return listOf(pools, in.Filtering, &in.Paging, func(p Pool) string { return byName(p.Name) })
}

type poolAnswer struct{ Body Pool }

func (a *api) getPool(ctx context.Context, actor lab.Actor, in *NamePath) (*poolAnswer, error) {
	rows, err := a.lab.Pools(ctx, actor)
	if err != nil {
		return nil, err
	}
	for _, p := range rows {
		if strings.EqualFold(p.Name, in.Name) {
			return &poolAnswer{toPool(p)}, nil
		}
	}
	return nil, missing("pool", in.Name)
}

type addPoolInput struct {
	Body struct {
		_           struct{} `additionalProperties:"true"`
		Name        string   `json:"name" maxLength:"63"`
		Description string   `json:"description,omitempty" maxLength:"1024"`
		Machines    []string `json:"machines,omitempty" maxItems:"10000" doc:"Names"`
		Groups      []string `json:"groups,omitempty" maxItems:"10000" doc:"Names"`
	}
}

func (a *api) addPool(ctx context.Context, actor lab.Actor, in *addPoolInput) (*poolAnswer, error) {
	name := in.Body.Name
	if err := a.lab.AddPool(ctx, actor, name); err != nil {
		return nil, err
	}
	err := a.lab.ChangePool(ctx, actor, name, func(p *store.Pool) {
		p.Description, p.Machines, p.Groups = in.Body.Description, in.Body.Machines, in.Body.Groups
	})
	if err != nil {
		return nil, errors.Join(orInvalid(err), a.lab.RemovePool(ctx, actor, name))
	}
	return a.getPool(ctx, actor, &NamePath{name})
}

type changePoolInput struct {
	NamePath
	Body struct {
		_           struct{}         `additionalProperties:"true"`
		Name        given[string]    `json:"name,omitempty" maxLength:"63"`
		Description optional[string] `json:"description,omitempty" maxLength:"1024"`
		Machines    given[[]string]  `json:"machines,omitempty" maxItems:"10000" doc:"All of them"`
		Groups      given[[]string]  `json:"groups,omitempty" maxItems:"10000" doc:"All of them"`
	}
}

func (a *api) changePool(ctx context.Context, actor lab.Actor, in *changePoolInput) (*poolAnswer, error) {
	if _, err := a.getPool(ctx, actor, &in.NamePath); err != nil {
		return nil, err
	}
	err := a.lab.ChangePool(ctx, actor, in.Name, func(p *store.Pool) {
		setGiven(&p.Name, in.Body.Name)
		setOptional(&p.Description, in.Body.Description)
		setGiven(&p.Machines, in.Body.Machines)
		setGiven(&p.Groups, in.Body.Groups)
	})
	if err != nil {
		return nil, orInvalid(err)
	}
	setGiven(&in.Name, in.Body.Name)
	return a.getPool(ctx, actor, &in.NamePath)
}

func (a *api) removePool(ctx context.Context, actor lab.Actor, in *NamePath) (*nothing, error) {
	return nil, a.lab.RemovePool(ctx, actor, in.Name)
}
