package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Run is an installation of a machine in answers.
type Run struct {
	ID         int64      `json:"id"`
	Machine    string     `json:"machine"`
	User       *string    `json:"user" doc:"Who asked for it"`
	State      string     `json:"state" enum:"running,done,failed,cancelled"`
	Stage      string     `json:"stage" doc:"How far it has come"`
	Stages     []RunStage `json:"stages"`
	Error      *string    `json:"error"`
	Kernel     *string    `json:"kernel"`
	Initrd     *string    `json:"initrd"`
	Preseed    *string    `json:"preseed"`
	KernelOpts string     `json:"kernel_opts"`
	Started    *string    `json:"started" doc:"RFC 3339"`
	Ended      *string    `json:"ended" doc:"null: it goes on"`
}

// RunStage is how far a run had come, and when.
type RunStage struct {
	Stage string  `json:"stage"`
	At    *string `json:"at"`
}

func toRun(r store.RunRecord) Run {
	answer := Run{
		ID: r.ID, Machine: r.Machine, User: optionalText(r.User), State: string(r.State), Stage: r.Stage, Stages: make([]RunStage, len(r.Stages)),
		Error: optionalText(r.Error), Kernel: optionalText(r.Kernel), Initrd: optionalText(r.Initrd), Preseed: optionalText(r.Preseed),
		KernelOpts: r.KernelOptions, Started: moment(r.StartedAt), Ended: moment(r.EndedAt),
	}
	for i, s := range r.Stages {
		answer.Stages[i] = RunStage{s.Stage, moment(s.At)}
	}
	return answer
}

func (a *api) runOperations() {
	tags := []string{"runs"}
	operation(a, huma.Operation{
		OperationID: "list-runs", Method: http.MethodGet, Path: "/run", Tags: tags,
		Summary: "List installations", Description: "The newest first, 100 of them where no limit is given.",
	}, a.listRuns)
	operation(a, huma.Operation{
		OperationID: "get-run", Method: http.MethodGet, Path: "/run/{run}", Tags: tags, Summary: "Look at an installation",
	}, a.getRun)
	operation(a, huma.Operation{
		OperationID: "start-run", Method: http.MethodPost, Path: "/machine/{id}/run", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary: "Install a machine",
		Description: "Its holders and admins may. It boots from the network what is named here, until it phones home. A run that goes on is cancelled. " +
			"The answer comes when its BMC has taken the order.",
	}, a.startRun)
	operation(a, huma.Operation{
		OperationID: "end-run", Method: http.MethodDelete, Path: "/machine/{id}/run", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "End the installation of a machine by hand", Description: "As its phone-home would: it boots from its disk from now on.",
	}, a.endRun)
}

type listRunsInput struct {
	Machine string `query:"machine" maxLength:"64" doc:"Only of this one, by name"`
	User    string `query:"user" maxLength:"64" doc:"Only what this one asked for"`
	State   string `query:"state" enum:"running,done,failed,cancelled"`
	Paging
}

func (a *api) listRuns(ctx context.Context, actor lab.Actor, in *listRunsInput) (*list[Run], error) {
	before, err := in.afterID()
	if err != nil {
		return nil, err
	}
	in.bounded()
	filter := lab.RunFilter{Machine: in.Machine, User: in.User, State: store.RunState(in.State), Before: before, Limit: in.Limit}
	rows, err := a.lab.Runs(ctx, actor, filter)
	if err != nil {
		return nil, err
	}
	return newestFirst(rows, &in.Paging, func(r store.RunRecord) int64 { return r.ID }, toRun), nil
}

// RunPath names a run in a path.
type RunPath struct {
	ID int64 `path:"run" minimum:"1" doc:"The number of the run"`
}

type runAnswer struct{ Body Run }

func (a *api) getRun(ctx context.Context, actor lab.Actor, in *RunPath) (*runAnswer, error) {
	r, err := a.lab.ProvisionRun(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return &runAnswer{toRun(r)}, nil
}

type startRunInput struct {
	MachinePath
	Body struct {
		_          struct{}         `additionalProperties:"true"`
		Kernel     string           `json:"kernel" maxLength:"128" doc:"The name of an image"`
		Initrd     optional[string] `json:"initrd,omitempty" maxLength:"128"`
		Preseed    optional[string] `json:"preseed,omitempty" maxLength:"256"`
		KernelOpts string           `json:"kernel_opts,omitempty" maxLength:"1024"`
	}
}

func (a *api) startRun(ctx context.Context, actor lab.Actor, in *startRunInput) (*runAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	err = a.lab.Provision(ctx, actor, name, lab.ProvisionRequest{
		Kernel: in.Body.Kernel, Initrd: deref(in.Body.Initrd.value), Preseed: deref(in.Body.Preseed.value), Options: in.Body.KernelOpts,
	})
	if err != nil {
		return nil, orInvalid(err)
	}
	runs, err := a.lab.Runs(ctx, actor, lab.RunFilter{Machine: name, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, missing("run of", name) // the machine was removed meanwhile
	}
	return &runAnswer{toRun(runs[0])}, nil
}

func (a *api) endRun(ctx context.Context, actor lab.Actor, in *MachinePath) (*nothing, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.EndRun(ctx, actor, name)
}
