package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// maxPreseedBody is how long a body with a preseed may be: JSON may write a
// byte as six.
const maxPreseedBody = 6*lab.MaxPreseed + 64<<10

// Preseed is a template for installers in answers.
type Preseed struct {
	ID          int64   `json:"id"`
	Name        string  `json:"name"`
	Content     string  `json:"content" doc:"A Jinja2 template"`
	Description *string `json:"description"`
	Type        string  `json:"type" enum:"preseed,kickstart,autoyast,cloud-init,ignition"`
	User        *string `json:"user" doc:"Whose it is"`
	KnownGood   bool    `json:"known_good"`
	Public      bool    `json:"public" doc:"Anybody may install with it"`
}

func toPreseed(p store.Preseed) Preseed {
	return Preseed{
		ID: p.ID, Name: p.Name, Content: p.Content, Description: optionalText(p.Description), Type: p.Type, User: optionalText(p.Owner),
		KnownGood: p.KnownGood, Public: p.Public,
	}
}

func (a *api) preseedOperations() {
	tags := []string{"preseeds"}
	operation(a, huma.Operation{
		OperationID: "list-preseeds", Method: http.MethodGet, Path: "/preseed", Tags: tags,
		Summary: "List preseeds", Description: "Without `show_all`, only your own; with it, all that you may install with.",
	}, a.listPreseeds)
	operation(a, huma.Operation{
		OperationID: "add-preseed", Method: http.MethodPost, Path: "/preseed", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a preseed", MaxBodyBytes: maxPreseedBody,
	}, a.addPreseed)
	operation(a, huma.Operation{
		OperationID: "get-preseed", Method: http.MethodGet, Path: "/preseed/{id}", Tags: tags,
		Summary: "Look at a preseed",
	}, a.getPreseed)
	operation(a, huma.Operation{
		OperationID: "change-preseed", Method: http.MethodPut, Path: "/preseed/{id}", Tags: tags,
		Summary: "Change a preseed", Description: "Its owner and admins may.", MaxBodyBytes: maxPreseedBody,
	}, a.changePreseed)
	operation(a, huma.Operation{
		OperationID: "remove-preseed", Method: http.MethodDelete, Path: "/preseed/{id}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove a preseed", Description: "Its owner and admins may. While a machine uses it, it stays: 409, which says who does.",
	}, a.removePreseed)
}

type listPreseedsInput struct {
	Showing
	Filtering
	Paging
}

func (a *api) listPreseeds(ctx context.Context, actor lab.Actor, in *listPreseedsInput) (*list[Preseed], error) {
	preseeds, err := a.lab.FullPreseeds(ctx, actor)
	if err != nil {
		return nil, err
	}
	var listed []Preseed
	for _, p := range preseeds {
		if in.all() || p.UserID == actor.User.ID {
			listed = append(listed, toPreseed(p))
		}
	}
	return listOf(listed, in.Filtering, &in.Paging, func(p Preseed) string { return byName(p.Name) })
}

// PreseedPath names a preseed in a path.
type PreseedPath struct {
	ID string `path:"id" doc:"The preseed: its number, or its name" example:"debian"`
}

type preseedAnswer struct{ Body Preseed }

func (a *api) getPreseed(ctx context.Context, actor lab.Actor, in *PreseedPath) (*preseedAnswer, error) {
	name, err := a.lab.PreseedName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	p, err := a.lab.Preseed(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &preseedAnswer{toPreseed(p.Preseed)}, nil
}

type addPreseedInput struct {
	Body struct {
		_           struct{}         `additionalProperties:"true"`
		Name        string           `json:"name" minLength:"2" maxLength:"256"`
		Type        string           `json:"type" enum:"preseed,kickstart,autoyast,cloud-init,ignition"`
		Description optional[string] `json:"description,omitempty"`
		Content     optional[string] `json:"content,omitempty"`
		KnownGood   bool             `json:"known_good,omitempty"`
		Public      bool             `json:"public,omitempty"`
	}
}

func (a *api) addPreseed(ctx context.Context, actor lab.Actor, in *addPreseedInput) (*preseedAnswer, error) {
	p := lab.NewPreseed{Name: in.Body.Name, Type: in.Body.Type, KnownGood: in.Body.KnownGood, Public: in.Body.Public}
	if text := in.Body.Description.value; text != nil {
		p.Description = *text
	}
	if text := in.Body.Content.value; text != nil {
		p.Content = *text
	}
	if err := a.lab.AddPreseed(ctx, actor, p); err != nil {
		return nil, err
	}
	return a.preseed(ctx, actor, p.Name)
}

type changePreseedInput struct {
	PreseedPath
	Body struct {
		_           struct{}         `additionalProperties:"true"`
		Name        given[string]    `json:"name,omitempty" minLength:"2" maxLength:"256"`
		Type        given[string]    `json:"type,omitempty" enum:"preseed,kickstart,autoyast,cloud-init,ignition"`
		Description optional[string] `json:"description,omitempty"`
		Content     optional[string] `json:"content,omitempty"`
		KnownGood   given[bool]      `json:"known_good,omitempty"`
		Public      given[bool]      `json:"public,omitempty"`
	}
}

func (a *api) changePreseed(ctx context.Context, actor lab.Actor, in *changePreseedInput) (*preseedAnswer, error) {
	name, err := a.lab.PreseedName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	err = a.lab.ChangePreseed(ctx, actor, name, lab.PreseedChange{
		Name: in.Body.Name.value, Type: in.Body.Type.value, Description: in.Body.Description.orZero(), Content: in.Body.Content.orZero(),
		KnownGood: in.Body.KnownGood.value, Public: in.Body.Public.value,
	})
	if err != nil {
		return nil, err
	}
	if in.Body.Name.value != nil {
		name = *in.Body.Name.value
	}
	return a.preseed(ctx, actor, name)
}

func (a *api) preseed(ctx context.Context, actor lab.Actor, name string) (*preseedAnswer, error) {
	p, err := a.lab.Preseed(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &preseedAnswer{toPreseed(p.Preseed)}, nil
}

type removePreseedInput struct {
	PreseedPath
	Forgetting
}

func (a *api) removePreseed(ctx context.Context, actor lab.Actor, in *removePreseedInput) (*nothing, error) {
	name, err := a.lab.PreseedName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.RemovePreseed(ctx, actor, name, in.Forget)
}
