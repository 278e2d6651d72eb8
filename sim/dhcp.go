package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Network is what a machine is plugged into: a site with a DHCP server that
// asks a hook before it answers.
type Network struct {
	// DHCPHook is the hook's base URL, such as http://127.0.0.1:8080/dhcp.
	// Empty: there is no DHCP server.
	DHCPHook string

	TFTPPort    int           // of every TFTP server; 0: 69
	TFTPTimeout time.Duration // until a lost packet is asked for again; 0: 1 s. After 5 times the transfer has failed

	HTTPClient *http.Client // what machines and DHCP server use; nil: http.DefaultClient

	// IPv4 is the DHCP server's own choice of an address for a machine to which
	// the hook gives none; nil: 10 and the last three bytes of its MAC.
	IPv4 func(mac net.HardwareAddr) netip.Addr
}

// The options of RFC 2132 and RFC 4578 that pass between DHCP server and hook.
const (
	dhcpHostName    = 12
	dhcpVendorClass = 60
	dhcpBootFile    = 67
	dhcpClientArch  = 93
)

const (
	hookTimeout   = 5 * time.Second
	hookAnswerMax = 64 << 10
	leaseSeconds  = 3600
)

// offer is what the DHCP server answers a PXE client.
type offer struct {
	addr   netip.Addr
	server netip.Addr // of the boot file; the zero Addr: none given
	file   string     // empty: none
}

var errNoOffer = errors.New("no DHCP server answers")

type dhcpOption struct {
	Option int `json:"option"`
	Value  any `json:"value"`
}

type hookAnswer struct {
	Options    []dhcpOption `json:"options"`
	NextServer string       `json:"next-server"`
	IPv4       string       `json:"ipv4"`
}

// lease is a DISCOVER and a REQUEST of the machine's firmware, with the calls
// that Kea's plugin makes for each. The plugin fails open: where the hook
// refuses, the server's own answer stands, which has no boot file. A hook that
// cannot be reached at all stands for a site without a DHCP server.
func (r *run) lease() (offer, error) {
	if r.cfg.Network.DHCPHook == "" {
		return offer{}, errNoOffer
	}
	var answer hookAnswer
	for _, discover := range []bool{true, false} {
		seen := struct {
			Discover bool         `json:"discover"`
			MAC      string       `json:"mac"`
			Options  []dhcpOption `json:"options"`
		}{discover, r.cfg.MAC.String(), []dhcpOption{
			{dhcpHostName, r.cfg.Name},
			{dhcpClientArch, r.platform().pxeArch},
			{dhcpVendorClass, fmt.Sprintf("PXEClient:Arch:%05d:UNDI:003016", r.platform().pxeArch)},
		}}
		if err := r.askHook(http.MethodPost, "/ipv4/seen", seen, nil); err != nil {
			return offer{}, err
		}
		answer = hookAnswer{}
		query := "/ipv4?hwaddr=" + url.QueryEscape(r.cfg.MAC.String())
		if err := r.askHook(http.MethodGet, query, nil, &answer); err != nil {
			return offer{}, err
		}
	}
	got := r.readAnswer(answer)
	taken := struct {
		MAC      string `json:"mac"`
		IPv4     string `json:"ipv4"`
		Duration int    `json:"duration"`
	}{r.cfg.MAC.String(), got.addr.String(), leaseSeconds}
	return got, r.askHook(http.MethodPost, "/ipv4/lease", taken, nil)
}

// readAnswer is what the DHCP server makes of the hook's answer.
func (r *run) readAnswer(a hookAnswer) offer {
	got := offer{addr: r.poolAddress()}
	if addr, err := netip.ParseAddr(a.IPv4); err == nil && addr.Is4() {
		got.addr = addr
	}
	if addr, err := netip.ParseAddr(a.NextServer); err == nil && addr.Is4() {
		got.server = addr
	}
	for _, o := range a.Options {
		if file, ok := o.Value.(string); ok && o.Option == dhcpBootFile {
			got.file = file
		}
	}
	return got
}

func (r *run) poolAddress() netip.Addr {
	if r.cfg.Network.IPv4 != nil {
		return r.cfg.Network.IPv4(r.cfg.MAC)
	}
	return netip.AddrFrom4([4]byte{10, r.cfg.MAC[3], r.cfg.MAC[4], r.cfg.MAC[5]})
}

// askHook makes one call. It fails only when the hook cannot be reached; an
// answer that is an error or makes no sense leaves into as it was.
func (r *run) askHook(method, path string, body any, into *hookAnswer) error {
	ctx, cancel := context.WithTimeout(r.ctx, hookTimeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("call of the DHCP hook: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.cfg.Network.DHCPHook, "/")+path, content)
	if err != nil {
		return fmt.Errorf("call of the DHCP hook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := *r.http()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("call of the DHCP hook: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, hookAnswerMax))
	if err != nil || resp.StatusCode >= 300 || into == nil {
		return nil
	}
	var answer hookAnswer
	if json.Unmarshal(text, &answer) == nil {
		*into = answer
	}
	return nil
}

// http returns the client for every HTTP request on the machine's network.
func (r *run) http() *http.Client {
	if r.cfg.Network.HTTPClient != nil {
		return r.cfg.Network.HTTPClient
	}
	return http.DefaultClient
}
