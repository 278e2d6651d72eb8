package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// The bodies of power and state know no other keys.

type powerOrder struct {
	_     struct{} `additionalProperties:"false"`
	State string   `json:"state" enum:"on,off,reboot,pxe_reboot,bios_reboot,disk_reboot"`
}

type powerState struct {
	State   string `json:"state" enum:"on,off,unknown,error" doc:"error: its BMC does not say; unknown: it has none"`
	Problem string `json:"problem,omitempty" doc:"Why its BMC does not say"`
}

type powerAnswer struct{ Body powerState }

func (a *api) powerOperations() {
	tags, quiet := []string{"machines"}, map[string]any{silent: true}
	operation(a, huma.Operation{
		OperationID: "get-power", Method: http.MethodGet, Path: "/machine/{id}/power", Tags: tags, Metadata: quiet,
		Summary:     "Ask whether a machine is on",
		Description: "Its BMC is asked now, which takes some seconds where it does not answer.",
	}, a.getPower)
	operation(a, huma.Operation{
		OperationID: "set-power", Method: http.MethodPost, Path: "/machine/{id}/power", Tags: tags, Metadata: quiet,
		Summary: "Turn a machine on or off, or restart it", DefaultStatus: http.StatusAccepted,
		Description: "The answer comes when its BMC has taken the order. The reboots that name a device start a machine that is off, too, and are for " +
			"the next boot only.",
	}, a.setPower)
	operation(a, huma.Operation{
		OperationID: "get-state", Method: http.MethodGet, Path: "/machine/{id}/state", Tags: tags, Metadata: quiet,
		Summary: "How far a machine is in its life",
	}, a.getState)
	operation(a, huma.Operation{
		OperationID: "provision", Method: http.MethodPost, Path: "/machine/{id}/state", Tags: tags, Metadata: quiet,
		Summary: "Install a machine", DefaultStatus: http.StatusAccepted,
		Description: "It boots from the network what it is set to (kernel, initrd, preseed), until it phones home or a run is ended.",
	}, a.provision)
	operation(a, huma.Operation{
		OperationID: "set-state", Method: http.MethodPut, Path: "/machine/{id}/state", Tags: tags, Metadata: quiet,
		Summary:     "Say what has become of a machine",
		Description: "A run that goes on ends: it is done, has failed, or was cancelled.",
	}, a.setState)
}

func (a *api) getPower(ctx context.Context, actor lab.Actor, in *MachinePath) (*powerAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	power, err := a.lab.PowerOf(ctx, actor, name)
	switch lab.CodeOf(err) {
	case lab.Unavailable:
		return &powerAnswer{powerState{State: "error", Problem: err.Error()}}, nil
	case lab.Invalid: // it has no BMC
		return &powerAnswer{powerState{State: string(lab.PowerUnknown)}}, nil
	}
	if err != nil {
		return nil, err
	}
	return &powerAnswer{powerState{State: string(power.State)}}, nil
}

type setPowerInput struct {
	MachinePath
	Body powerOrder
}

func (a *api) setPower(ctx context.Context, actor lab.Actor, in *setPowerInput) (*powerAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	switch in.Body.State {
	case "on", "off":
		err = a.lab.SetPower(ctx, actor, name, lab.PowerAction(in.Body.State))
	case "reboot":
		err = a.lab.SetPower(ctx, actor, name, lab.Reset)
	case "pxe_reboot":
		err = a.lab.RestartFrom(ctx, actor, name, lab.BootPXE)
	case "bios_reboot":
		err = a.lab.RestartFrom(ctx, actor, name, lab.BootBIOS)
	case "disk_reboot":
		err = a.lab.RestartFrom(ctx, actor, name, lab.BootDisk)
	}
	if err != nil {
		return nil, err
	}
	return a.getPower(ctx, actor, &in.MachinePath)
}

type machineState struct {
	State string `json:"state" enum:"unknown,provisioning,ready,error"`
}

type stateAnswer struct{ Body machineState }

func (a *api) getState(ctx context.Context, actor lab.Actor, in *MachinePath) (*stateAnswer, error) {
	m, err := in.machine(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return &stateAnswer{machineState{string(m.State)}}, nil
}

type provisionInput struct {
	MachinePath
	Body struct {
		_     struct{} `additionalProperties:"false"`
		State string   `json:"state" enum:"provision"`
	}
}

func (a *api) provision(ctx context.Context, actor lab.Actor, in *provisionInput) (*stateAnswer, error) {
	m, err := in.machine(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	request := lab.ProvisionRequest{Kernel: m.Kernel, Initrd: m.Initrd, Preseed: m.Preseed, Options: m.KernelOptions}
	if err := a.lab.Provision(ctx, actor, m.Name, request); err != nil {
		return nil, err
	}
	return a.getState(ctx, actor, &in.MachinePath)
}

type setStateInput struct {
	MachinePath
	Body struct {
		_     struct{} `additionalProperties:"false"`
		State string   `json:"state" enum:"ready,error,unknown"`
	}
}

func (a *api) setState(ctx context.Context, actor lab.Actor, in *setStateInput) (*stateAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	if err := a.lab.SetState(ctx, actor, name, store.MachineState(in.Body.State)); err != nil {
		return nil, err
	}
	return a.getState(ctx, actor, &in.MachinePath)
}
