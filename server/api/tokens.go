package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Token is a token in answers, without what it is recognized by.
type Token struct {
	ID       int64   `json:"id"`
	Name     string  `json:"name" doc:"What it is for"`
	User     string  `json:"user" doc:"Whose it is"`
	Scope    string  `json:"scope" enum:"read,operate,admin"`
	Machines string  `json:"machines" doc:"The query that says which machines it is for; empty: all"`
	Created  *string `json:"created"`
	Expires  *string `json:"expires" doc:"RFC 3339; null: never"`
	LastUsed *string `json:"last_used" doc:"null: never"`
}

func toToken(t store.Token) Token {
	return Token{
		ID: t.ID, Name: t.Name, User: t.User, Scope: string(t.Scope), Machines: t.MachineFilter,
		Created: moment(t.CreatedAt), Expires: moment(t.ExpiresAt), LastUsed: moment(t.UsedAt),
	}
}

func (a *api) tokenOperations() {
	tags := []string{"tokens"}
	operation(a, huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: "/token", Tags: tags,
		Summary:     "List tokens",
		Description: "Your own; with `show_all`, which admins may, those of everybody. All that is about tokens needs one with the scope admin.",
	}, a.listTokens)
	operation(a, huma.Operation{
		OperationID: "create-token", Method: http.MethodPost, Path: "/token", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Make a token", Description: "The answer shows it, this once: only its hash is kept. For yourself; admins, for anybody.",
	}, a.createToken)
	operation(a, huma.Operation{
		OperationID: "get-token", Method: http.MethodGet, Path: "/token/{token}", Tags: tags,
		Summary: "Look at a token",
	}, a.getToken)
	operation(a, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: "/token/{token}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Revoke a token", Description: "Who shows it is refused from now on, and what it watches ends.",
	}, a.revokeToken)
}

type listTokensInput struct {
	Showing
	Filtering
	Paging
}

func (a *api) listTokens(ctx context.Context, actor lab.Actor, in *listTokensInput) (*list[Token], error) {
	tokens, err := a.tokens(ctx, actor, in.all())
	if err != nil {
		return nil, err
	}
	return listOf(tokens, in.Filtering, &in.Paging, func(t Token) int64 { return t.ID })
}

func (a *api) tokens(ctx context.Context, actor lab.Actor, all bool) ([]Token, error) {
	owner := actor.User.Name
	if all {
		owner = ""
	}
	rows, err := a.lab.Tokens(ctx, actor, owner)
	tokens := make([]Token, len(rows))
	for i, t := range rows {
		tokens[i] = toToken(t)
	}
	return tokens, err
}

type createTokenInput struct {
	Body struct {
		_        struct{}         `additionalProperties:"true"`
		Name     string           `json:"name,omitempty" maxLength:"64" doc:"What it is for"`
		User     string           `json:"user,omitempty" maxLength:"64" doc:"Whose it is; left out: yours"`
		Scope    string           `json:"scope,omitempty" enum:"read,operate,admin" default:"operate"`
		Machines string           `json:"machines,omitempty" maxLength:"300" doc:"A query of name, id, arch and subarch; empty: all machines"`
		Expires  optional[string] `json:"expires,omitempty" maxLength:"64" doc:"A time (RFC 3339), or in how long, such as 90d; null: never"`
	}
}

type newToken struct {
	Body struct {
		Token
		Secret string `json:"token" doc:"What to show"`
	}
}

func (a *api) createToken(ctx context.Context, actor lab.Actor, in *createTokenInput) (*newToken, error) {
	n := lab.NewToken{User: in.Body.User, Name: in.Body.Name, Scope: store.TokenScope(in.Body.Scope), Machines: in.Body.Machines}
	if n.User == "" {
		n.User = actor.User.Name
	}
	if text := in.Body.Expires.value; text != nil {
		lasts, err := lab.ParseTerm(*text)
		n.Expires = a.now().Add(lasts)
		if err != nil {
			if n.Expires, err = parseMoment("expires", *text, a.now()); err != nil {
				return nil, invalid("expires: give a time, such as 2030-01-31T12:00:00Z, or in how long, such as 90d")
			}
		}
	}
	secret, token, err := a.lab.IssueToken(ctx, actor, n)
	if err != nil {
		return nil, orInvalid(err)
	}
	out := new(newToken)
	out.Body.Token, out.Body.Secret = toToken(token), secret
	return out, nil
}

// TokenPath names a token in a path.
type TokenPath struct {
	ID int64 `path:"token" minimum:"1" doc:"The number of the token"`
}

type tokenAnswer struct{ Body Token }

func (a *api) getToken(ctx context.Context, actor lab.Actor, in *TokenPath) (*tokenAnswer, error) {
	tokens, err := a.tokens(ctx, actor, actor.IsAdmin())
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		if t.ID == in.ID {
			return &tokenAnswer{t}, nil
		}
	}
	return nil, missing("token", strconv.FormatInt(in.ID, 10))
}

func (a *api) revokeToken(ctx context.Context, actor lab.Actor, in *TokenPath) (*nothing, error) {
	return nil, a.lab.RevokeToken(ctx, actor, in.ID)
}
