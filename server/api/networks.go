package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// Network is a network in answers.
type Network struct {
	ID           int64    `json:"id"`
	Name         string   `json:"name"`
	Subnet       string   `json:"subnetv4" doc:"10.0.0.0/16"`
	StaticPool   *string  `json:"static_pool_v4" doc:"Of addresses that operating systems are configured with"`
	ReservedPool *string  `json:"reserved_pool_v4" doc:"Of addresses that DHCP servers lend to one machine each"`
	DHCPPool     *string  `json:"dhcp_pool_v4" doc:"Of addresses that our own DHCP server lends"`
	Gateway      *string  `json:"gateway"`
	Nameservers  []string `json:"nameservers"`
	Domain       *string  `json:"domain"`
	LeaseSeconds int64    `json:"lease_seconds" doc:"For how long our own DHCP server lends"`
	KnownOnly    bool     `json:"known_only" doc:"Our own DHCP server lends to machines only"`
}

func toNetwork(n store.Network) Network {
	return Network{
		ID: n.ID, Name: n.Name, Subnet: n.Subnet, StaticPool: optionalText(n.StaticPool), ReservedPool: optionalText(n.ReservedPool),
		DHCPPool: optionalText(n.DHCPPool), Gateway: optionalText(n.Gateway), Nameservers: notNil(n.Nameservers), Domain: optionalText(n.Domain),
		LeaseSeconds: int64(n.LeaseTime / time.Second), KnownOnly: n.KnownOnly,
	}
}

func (a *api) networkOperations() {
	tags := []string{"networks"}
	operation(a, huma.Operation{
		OperationID: "list-networks", Method: http.MethodGet, Path: "/network", Tags: tags, Summary: "List networks",
	}, a.listNetworks)
	operation(a, huma.Operation{
		OperationID: "add-network", Method: http.MethodPost, Path: "/network", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a network", Description: "Admins only, as for all changes of networks.",
	}, a.addNetwork)
	operation(a, huma.Operation{
		OperationID: "get-network", Method: http.MethodGet, Path: "/network/{name}", Tags: tags, Summary: "Look at a network",
	}, a.getNetwork)
	operation(a, huma.Operation{
		OperationID: "change-network", Method: http.MethodPut, Path: "/network/{name}", Tags: tags,
		Summary: "Change a network", Description: "The addresses that machines have in it must still be in it.",
	}, a.changeNetwork)
	operation(a, huma.Operation{
		OperationID: "remove-network", Method: http.MethodDelete, Path: "/network/{name}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove a network", Description: "While machines are in it, it stays: 409, which names them.",
	}, a.removeNetwork)
	operation(a, huma.Operation{
		OperationID: "list-leases", Method: http.MethodGet, Path: "/lease", Tags: tags,
		Summary: "List what DHCP servers have lent", Description: "The newest of each MAC address. Those of no machine are for admins.",
	}, a.listLeases)
	operation(a, huma.Operation{
		OperationID: "list-discovered", Method: http.MethodGet, Path: "/discovered", Tags: tags,
		Summary: "List addresses that asked for a boot and belong to no machine", Description: "Admins only.",
	}, a.listDiscovered)
}

type listNetworksInput struct {
	Filtering
	Paging
}

func (a *api) listNetworks(ctx context.Context, actor lab.Actor, in *listNetworksInput) (*list[Network], error) {
	rows, err := a.lab.Networks(ctx, actor)
	if err != nil {
		return nil, err
	}
	networks := make([]Network, len(rows))
	for i, n := range rows {
		networks[i] = toNetwork(n)
	}
	return listOf(networks, in.Filtering, &in.Paging, func(n Network) string { return byName(n.Name) })
}

type networkAnswer struct{ Body Network }

func (a *api) getNetwork(ctx context.Context, actor lab.Actor, in *NamePath) (*networkAnswer, error) {
	rows, err := a.lab.Networks(ctx, actor)
	if err != nil {
		return nil, err
	}
	for _, n := range rows {
		if strings.EqualFold(n.Name, in.Name) {
			return &networkAnswer{toNetwork(n)}, nil
		}
	}
	return nil, missing("network", in.Name)
}

// NetworkSettings are what a body says of a network beside its name and subnet.
type NetworkSettings struct {
	StaticPool   optional[string] `json:"static_pool_v4,omitempty" maxLength:"18"`
	ReservedPool optional[string] `json:"reserved_pool_v4,omitempty" maxLength:"18"`
	DHCPPool     optional[string] `json:"dhcp_pool_v4,omitempty" maxLength:"31"`
	Gateway      optional[string] `json:"gateway,omitempty" maxLength:"15"`
	Nameservers  given[[]string]  `json:"nameservers,omitempty" maxItems:"16"`
	Domain       optional[string] `json:"domain,omitempty" maxLength:"253"`
	LeaseSeconds given[int64]     `json:"lease_seconds,omitempty" minimum:"1" maximum:"31536000"`
	KnownOnly    given[bool]      `json:"known_only,omitempty"`
}

func (s NetworkSettings) set(n *store.Network) {
	setOptional(&n.StaticPool, s.StaticPool)
	setOptional(&n.ReservedPool, s.ReservedPool)
	setOptional(&n.DHCPPool, s.DHCPPool)
	setOptional(&n.Gateway, s.Gateway)
	setGiven(&n.Nameservers, s.Nameservers)
	setOptional(&n.Domain, s.Domain)
	setGiven(&n.KnownOnly, s.KnownOnly)
	if seconds := s.LeaseSeconds.value; seconds != nil {
		n.LeaseTime = time.Duration(*seconds) * time.Second
	}
}

type addNetworkInput struct {
	Body struct {
		_      struct{} `additionalProperties:"true"`
		Name   string   `json:"name" maxLength:"64"`
		Subnet string   `json:"subnetv4" maxLength:"18"`
		NetworkSettings
	}
}

func (a *api) addNetwork(ctx context.Context, actor lab.Actor, in *addNetworkInput) (*networkAnswer, error) {
	n := store.Network{Name: in.Body.Name, Subnet: in.Body.Subnet}
	in.Body.set(&n)
	if err := a.lab.AddNetwork(ctx, actor, n); err != nil {
		return nil, err
	}
	return a.getNetwork(ctx, actor, &NamePath{n.Name})
}

type changeNetworkInput struct {
	NamePath
	Body struct {
		_      struct{}      `additionalProperties:"true"`
		Name   given[string] `json:"name,omitempty" maxLength:"64"`
		Subnet given[string] `json:"subnetv4,omitempty" maxLength:"18"`
		NetworkSettings
	}
}

func (a *api) changeNetwork(ctx context.Context, actor lab.Actor, in *changeNetworkInput) (*networkAnswer, error) {
	err := a.lab.ChangeNetwork(ctx, actor, in.Name, func(n *store.Network) {
		setGiven(&n.Name, in.Body.Name)
		setGiven(&n.Subnet, in.Body.Subnet)
		in.Body.set(n)
	})
	if err != nil {
		return nil, err
	}
	setGiven(&in.Name, in.Body.Name)
	return a.getNetwork(ctx, actor, &in.NamePath)
}

func (a *api) removeNetwork(ctx context.Context, actor lab.Actor, in *NamePath) (*nothing, error) {
	return nil, a.lab.DeleteNetwork(ctx, actor, in.Name)
}

// Lease is an address that a DHCP server has lent, in answers.
type Lease struct {
	MAC     string  `json:"mac"`
	IPv4    string  `json:"ipv4"`
	Machine *string `json:"machine" doc:"null: no machine's"`
	Started *string `json:"started"`
	Expires *string `json:"expires" doc:"It may have ended"`
}

type listLeasesInput struct {
	Filtering
	Paging
}

func (a *api) listLeases(ctx context.Context, actor lab.Actor, in *listLeasesInput) (*list[Lease], error) {
	rows, err := a.lab.Leases(ctx, actor)
	if err != nil {
		return nil, err
	}
	leases := make([]Lease, len(rows))
	for i, l := range rows {
		leases[i] = Lease{MAC: l.MAC, IPv4: l.IPv4, Machine: optionalText(l.Machine), Started: moment(l.StartedAt), Expires: moment(l.ExpiresAt)}
	}
	return listOf(leases, in.Filtering, &in.Paging, func(l Lease) string { return l.MAC })
}

// Discovered is an address that asked for a boot and belongs to no machine.
type Discovered struct {
	MAC       string  `json:"mac"`
	Vendor    *string `json:"vendor" doc:"Of the network card"`
	Hostname  *string `json:"hostname"`
	AsksAs    string  `json:"asks_as" doc:"The firmware and architecture as which it asked"`
	Times     int     `json:"times" doc:"How often it asked"`
	FirstSeen *string `json:"first_seen"`
	LastSeen  *string `json:"last_seen"`
}

type listDiscoveredInput struct {
	Filtering
	Paging
}

func (a *api) listDiscovered(ctx context.Context, actor lab.Actor, in *listDiscoveredInput) (*list[Discovered], error) {
	rows, err := a.lab.Discovered(ctx, actor)
	if err != nil {
		return nil, err
	}
	found := make([]Discovered, len(rows))
	for i, d := range rows {
		found[i] = Discovered{
			MAC: d.MAC, Vendor: optionalText(d.Vendor), Hostname: optionalText(d.Hostname), AsksAs: lab.AsksAs(d), Times: d.TimesSeen,
			FirstSeen: moment(d.FirstSeenAt), LastSeen: moment(d.LastSeenAt),
		}
	}
	return listOf(found, in.Filtering, &in.Paging, func(d Discovered) string { return d.MAC })
}
