package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// BMC is a management controller in answers, without its secrets.
type BMC struct {
	ID           int64    `json:"id"`
	Type         string   `json:"type" enum:"plain,moonshot"`
	Address      string   `json:"address" doc:"Host, or host:port"`
	Username     string   `json:"username"`
	CipherSuites string   `json:"cipher_suites" doc:"Numbers, the preferred first; empty: the usual ones"`
	Privilege    string   `json:"privilege"`
	HasKG        bool     `json:"has_kg" doc:"It has a key of its own"`
	Machines     []string `json:"machines" doc:"That it is of"`
}

func toBMC(b lab.BMCInfo) BMC {
	answer := BMC{
		ID: b.ID, Type: string(b.Type), Address: b.Address, Username: b.Username, CipherSuites: b.CipherSuites, Privilege: b.Privilege,
		HasKG: b.HasKG, Machines: make([]string, len(b.Machines)),
	}
	for i, m := range b.Machines {
		answer.Machines[i] = m.Name
	}
	return answer
}

func (a *api) bmcOperations() {
	tags := []string{"bmcs"}
	operation(a, huma.Operation{
		OperationID: "list-bmcs", Method: http.MethodGet, Path: "/bmc", Tags: tags,
		Summary: "List management controllers", Description: "Admins only, as all that is about BMCs. Their secrets are never shown.",
	}, a.listBMCs)
	operation(a, huma.Operation{
		OperationID: "add-bmc", Method: http.MethodPost, Path: "/bmc", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a management controller", Description: "Such as that of a chassis. That of a single machine comes with the machine.",
	}, a.addBMC)
	operation(a, huma.Operation{
		OperationID: "get-bmc", Method: http.MethodGet, Path: "/bmc/{bmc}", Tags: tags, Summary: "Look at a management controller",
	}, a.getBMC)
	operation(a, huma.Operation{
		OperationID: "change-bmc", Method: http.MethodPut, Path: "/bmc/{bmc}", Tags: tags,
		Summary: "Say how a management controller is reached", Description: "All its machines are connected anew.",
	}, a.changeBMC)
	operation(a, huma.Operation{
		OperationID: "remove-bmc", Method: http.MethodDelete, Path: "/bmc/{bmc}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove a management controller", Description: "While machines have it, it stays: 409, which names them.",
	}, a.removeBMC)
}

type listBMCsInput struct {
	Filtering
	Paging
}

func (a *api) listBMCs(ctx context.Context, actor lab.Actor, in *listBMCsInput) (*list[BMC], error) {
	rows, err := a.lab.BMCs(ctx, actor)
	if err != nil {
		return nil, err
	}
	bmcs := make([]BMC, len(rows))
	for i, b := range rows {
		bmcs[i] = toBMC(b)
	}
	return listOf(bmcs, in.Filtering, &in.Paging, func(b BMC) int64 { return b.ID })
}

// BMCPath names a management controller in a path.
type BMCPath struct {
	ID int64 `path:"bmc" minimum:"1" doc:"The number of the BMC"`
}

type bmcAnswer struct{ Body BMC }

func (a *api) getBMC(ctx context.Context, actor lab.Actor, in *BMCPath) (*bmcAnswer, error) {
	b, err := a.lab.BMC(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return &bmcAnswer{toBMC(b)}, nil
}

// newBMC is how a management controller is reached, in requests.
type newBMC struct {
	_            struct{} `additionalProperties:"true"`
	Type         string   `json:"type,omitempty" enum:"plain,moonshot" default:"plain"`
	Address      string   `json:"address" maxLength:"262" doc:"Host, or host:port"`
	Username     string   `json:"username,omitempty" maxLength:"64"`
	Password     string   `json:"password,omitempty" maxLength:"64"`
	KG           string   `json:"kg,omitempty" maxLength:"64" doc:"The BMC's own key: text, or 0x and hexadecimal digits"`
	CipherSuites string   `json:"cipher_suites,omitempty" maxLength:"64" example:"17,3"`
	Privilege    string   `json:"privilege,omitempty" enum:"user,operator,administrator"`
}

func (n newBMC) bmc() store.BMC {
	return store.BMC{
		Type: store.BMCType(n.Type), Address: n.Address, Username: n.Username, Password: n.Password, KG: n.KG,
		CipherSuites: n.CipherSuites, Privilege: n.Privilege,
	}
}

type addBMCInput struct{ Body newBMC }

func (a *api) addBMC(ctx context.Context, actor lab.Actor, in *addBMCInput) (*bmcAnswer, error) {
	id, err := a.lab.AddBMC(ctx, actor, in.Body.bmc())
	if err != nil {
		return nil, err
	}
	return a.getBMC(ctx, actor, &BMCPath{id})
}

type changeBMCInput struct {
	BMCPath
	Body struct {
		_            struct{}         `additionalProperties:"true"`
		Address      given[string]    `json:"address,omitempty" maxLength:"262"`
		Username     given[string]    `json:"username,omitempty" maxLength:"64"`
		Password     given[string]    `json:"password,omitempty" maxLength:"64"`
		KG           optional[string] `json:"kg,omitempty" maxLength:"64"`
		CipherSuites optional[string] `json:"cipher_suites,omitempty" maxLength:"64"`
		Privilege    optional[string] `json:"privilege,omitempty" maxLength:"16"`
	}
}

func (a *api) changeBMC(ctx context.Context, actor lab.Actor, in *changeBMCInput) (*bmcAnswer, error) {
	err := a.lab.ChangeBMC(ctx, actor, in.ID, lab.BMCChange{
		Address: in.Body.Address.value, Username: in.Body.Username.value, Password: in.Body.Password.value, KG: in.Body.KG.orZero(),
		CipherSuites: in.Body.CipherSuites.orZero(), Privilege: in.Body.Privilege.orZero(),
	})
	if err != nil {
		return nil, err
	}
	return a.getBMC(ctx, actor, &in.BMCPath)
}

func (a *api) removeBMC(ctx context.Context, actor lab.Actor, in *BMCPath) (*nothing, error) {
	return nil, a.lab.RemoveBMC(ctx, actor, in.ID)
}
