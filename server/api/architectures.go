package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Subarch is a flavour of an architecture in answers: a firmware.
type Subarch struct {
	Name       string  `json:"name"`
	EFIBoot    bool    `json:"efiboot" doc:"BMCs are asked for a UEFI boot"`
	Bootloader *string `json:"bootloader" doc:"The name of an image; null: none"`
	Machines   int     `json:"machines" doc:"How many are of it"`
}

// Architecture is an architecture in answers.
type Architecture struct {
	Name     string    `json:"name"`
	Subarchs []Subarch `json:"subarchs"`
}

func toSubarch(s store.Subarch) Subarch {
	return Subarch{Name: s.Name, EFIBoot: s.EFIBoot, Bootloader: optionalText(s.Bootloader), Machines: s.Machines}
}

func (a *api) architectureOperations() {
	tags := []string{"architectures"}
	operation(a, huma.Operation{
		OperationID: "list-architectures", Method: http.MethodGet, Path: "/architecture", Tags: tags,
		Summary: "List architectures with their firmwares",
	}, a.listArchitectures)
	operation(a, huma.Operation{
		OperationID: "add-architecture", Method: http.MethodPost, Path: "/architecture", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add an architecture", Description: "Admins only, as for all changes of architectures.",
	}, a.addArchitecture)
	operation(a, huma.Operation{
		OperationID: "get-architecture", Method: http.MethodGet, Path: "/architecture/{arch}", Tags: tags,
		Summary: "Look at an architecture",
	}, a.getArchitecture)
	operation(a, huma.Operation{
		OperationID: "remove-architecture", Method: http.MethodDelete, Path: "/architecture/{arch}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove an architecture with its firmwares", Description: "While a machine or an image is of it, it stays: 409, which names them.",
	}, a.removeArchitecture)
	operation(a, huma.Operation{
		OperationID: "add-subarch", Method: http.MethodPost, Path: "/architecture/{arch}/subarch", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a firmware to an architecture",
	}, a.addSubarch)
	operation(a, huma.Operation{
		OperationID: "get-subarch", Method: http.MethodGet, Path: "/architecture/{arch}/subarch/{subarch}", Tags: tags,
		Summary: "Look at a firmware",
	}, a.getSubarch)
	operation(a, huma.Operation{
		OperationID: "change-subarch", Method: http.MethodPut, Path: "/architecture/{arch}/subarch/{subarch}", Tags: tags,
		Summary: "Change a firmware, for all its machines",
	}, a.changeSubarch)
	operation(a, huma.Operation{
		OperationID: "remove-subarch", Method: http.MethodDelete, Path: "/architecture/{arch}/subarch/{subarch}", Tags: tags,
		DefaultStatus: http.StatusNoContent,
		Summary:       "Remove a firmware", Description: "While a machine is of it, it stays: 409.",
	}, a.removeSubarch)
}

type listArchitecturesInput struct {
	Filtering
	Paging
}

func (a *api) listArchitectures(ctx context.Context, actor lab.Actor, in *listArchitecturesInput) (*list[Architecture], error) {
	all, err := a.architectures(ctx, actor)
	if err != nil {
		return nil, err
	}
	return listOf(all, in.Filtering, &in.Paging, func(arch Architecture) string { return byName(arch.Name) })
}

func (a *api) architectures(ctx context.Context, actor lab.Actor) ([]Architecture, error) {
	rows, err := a.lab.Architectures(ctx, actor)
	all := make([]Architecture, len(rows))
	for i, row := range rows {
		all[i] = Architecture{Name: row.Name, Subarchs: make([]Subarch, len(row.Subarchs))}
		for j, s := range row.Subarchs {
			all[i].Subarchs[j] = toSubarch(s)
		}
	}
	return all, err
}

// ArchPath names an architecture in a path.
type ArchPath struct {
	Arch string `path:"arch" maxLength:"64" example:"amd64"`
}

type architectureAnswer struct{ Body Architecture }

func (a *api) getArchitecture(ctx context.Context, actor lab.Actor, in *ArchPath) (*architectureAnswer, error) {
	all, err := a.architectures(ctx, actor)
	if err != nil {
		return nil, err
	}
	for _, arch := range all {
		if strings.EqualFold(arch.Name, in.Arch) {
			return &architectureAnswer{arch}, nil
		}
	}
	return nil, missing("architecture", in.Arch)
}

type addArchitectureInput struct {
	Body struct {
		_    struct{} `additionalProperties:"true"`
		Name string   `json:"name" maxLength:"64"`
	}
}

func (a *api) addArchitecture(ctx context.Context, actor lab.Actor, in *addArchitectureInput) (*architectureAnswer, error) {
	if err := a.lab.AddArchitecture(ctx, actor, in.Body.Name); err != nil {
		return nil, err
	}
	return a.getArchitecture(ctx, actor, &ArchPath{in.Body.Name})
}

func (a *api) removeArchitecture(ctx context.Context, actor lab.Actor, in *ArchPath) (*nothing, error) {
	return nil, a.lab.RemoveArchitecture(ctx, actor, in.Arch)
}

type addSubarchInput struct {
	ArchPath
	Body struct {
		_          struct{}         `additionalProperties:"true"`
		Name       string           `json:"name" maxLength:"64"`
		EFIBoot    bool             `json:"efiboot,omitempty"`
		Bootloader optional[string] `json:"bootloader,omitempty" maxLength:"128" doc:"The name of an image"`
	}
}

type subarchAnswer struct{ Body Subarch }

func (a *api) addSubarch(ctx context.Context, actor lab.Actor, in *addSubarchInput) (*subarchAnswer, error) {
	if _, err := a.getArchitecture(ctx, actor, &in.ArchPath); err != nil {
		return nil, err
	}
	n := lab.NewSubarch{Arch: in.Arch, Name: in.Body.Name, EFIBoot: in.Body.EFIBoot, Bootloader: deref(in.Body.Bootloader.value)}
	if err := a.lab.AddSubarch(ctx, actor, n); err != nil {
		return nil, orInvalid(err)
	}
	return a.getSubarch(ctx, actor, &SubarchPath{in.ArchPath, n.Name})
}

// SubarchPath names a firmware of an architecture in a path.
type SubarchPath struct {
	ArchPath
	Subarch string `path:"subarch" maxLength:"64" example:"uefi"`
}

func (a *api) getSubarch(ctx context.Context, actor lab.Actor, in *SubarchPath) (*subarchAnswer, error) {
	arch, err := a.getArchitecture(ctx, actor, &in.ArchPath)
	if err != nil {
		return nil, err
	}
	for _, s := range arch.Body.Subarchs {
		if strings.EqualFold(s.Name, in.Subarch) {
			return &subarchAnswer{s}, nil
		}
	}
	return nil, missing("architecture", in.Arch+"/"+in.Subarch)
}

type changeSubarchInput struct {
	SubarchPath
	Body struct {
		_          struct{}         `additionalProperties:"true"`
		Name       given[string]    `json:"name,omitempty" maxLength:"64"`
		EFIBoot    given[bool]      `json:"efiboot,omitempty"`
		Bootloader optional[string] `json:"bootloader,omitempty" maxLength:"128" doc:"null: none"`
	}
}

func (a *api) changeSubarch(ctx context.Context, actor lab.Actor, in *changeSubarchInput) (*subarchAnswer, error) {
	if _, err := a.getSubarch(ctx, actor, &in.SubarchPath); err != nil {
		return nil, err
	}
	err := a.lab.ChangeSubarch(ctx, actor, in.Arch, in.Subarch, lab.SubarchChange{
		Name: in.Body.Name.value, EFIBoot: in.Body.EFIBoot.value, Bootloader: in.Body.Bootloader.orZero(),
	})
	if err != nil {
		return nil, orInvalid(err)
	}
	setGiven(&in.Subarch, in.Body.Name)
	return a.getSubarch(ctx, actor, &in.SubarchPath)
}

func (a *api) removeSubarch(ctx context.Context, actor lab.Actor, in *SubarchPath) (*nothing, error) {
	return nil, a.lab.RemoveSubarch(ctx, actor, in.Arch, in.Subarch)
}
