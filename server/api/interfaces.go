package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Interface is a network interface of a machine in answers.
type Interface struct {
	ID             int64   `json:"id"`
	Identifier     *string `json:"identifier" doc:"What its operating system calls it"`
	MAC            string  `json:"mac"`
	NetworkName    *string `json:"network_name"`
	Subnet         *string `json:"subnetv4"`
	Netmask        *string `json:"netmaskv4"`
	PrefixLen      *int    `json:"prefixlenv4"`
	StaticPool     *string `json:"static_pool_v4"`
	ReservedPool   *string `json:"reserved_pool_v4"`
	ConfigType     string  `json:"config_type_v4" enum:"static,dynamic-reserved,dynamic"`
	ConfiguredIPv4 *string `json:"configured_ipv4"`
	LeaseIPv4      *string `json:"lease_ipv4" doc:"What a DHCP server has lent it"`
	LastSeenDate   *string `json:"last_seen_date" doc:"When it last asked a DHCP server (RFC 1123)"`
}

func toInterface(i store.Interface) Interface {
	answer := Interface{
		ID: i.ID, Identifier: optionalText(i.Identifier), MAC: i.MAC, NetworkName: optionalText(i.Network), Subnet: optionalText(i.Subnet),
		StaticPool: optionalText(i.StaticPool), ReservedPool: optionalText(i.ReservedPool), ConfigType: i.ConfigType,
		ConfiguredIPv4: optionalText(i.ConfiguredIPv4), LeaseIPv4: optionalText(i.LeaseIPv4), LastSeenDate: date(i.LastSeenAt),
	}
	if subnet, err := netip.ParsePrefix(i.Subnet); err == nil {
		bits := subnet.Bits()
		mask := net.IP(net.CIDRMask(bits, 32)).String()
		answer.PrefixLen, answer.Netmask = &bits, &mask
	}
	return answer
}

// optionalText is null for none.
func optionalText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// date is a time as old clients read it; null for none.
func date(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return optionalText(t.UTC().Format(http.TimeFormat))
}

func (a *api) interfaceOperations() {
	tags := []string{"interfaces"}
	operation(a, huma.Operation{
		OperationID: "list-interfaces", Method: http.MethodGet, Path: "/machine/{id}/interface", Tags: tags,
		Summary: "List the network interfaces of a machine",
	}, a.listInterfaces)
	operation(a, huma.Operation{
		OperationID: "get-interface", Method: http.MethodGet, Path: "/machine/{id}/interface/{iid}", Tags: tags,
		Summary: "Look at a network interface",
	}, a.getInterface)
	operation(a, huma.Operation{
		OperationID: "change-interface", Method: http.MethodPut, Path: "/machine/{id}/interface/{iid}", Tags: tags,
		Summary: "Change a network interface",
		Description: "The address `auto` is the first free one of the network's pool for this type; 409 where none is free. Holders of the machine " +
			"and admins may; only admins change the network.",
	}, a.changeInterface)
}

type interfaceList struct{ Body []Interface }

func (a *api) listInterfaces(ctx context.Context, actor lab.Actor, in *MachinePath) (*interfaceList, error) {
	m, err := in.machine(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	out := &interfaceList{Body: make([]Interface, len(m.Interfaces))}
	for i, each := range m.Interfaces {
		out.Body[i] = toInterface(each)
	}
	return out, nil
}

// InterfacePath names an interface in a path.
type InterfacePath struct {
	MachinePath
	Interface string `path:"iid" doc:"The interface: its number, or its MAC address" example:"52:54:00:00:00:01"`
}

type interfaceAnswer struct{ Body Interface }

func (a *api) getInterface(ctx context.Context, actor lab.Actor, in *InterfacePath) (*interfaceAnswer, error) {
	_, i, err := a.findInterface(ctx, actor, in)
	if err != nil {
		return nil, err
	}
	return &interfaceAnswer{toInterface(i)}, nil
}

func (a *api) findInterface(ctx context.Context, actor lab.Actor, in *InterfacePath) (machine string, i store.Interface, err error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return "", i, err
	}
	m, err := a.lab.Machine(ctx, actor, name)
	if err != nil {
		return "", i, err
	}
	for _, i := range m.Interfaces {
		if strconv.FormatInt(i.ID, 10) == in.Interface || strings.EqualFold(i.MAC, strings.ReplaceAll(in.Interface, "-", ":")) {
			return m.Name, i, nil
		}
	}
	return "", i, &lab.Error{Code: lab.NotFound, Message: fmt.Sprintf("%s has no interface %q", m.Name, in.Interface)}
}

type changeInterfaceInput struct {
	InterfacePath
	Body struct {
		_              struct{}         `additionalProperties:"true"`
		Identifier     optional[string] `json:"identifier,omitempty" maxLength:"64"`
		ConfigType     given[string]    `json:"config_type_v4,omitempty" enum:"static,dynamic-reserved,dynamic"`
		ConfiguredIPv4 optional[string] `json:"configured_ipv4,omitempty" maxLength:"15" doc:"An address of the network, or auto"`
		Network        optional[string] `json:"network_name,omitempty" doc:"null: none"`
	}
}

func (a *api) changeInterface(ctx context.Context, actor lab.Actor, in *changeInterfaceInput) (*interfaceAnswer, error) {
	machine, i, err := a.findInterface(ctx, actor, &in.InterfacePath)
	if err != nil {
		return nil, err
	}
	i, err = a.lab.SetInterface(ctx, actor, machine, i.MAC, lab.InterfaceChange{
		Identifier: in.Body.Identifier.orZero(), ConfigType: in.Body.ConfigType.value, IPv4: in.Body.ConfiguredIPv4.orZero(),
		Network: in.Body.Network.orZero(),
	})
	if err != nil {
		return nil, err
	}
	return &interfaceAnswer{toInterface(i)}, nil
}
