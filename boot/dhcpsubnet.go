package boot

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// maxHookSubnets bounds how many subnets a DHCP server may offer for a choice.
const maxHookSubnets = 1000

// SubnetRequest asks from which of its subnets a DHCP server is to serve a client.
type SubnetRequest struct {
	MAC     net.HardwareAddr
	Subnets []DHCPSubnet
}

// DHCPSubnet is a subnet as a DHCP server has it.
type DHCPSubnet struct {
	ID     uint32 // the DHCP server's own
	Prefix netip.Prefix
	First  []netip.Addr // the first address of each of its pools
}

// SubnetAnswer says which subnet it is to be.
type SubnetAnswer struct {
	ID    uint32
	Found bool // ID is the subnet; else none of them serves
	Any   bool // the client has no reserved address: whichever the DHCP server had chosen
}

func (h *dhcpHandler) subnet(w http.ResponseWriter, r *http.Request) {
	request, err := readSubnets(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	answer, err := h.answers.Subnet(r.Context(), request)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	body := "{}"
	switch {
	case answer.Any:
		body = `{"subnetId":null}`
	case answer.Found:
		body = fmt.Sprintf(`{"subnetId":%d}`, answer.ID)
	}
	h.write(w, r, []byte(body))
}

func readSubnets(w http.ResponseWriter, r *http.Request) (request SubnetRequest, err error) {
	var body struct {
		MAC     string `json:"mac"`
		Subnets []struct {
			ID        uint32     `json:"subnetId"`
			Prefix    netip.Addr `json:"prefix"`
			PrefixLen int        `json:"prefixLen"`
			Pools     []hookPool `json:"pools"`
		} `json:"subnets"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return request, err
	}
	if request.MAC, err = ParseMAC(body.MAC); err != nil {
		return request, err
	}
	if len(body.Subnets) > maxHookSubnets {
		return request, fmt.Errorf("%d subnets; at most %d are compared", len(body.Subnets), maxHookSubnets)
	}
	for _, s := range body.Subnets {
		prefix, err := s.Prefix.Prefix(s.PrefixLen)
		if err != nil || !s.Prefix.Is4() {
			return request, fmt.Errorf("subnet %d: %s/%d is not an IPv4 subnet", s.ID, s.Prefix, s.PrefixLen)
		}
		subnet := DHCPSubnet{ID: s.ID, Prefix: prefix}
		for _, pool := range s.Pools {
			if !pool.First.Is4() {
				return request, errors.New("firstIP of a pool is missing, or not an IPv4 address")
			}
			subnet.First = append(subnet.First, pool.First)
		}
		request.Subnets = append(request.Subnets, subnet)
	}
	return request, nil
}

// hookPool leaves out what nobody asks: poolId, lastIP, capacity.
type hookPool struct {
	First netip.Addr `json:"firstIP"`
}
