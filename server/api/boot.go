package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
)

// NextBoot is what a machine would boot now, in answers.
type NextBoot struct {
	Machine    string   `json:"machine"`
	MAC        string   `json:"mac" doc:"By which it is known"`
	Netboot    bool     `json:"netboot" doc:"Else it is left to its disk"`
	Why        string   `json:"why" doc:"A sentence"`
	Bootloader *string  `json:"bootloader" doc:"Path of what DHCP names, over TFTP"`
	URL        *string  `json:"url" doc:"Of the same over HTTP"`
	ConfigName *string  `json:"config_name" doc:"By which the bootloader asks for its configuration"`
	Config     *string  `json:"config" doc:"As it would be served. It may name the addresses of the machine's run, which are as good as a password"`
	Kernel     *string  `json:"kernel" doc:"What its run installs, as the next two"`
	Initrd     *string  `json:"initrd"`
	Preseed    *string  `json:"preseed"`
	KernelOpts string   `json:"kernel_opts" doc:"What the preseed implies, then the user's"`
	Notes      []string `json:"notes" doc:"What keeps it from booting from the network, and what can be done about it"`
}

// Template is a template of bootloader configurations in answers.
type Template struct {
	Kind    string  `json:"kind"`
	Content string  `json:"content" doc:"See docs/netboot.md"`
	Own     bool    `json:"own" doc:"The site's own; else the one that comes with the product"`
	Updated *string `json:"updated" doc:"Of one of the site's own"`
}

func toTemplate(t lab.Template) Template {
	return Template{Kind: t.Kind, Content: t.Content, Own: t.Own, Updated: moment(t.UpdatedAt)}
}

func (a *api) bootOperations() {
	operation(a, huma.Operation{
		OperationID: "what-boots", Method: http.MethodGet, Path: "/machine/{id}/boot", Tags: []string{"machines"},
		Summary: "What a machine would boot if it asked now", Description: "Its holders and admins may know. Nothing is noted.",
	}, a.whatBoots)
	operation(a, huma.Operation{
		OperationID: "preview-preseed", Method: http.MethodGet, Path: "/preseed/{id}/preview", Tags: []string{"preseeds"},
		Summary:     "What a machine would be given by a preseed",
		Description: "Of a machine that you hold, or that nobody does. Nothing is noted; addresses have a placeholder where those of a run have its token.",
	}, a.previewPreseed)
	tags := []string{"templates"}
	operation(a, huma.Operation{
		OperationID: "list-templates", Method: http.MethodGet, Path: "/template", Tags: tags,
		Summary: "List the templates of bootloader configurations",
	}, a.listTemplates)
	operation(a, huma.Operation{
		OperationID: "get-template", Method: http.MethodGet, Path: "/template/{kind}", Tags: tags,
		Summary: "Look at a template, as it is used",
	}, a.getTemplate)
	operation(a, huma.Operation{
		OperationID: "set-template", Method: http.MethodPut, Path: "/template/{kind}", Tags: tags,
		Summary: "Have configurations written by the site's own template", Description: "Admins only. One that is wrong is refused.",
	}, a.setTemplate)
	operation(a, huma.Operation{
		OperationID: "reset-template", Method: http.MethodDelete, Path: "/template/{kind}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Have configurations written as the product does", Description: "Admins only.",
	}, a.resetTemplate)
}

type nextBootAnswer struct{ Body NextBoot }

func (a *api) whatBoots(ctx context.Context, actor lab.Actor, in *MachinePath) (*nextBootAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	next, err := a.lab.WhatBoots(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &nextBootAnswer{NextBoot{
		Machine: next.Machine, MAC: next.MAC, Netboot: next.Netboot, Why: next.Why, Bootloader: optionalText(next.Bootloader),
		URL: optionalText(next.URL), ConfigName: optionalText(next.ConfigName), Config: optionalText(string(next.Config)),
		Kernel: optionalText(next.Kernel), Initrd: optionalText(next.Initrd), Preseed: optionalText(next.Preseed),
		KernelOpts: next.Options, Notes: notNil(next.Notes),
	}}, nil
}

// PreseedPreview is what a machine would be given by a preseed, in answers.
type PreseedPreview struct {
	Preseed    string   `json:"preseed"`
	Type       string   `json:"type"`
	Machine    string   `json:"machine"`
	Content    string   `json:"content"`
	KernelOpts string   `json:"kernel_opts" doc:"Those that the preseed implies, then the machine's"`
	Undefined  []string `json:"undefined" doc:"What the template names and nobody has defined, with its line; it renders empty"`
}

type previewInput struct {
	PreseedPath
	Machine string `query:"machine" required:"true" maxLength:"64" doc:"Its number or name" example:"web-01"`
}

type previewAnswer struct{ Body PreseedPreview }

func (a *api) previewPreseed(ctx context.Context, actor lab.Actor, in *previewInput) (*previewAnswer, error) {
	preseed, err := a.lab.PreseedName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	machine, err := a.lab.MachineName(ctx, actor, in.Machine)
	if err != nil {
		return nil, orInvalid(err)
	}
	p, err := a.lab.PreviewPreseed(ctx, actor, preseed, machine)
	if err != nil {
		return nil, err
	}
	answer := PreseedPreview{
		Preseed: p.Preseed, Type: string(p.Type), Machine: p.Machine, Content: strings.ToValidUTF8(string(p.Text), "\ufffd"), KernelOpts: p.Options,
		Undefined: make([]string, len(p.Undefined)),
	}
	for i := range p.Undefined {
		answer.Undefined[i] = lab.UndefinedNames(p.Undefined[i : i+1])
	}
	return &previewAnswer{answer}, nil
}

type listTemplatesInput struct {
	Filtering
	Paging
}

func (a *api) listTemplates(ctx context.Context, actor lab.Actor, in *listTemplatesInput) (*list[Template], error) {
	rows, err := a.lab.Templates(ctx, actor)
	if err != nil {
		return nil, err
	}
	templates := make([]Template, len(rows))
	for i, t := range rows {
		templates[i] = toTemplate(t)
	}
	return listOf(templates, in.Filtering, &in.Paging, func(t Template) string { return t.Kind })
}

// TemplatePath names a kind of template in a path.
type TemplatePath struct {
	Kind string `path:"kind" maxLength:"64" example:"grub-netboot"`
}

type templateAnswer struct{ Body Template }

func (a *api) getTemplate(ctx context.Context, actor lab.Actor, in *TemplatePath) (*templateAnswer, error) {
	t, err := a.lab.Template(ctx, actor, in.Kind)
	if err != nil {
		return nil, err
	}
	return &templateAnswer{toTemplate(t)}, nil
}

type setTemplateInput struct {
	TemplatePath
	Body struct {
		_       struct{} `additionalProperties:"true"`
		Content string   `json:"content" maxLength:"65536"`
	}
}

func (a *api) setTemplate(ctx context.Context, actor lab.Actor, in *setTemplateInput) (*templateAnswer, error) {
	if _, err := a.lab.Template(ctx, actor, in.Kind); err != nil {
		return nil, err
	}
	if err := a.lab.SetTemplate(ctx, actor, in.Kind, in.Body.Content); err != nil {
		return nil, err
	}
	return a.getTemplate(ctx, actor, &in.TemplatePath)
}

func (a *api) resetTemplate(ctx context.Context, actor lab.Actor, in *TemplatePath) (*nothing, error) {
	return nil, a.lab.ResetTemplate(ctx, actor, in.Kind)
}
