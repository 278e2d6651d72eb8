package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
)

func (a *api) hardwareOperations() {
	tags := []string{"machines"}
	operation(a, huma.Operation{
		OperationID: "set-boot-device", Method: http.MethodPut, Path: "/machine/{id}/boot-device", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary:     "Say what a machine starts from next",
		Description: "Its holders and admins may. It starts nothing: an order for its power follows, within 60 s on many BMCs.",
	}, a.setBootDevice)
	operation(a, huma.Operation{
		OperationID: "set-light", Method: http.MethodPut, Path: "/machine/{id}/light", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Turn the light on by which a machine is found in its rack", Description: "Its holders and admins may. brief: for 15 s.",
	}, a.setLight)
	operation(a, huma.Operation{
		OperationID: "get-disks", Method: http.MethodGet, Path: "/machine/{id}/disk", Tags: tags,
		Summary: "List the disks that people have named for a machine", Description: "The first is where its system goes.",
	}, a.getDisks)
	operation(a, huma.Operation{
		OperationID: "set-disks", Method: http.MethodPut, Path: "/machine/{id}/disk", Tags: tags,
		Summary: "Name the disks of a machine", Description: "For preseeds. Its holders and admins may.",
	}, a.setDisks)
	operation(a, huma.Operation{
		OperationID: "get-inventory", Method: http.MethodGet, Path: "/machine/{id}/inventory", Tags: tags,
		Summary: "What a machine is made of and how it is, as its BMC says",
		Description: "Read at most 30 s ago (sensors, events) or an hour ago (the rest). It takes up to a minute. That a BMC lacks a part is a problem of " +
			"the part; 503 where the BMC does not answer at all.",
	}, a.getInventory)
}

type bootDeviceInput struct {
	MachinePath
	Body struct {
		_          struct{} `additionalProperties:"true"`
		Device     string   `json:"device" enum:"pxe,disk,bios,cdrom,none" doc:"bios: into its firmware's setup; none: as the firmware is set up"`
		Persistent bool     `json:"persistent,omitempty" doc:"For every boot, and not only the next"`
		Firmware   string   `json:"firmware,omitempty" enum:"efi,legacy" doc:"Left out: as its subarchitecture has it"`
	}
}

func (a *api) setBootDevice(ctx context.Context, actor lab.Actor, in *bootDeviceInput) (*nothing, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.SetBootDevice(ctx, actor, name, lab.BootDevice(in.Body.Device),
		lab.BootOptions{Persistent: in.Body.Persistent, Firmware: lab.Firmware(in.Body.Firmware)})
}

type lightInput struct {
	MachinePath
	Body struct {
		_     struct{} `additionalProperties:"true"`
		Light string   `json:"light" enum:"off,brief,on"`
	}
}

func (a *api) setLight(ctx context.Context, actor lab.Actor, in *lightInput) (*nothing, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.Identify(ctx, actor, name, lab.Light(in.Body.Light))
}

type disksBody struct {
	_     struct{} `additionalProperties:"true"`
	Disks []string `json:"disks" maxItems:"64" doc:"Device paths, such as /dev/nvme0n1"`
}

type disksAnswer struct{ Body disksBody }

func (a *api) getDisks(ctx context.Context, actor lab.Actor, in *MachinePath) (*disksAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	disks, err := a.lab.Disks(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &disksAnswer{disksBody{Disks: notNil(disks)}}, nil
}

type setDisksInput struct {
	MachinePath
	Body disksBody
}

func (a *api) setDisks(ctx context.Context, actor lab.Actor, in *setDisksInput) (*disksAnswer, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	if err := a.lab.SetDisks(ctx, actor, name, in.Body.Disks); err != nil {
		return nil, err
	}
	return a.getDisks(ctx, actor, &in.MachinePath)
}
