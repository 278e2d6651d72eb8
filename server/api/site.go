package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
)

// Site is what admins have decided for all machines, in answers.
type Site struct {
	ConsolesOnDemand bool    `json:"consoles_on_demand" doc:"Consoles are connected only while somebody watches or a run goes on"`
	ConsolesInsist   bool    `json:"consoles_insist" doc:"A console is taken from another program for the sake of its log"`
	Term             *string `json:"term" doc:"For how long a machine is had by who does not say; null: for ever"`
	MaxTerm          *string `json:"max_term" doc:"For how long at most; null: for ever"`
	Grace            *string `json:"grace" doc:"How long a machine is its holder's after the end of the term; null: not at all"`
	IdleAfter        *string `json:"idle_after" doc:"After how long without power, run or console a machine is released; null: never"`
	ProxyJump        bool    `json:"proxy_jump" doc:"People reach the machines that they hold through this server (ssh -J)"`
	Release          string  `json:"release" enum:"leave,power-off" doc:"What becomes of a machine that nobody holds any more"`
}

func toSite(s lab.Site) Site {
	return Site{
		ConsolesOnDemand: s.ConsolesOnDemand, ConsolesInsist: s.ConsolesInsist, Term: term(s.Term), MaxTerm: term(s.MaxTerm),
		Grace: term(s.Grace), IdleAfter: term(s.IdleAfter), ProxyJump: s.ProxyJump, Release: string(s.Release),
	}
}

// Webhook is an address that is told of reservations and runs, in answers.
type Webhook struct {
	URL    string `json:"url"`
	Behind int64  `json:"behind" doc:"How many events until now it has not been offered yet, at most"`
}

func (a *api) siteOperations() {
	tags := []string{"site"}
	operation(a, huma.Operation{
		OperationID: "get-site", Method: http.MethodGet, Path: "/site", Tags: tags, Summary: "What is decided for all machines",
	}, a.getSite)
	operation(a, huma.Operation{
		OperationID: "change-site", Method: http.MethodPut, Path: "/site", Tags: tags,
		Summary: "Decide something for all machines", Description: "Admins only. It takes effect at once. What is left out stays.",
	}, a.changeSite)
	operation(a, huma.Operation{
		OperationID: "list-webhooks", Method: http.MethodGet, Path: "/webhook", Tags: tags,
		Summary: "List the addresses that are told of reservations and runs", Description: "Admins only. Their secrets are never shown.",
	}, a.listWebhooks)
	operation(a, huma.Operation{
		OperationID: "set-webhook", Method: http.MethodPut, Path: "/webhook", Tags: tags,
		Summary: "Have an address told of reservations and runs",
		Description: "Admins only. A POST with JSON, whose HMAC-SHA256 under the secret is in the header X-Provisioner-Signature. Where the address is " +
			"told already, its secret is changed.",
	}, a.setWebhook)
	operation(a, huma.Operation{
		OperationID: "remove-webhook", Method: http.MethodDelete, Path: "/webhook", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Have an address not told any more", Description: "Admins only.",
	}, a.removeWebhook)
}

type siteAnswer struct{ Body Site }

func (a *api) getSite(ctx context.Context, actor lab.Actor, _ *struct{}) (*siteAnswer, error) {
	s, err := a.lab.Site(ctx, actor)
	if err != nil {
		return nil, err
	}
	return &siteAnswer{toSite(s)}, nil
}

type changeSiteInput struct {
	Body struct {
		_                struct{}         `additionalProperties:"true"`
		ConsolesOnDemand given[bool]      `json:"consoles_on_demand,omitempty"`
		ConsolesInsist   given[bool]      `json:"consoles_insist,omitempty"`
		Term             optional[string] `json:"term,omitempty" maxLength:"32" doc:"Such as 7d; null: for ever"`
		MaxTerm          optional[string] `json:"max_term,omitempty" maxLength:"32"`
		Grace            optional[string] `json:"grace,omitempty" maxLength:"32"`
		IdleAfter        optional[string] `json:"idle_after,omitempty" maxLength:"32"`
		ProxyJump        given[bool]      `json:"proxy_jump,omitempty"`
		Release          given[string]    `json:"release,omitempty" enum:"leave,power-off"`
	}
}

func (a *api) changeSite(ctx context.Context, actor lab.Actor, in *changeSiteInput) (*siteAnswer, error) {
	terms := []struct {
		key   string
		text  optional[string]
		field func(*lab.Site) *time.Duration
		value time.Duration
	}{
		{key: "term", text: in.Body.Term, field: func(s *lab.Site) *time.Duration { return &s.Term }},
		{key: "max_term", text: in.Body.MaxTerm, field: func(s *lab.Site) *time.Duration { return &s.MaxTerm }},
		{key: "grace", text: in.Body.Grace, field: func(s *lab.Site) *time.Duration { return &s.Grace }},
		{key: "idle_after", text: in.Body.IdleAfter, field: func(s *lab.Site) *time.Duration { return &s.IdleAfter }},
	}
	for i := range terms {
		var err error
		if terms[i].value, err = parseTerm(terms[i].key, terms[i].text); err != nil {
			return nil, err
		}
	}
	err := a.lab.ChangeSite(ctx, actor, func(s *lab.Site) {
		setGiven(&s.ConsolesOnDemand, in.Body.ConsolesOnDemand)
		setGiven(&s.ConsolesInsist, in.Body.ConsolesInsist)
		setGiven(&s.ProxyJump, in.Body.ProxyJump)
		for _, t := range terms {
			if t.text.sent {
				*t.field(s) = t.value
			}
		}
		if in.Body.Release.value != nil {
			s.Release = lab.ReleasePolicy(*in.Body.Release.value)
		}
	})
	if err != nil {
		return nil, err
	}
	return a.getSite(ctx, actor, nil)
}

type listWebhooksInput struct {
	Filtering
	Paging
}

func (a *api) listWebhooks(ctx context.Context, actor lab.Actor, in *listWebhooksInput) (*list[Webhook], error) {
	hooks, err := a.webhooks(ctx, actor)
	if err != nil {
		return nil, err
	}
	return listOf(hooks, in.Filtering, &in.Paging, func(w Webhook) string { return w.URL })
}

func (a *api) webhooks(ctx context.Context, actor lab.Actor) ([]Webhook, error) {
	rows, err := a.lab.Webhooks(ctx, actor)
	hooks := make([]Webhook, len(rows))
	for i, w := range rows {
		hooks[i] = Webhook{w.URL, w.Behind}
	}
	return hooks, err
}

type setWebhookInput struct {
	Body struct {
		_      struct{} `additionalProperties:"true"`
		URL    string   `json:"url" maxLength:"2048"`
		Secret string   `json:"secret" maxLength:"1024"`
	}
}

type webhookAnswer struct{ Body Webhook }

func (a *api) setWebhook(ctx context.Context, actor lab.Actor, in *setWebhookInput) (*webhookAnswer, error) {
	if err := a.lab.SetWebhook(ctx, actor, in.Body.URL, in.Body.Secret); err != nil {
		return nil, err
	}
	hooks, err := a.webhooks(ctx, actor)
	for _, w := range hooks {
		if w.URL == in.Body.URL {
			return &webhookAnswer{w}, nil
		}
	}
	if err == nil {
		err = missing("webhook", in.Body.URL) // somebody has removed it again
	}
	return nil, err
}

type removeWebhookInput struct {
	URL string `query:"url" required:"true" maxLength:"2048" example:"https://ci.example/hook"`
}

func (a *api) removeWebhook(ctx context.Context, actor lab.Actor, in *removeWebhookInput) (*nothing, error) {
	return nil, a.lab.RemoveWebhook(ctx, actor, in.URL)
}
