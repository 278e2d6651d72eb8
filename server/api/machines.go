package api

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Machine is a machine in answers. The keys up to netboot_enabled are those of
// mr-provisioner.
type Machine struct {
	ID             int64  `json:"id"`
	Name           string `json:"name"`
	Hostname       string `json:"hostname" doc:"The name, with a - for everything but letters and digits"`
	Arch           string `json:"arch"`
	Subarch        string `json:"subarch" doc:"Its firmware"`
	KernelID       *int64 `json:"kernel_id"`
	KernelOpts     string `json:"kernel_opts"`
	InitrdID       *int64 `json:"initrd_id"`
	PreseedID      *int64 `json:"preseed_id"`
	NetbootEnabled bool   `json:"netboot_enabled"`

	State     string   `json:"state" enum:"unknown,provisioning,ready,error"`
	Stage     string   `json:"stage" doc:"How far its run has come; empty: none goes on"`
	Power     string   `json:"power" enum:"on,off,unknown" doc:"As its BMC said last"`
	Console   *string  `json:"console" doc:"When its console is connected: always or on-demand; null: as the site has it"`
	Assignees []string `json:"assignees" doc:"Who holds it"`
}

var notInHostnames = regexp.MustCompile(`[^a-zA-Z0-9]`)

func toMachine(m lab.Machine) Machine {
	answer := Machine{
		ID: m.ID, Name: m.Name, Hostname: notInHostnames.ReplaceAllString(m.Name, "-"), Arch: m.Arch, Subarch: m.Subarch,
		KernelID: optionalID(m.KernelID), KernelOpts: m.KernelOptions, InitrdID: optionalID(m.InitrdID), PreseedID: optionalID(m.PreseedID),
		NetbootEnabled: m.NetbootEnabled, State: string(m.State), Stage: m.Stage, Power: string(m.Power.State),
		Console:   optionalText(string(m.Console)),
		Assignees: make([]string, len(m.Holders)),
	}
	for i, h := range m.Holders {
		answer.Assignees[i] = h.User
	}
	return answer
}

// optionalID is null for none.
func optionalID(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// MachinePath names a machine in a path.
type MachinePath struct {
	ID string `path:"id" doc:"The machine: its number, or its name" example:"web-01"`
}

// name is what lab knows the machine by.
func (p MachinePath) name(ctx context.Context, a *api, actor lab.Actor) (string, error) {
	return a.lab.MachineName(ctx, actor, p.ID)
}

func (p MachinePath) machine(ctx context.Context, a *api, actor lab.Actor) (lab.MachineDetail, error) {
	name, err := p.name(ctx, a, actor)
	if err != nil {
		return lab.MachineDetail{}, err
	}
	return a.lab.Machine(ctx, actor, name)
}

func (a *api) machineOperations() {
	operation(a, huma.Operation{
		OperationID: "list-machines", Method: http.MethodGet, Path: "/machine", Tags: []string{"machines"},
		Summary: "List machines",
		Description: "Without `show_all`, only those that you hold. They come in the order of their names. With a `limit`, the header Link " +
			"(RFC 8288) says where the next page is; without one, all come at once.",
	}, a.listMachines)
	operation(a, huma.Operation{
		OperationID: "get-machine", Method: http.MethodGet, Path: "/machine/{id}", Tags: []string{"machines"},
		Summary: "Look at a machine",
	}, a.getMachine)
	operation(a, huma.Operation{
		OperationID: "change-machine", Method: http.MethodPut, Path: "/machine/{id}", Tags: []string{"machines"},
		Summary: "Change a machine",
		Description: "What it boots: its holders and admins may, but not while a run goes on that the machine has begun. Netboot needs a kernel, and a " +
			"subarchitecture that has a bootloader. What it is called and made of: admins only.",
	}, a.changeMachine)
}

type listMachinesInput struct {
	Query   string `query:"q" maxLength:"300" doc:"An expression of the query language; empty: every machine"`
	ShowAll string `query:"show_all" doc:"true: those of others, and of nobody, too"`
	Limit   int    `query:"limit" minimum:"1" maximum:"10000" required:"false" doc:"How many at most"`
	After   string `query:"after" maxLength:"64" doc:"What the header Link said"`
}

type machineList struct {
	Link string `header:"Link" doc:"rel=\"next\": where the next page is"`
	Body []Machine
}

func (a *api) listMachines(ctx context.Context, actor lab.Actor, in *listMachinesInput) (*machineList, error) {
	all, _ := strconv.ParseBool(in.ShowAll)
	found, err := a.lab.FindMachines(ctx, actor, lab.MachineFilter{Query: in.Query, Own: !all}, lab.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &machineList{Body: make([]Machine, len(found.Machines))}
	for i, m := range found.Machines {
		out.Body[i] = toMachine(m)
	}
	if found.Next != "" {
		next := url.Values{"after": {found.Next}, "limit": {strconv.Itoa(in.Limit)}}
		for name, value := range map[string]string{"q": in.Query, "show_all": in.ShowAll} {
			if value != "" {
				next.Set(name, value)
			}
		}
		out.Link = "<" + Prefix + "/machine?" + next.Encode() + `>; rel="next"`
	}
	return out, nil
}

type machineAnswer struct{ Body Machine }

func (a *api) getMachine(ctx context.Context, actor lab.Actor, in *MachinePath) (*machineAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return a.machine(ctx, actor, name)
}

func (a *api) machine(ctx context.Context, actor lab.Actor, name string) (*machineAnswer, error) {
	m, err := a.lab.Machine(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &machineAnswer{toMachine(m.Machine)}, nil
}

type changeMachineInput struct {
	MachinePath
	Body struct {
		_              struct{}         `additionalProperties:"true"`
		NetbootEnabled given[bool]      `json:"netboot_enabled,omitempty" doc:"A run begins, without the machine being restarted; or it ends"`
		Subarch        given[string]    `json:"subarch,omitempty" maxLength:"256"`
		KernelID       given[int64]     `json:"kernel_id,omitempty"`
		KernelOpts     given[string]    `json:"kernel_opts,omitempty" maxLength:"1024"`
		InitrdID       optional[int64]  `json:"initrd_id,omitempty" doc:"null: none"`
		PreseedID      optional[int64]  `json:"preseed_id,omitempty" doc:"null: none"`
		Kernel         given[string]    `json:"kernel,omitempty" doc:"By name, as the next two"`
		Initrd         optional[string] `json:"initrd,omitempty"`
		Preseed        optional[string] `json:"preseed,omitempty"`

		// For admins.
		Name    given[string]         `json:"name,omitempty" maxLength:"63" doc:"This and what follows, admins only"`
		Arch    given[string]         `json:"arch,omitempty" maxLength:"64"`
		MACs    given[[]string]       `json:"macs,omitempty" maxItems:"64" doc:"All that it has from now on; those that stay keep their addresses"`
		BMC     optional[machineBMC]  `json:"bmc,omitempty" doc:"null: none"`
		Console optional[consoleMode] `json:"console,omitempty" doc:"When its console is connected; null: as the site has it"`
	}
}

// change is what a body asks for, as lab knows it.
func (in *changeMachineInput) change(ctx context.Context, a *api, actor lab.Actor) (lab.MachineChange, error) {
	change := lab.MachineChange{
		Netboot: in.Body.NetbootEnabled.value, Subarch: in.Body.Subarch.value, KernelOptions: in.Body.KernelOpts.value,
		Kernel: in.Body.Kernel.value, Initrd: in.Body.Initrd.orZero(), Preseed: in.Body.Preseed.orZero(),
		Name: in.Body.Name.value, Arch: in.Body.Arch.value, MACs: in.Body.MACs.value, Console: (*store.ConsoleMode)(in.Body.Console.orZero()),
	}
	if in.Body.BMC.sent {
		change.BMC = in.Body.BMC.orZero().bmc()
	}
	for _, named := range []struct {
		id   optional[int64]
		name **string
		find func(context.Context, lab.Actor, string) (string, error)
	}{
		{optional[int64]{in.Body.KernelID.value != nil, in.Body.KernelID.value}, &change.Kernel, a.lab.ImageName},
		{in.Body.InitrdID, &change.Initrd, a.lab.ImageName},
		{in.Body.PreseedID, &change.Preseed, a.lab.PreseedName},
	} {
		if !named.id.sent {
			continue
		}
		name := ""
		if named.id.value != nil {
			var err error
			if name, err = named.find(ctx, actor, strconv.FormatInt(*named.id.value, 10)); err != nil {
				return change, err
			}
		}
		*named.name = &name
	}
	return change, nil
}

func (a *api) changeMachine(ctx context.Context, actor lab.Actor, in *changeMachineInput) (*machineAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	change, err := in.change(ctx, a, actor)
	if err == nil {
		err = a.lab.ChangeMachine(ctx, actor, name, change)
	}
	if err != nil {
		return nil, orInvalid(err)
	}
	setGiven(&name, in.Body.Name)
	return a.machine(ctx, actor, name)
}
