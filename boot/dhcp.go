package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

// The DHCP options that the hook speaks of (RFC 2132 §3.14, §9.5, §9.13;
// RFC 3004; RFC 4578 §2.1).
const (
	optionHostname    = 12
	optionVendorClass = 60
	optionBootFile    = 67
	optionUserClass   = 77
	optionArch        = 93
)

const (
	maxHookBody = 64 << 10 // bytes
	maxDHCPText = 255      // bytes: what one DHCP option holds
)

// ErrUnknownMAC is what DHCPAnswers gives for a MAC that belongs to no machine.
var ErrUnknownMAC = errors.New("unknown MAC address")

// SeenRequest tells that a DHCP server got a DISCOVER or a REQUEST.
type SeenRequest struct {
	Discover    bool // else it was a REQUEST
	MAC         net.HardwareAddr
	Hostname    string // option 12, printable, empty when absent
	VendorClass string // option 60, likewise
	UserClass   string // option 77, likewise: iPXE says "iPXE"
	Arch        int    // option 93 (RFC 4578 §2.1: 7 is EFI x86-64, 11 EFI ARM 64), -1 when absent
}

// DHCPAnswer is what a machine's DHCP server is to hand out.
type DHCPAnswer struct {
	BootFile   string     // option 67, a TFTP path or a URL; empty when netboot is off
	HTTP       bool       // BootFile is a URL; the client believes it only beside option 60, HTTPClient
	NextServer netip.Addr // an IPv4 address; needed where BootFile is set
	IPv4       netip.Addr // the reserved address, invalid when there is none
	Hostname   string     // option 12; empty: none
}

// LeaseRequest tells that a DHCP server acknowledged a lease.
type LeaseRequest struct {
	MAC      net.HardwareAddr
	IPv4     netip.Addr
	Duration time.Duration
}

// DHCPAnswers decides. Its methods are called by many goroutines, and a
// machine's boot waits for each: four calls for every DISCOVER.
type DHCPAnswers interface {
	// Seen tells whether the MAC is a machine's.
	Seen(ctx context.Context, request SeenRequest) (known bool, err error)
	// Answer is for the client that was seen last with this MAC, since the
	// hook does not say again what it is. It returns ErrUnknownMAC for a MAC
	// that is no machine's.
	Answer(ctx context.Context, mac net.HardwareAddr) (DHCPAnswer, error)
	// Subnet returns ErrUnknownMAC likewise, and for a machine's interface that
	// is in no network.
	Subnet(ctx context.Context, request SubnetRequest) (SubnetAnswer, error)
	// Lease returns ErrUnknownMAC likewise.
	Lease(ctx context.Context, request LeaseRequest) error
}

// DHCPHandler is the HTTP side of the hook in a site's DHCP server, in the form
// that mr-provisioner's Kea plugin speaks:
//
//	POST /ipv4/seen      200 known, 202 unknown
//	GET  /ipv4?hwaddr=   200, 404 unknown
//	POST /ipv4/subnet    200, 404 unknown or in no network
//	POST /ipv4/lease     201, 404 unknown
//
// relative to where it is mounted (http.StripPrefix). A body that is not as it
// should be gets 400, one of more than 64 KiB 413, a failure of answers 500
// with no detail: that is logged. Kea's own answer stands for all of them.
func DHCPHandler(answers DHCPAnswers, logger *slog.Logger) http.Handler {
	h := &dhcpHandler{answers: answers, logger: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ipv4/seen", h.seen)
	mux.HandleFunc("GET /ipv4", h.answer)
	mux.HandleFunc("POST /ipv4/subnet", h.subnet)
	mux.HandleFunc("POST /ipv4/lease", h.lease)
	return mux
}

type dhcpHandler struct {
	answers DHCPAnswers
	logger  *slog.Logger
}

func (h *dhcpHandler) seen(w http.ResponseWriter, r *http.Request) {
	request, err := readSeen(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	known, err := h.answers.Seen(r.Context(), request)
	switch {
	case err != nil:
		h.fail(w, r, err)
	case known:
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func (h *dhcpHandler) answer(w http.ResponseWriter, r *http.Request) {
	mac, err := ParseMAC(r.URL.Query().Get("hwaddr"))
	if err != nil {
		refuse(w, fmt.Errorf("hwaddr: %w", err))
		return
	}
	answer, err := h.answers.Answer(r.Context(), mac)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	body, err := encodeAnswer(answer)
	if err != nil {
		h.fail(w, r, fmt.Errorf("DHCP answer for %s: %w", mac, err))
		return
	}
	h.write(w, r, body)
}

func (h *dhcpHandler) write(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		h.logger.DebugContext(r.Context(), "DHCP server left before its answer", "error", err)
	}
}

func (h *dhcpHandler) lease(w http.ResponseWriter, r *http.Request) {
	request, err := readLease(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	if err := h.answers.Lease(r.Context(), request); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (h *dhcpHandler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrUnknownMAC) {
		http.Error(w, ErrUnknownMAC.Error(), http.StatusNotFound)
		return
	}
	if r.Context().Err() != nil {
		h.logger.DebugContext(r.Context(), "DHCP server left before its answer", "request", r.URL.Path)
		return
	}
	h.logger.ErrorContext(r.Context(), "DHCP hook failed", "request", r.URL.Path, "error", err)
	http.Error(w, "internal error", http.StatusInternalServerError)
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.As(err, new(*http.MaxBytesError)) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, err.Error(), status)
}

func readSeen(w http.ResponseWriter, r *http.Request) (SeenRequest, error) {
	var body struct {
		Discover bool   `json:"discover"`
		MAC      string `json:"mac"`
		Options  []struct {
			Option int             `json:"option"`
			Value  json.RawMessage `json:"value"`
		} `json:"options"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return SeenRequest{}, err
	}
	mac, err := ParseMAC(body.MAC)
	if err != nil {
		return SeenRequest{}, err
	}
	request := SeenRequest{Discover: body.Discover, MAC: mac, Arch: -1}
	for _, option := range body.Options {
		var err error
		switch option.Option {
		case optionHostname:
			err = decodeText(option.Value, &request.Hostname)
		case optionVendorClass:
			err = decodeText(option.Value, &request.VendorClass)
		case optionUserClass:
			err = decodeText(option.Value, &request.UserClass)
		case optionArch:
			var arch *uint16
			if err = json.Unmarshal(option.Value, &arch); arch != nil {
				request.Arch = int(*arch)
			}
		}
		if err != nil {
			return SeenRequest{}, fmt.Errorf("value of DHCP option %d: %w", option.Option, err)
		}
	}
	return request, nil
}

func readLease(w http.ResponseWriter, r *http.Request) (LeaseRequest, error) {
	var body struct {
		MAC      string     `json:"mac"`
		IPv4     netip.Addr `json:"ipv4"`
		Duration uint32     `json:"duration"` // seconds (RFC 2132 §9.2)
	}
	if err := readJSON(w, r, &body); err != nil {
		return LeaseRequest{}, err
	}
	mac, err := ParseMAC(body.MAC)
	if err != nil {
		return LeaseRequest{}, err
	}
	if !body.IPv4.Is4() {
		return LeaseRequest{}, errors.New("ipv4 is missing, or not an IPv4 address")
	}
	return LeaseRequest{MAC: mac, IPv4: body.IPv4, Duration: time.Duration(body.Duration) * time.Second}, nil
}

// readJSON reads a body that is one JSON value. Unknown keys are ignored.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxHookBody))
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("body is not the JSON that is expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more follows after the value")
		}
		return fmt.Errorf("body is not the JSON that is expected: %w", err)
	}
	return nil
}

// decodeText reads a text that a machine sent of itself. People will see it on
// a terminal: what is not printable is left out.
func decodeText(value json.RawMessage, text *string) error {
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return err
	}
	*text = printable(s)
	return nil
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
	if len(s) > maxDHCPText {
		s = strings.ToValidUTF8(s[:maxDHCPText], "")
	}
	return s
}

func encodeAnswer(answer DHCPAnswer) ([]byte, error) {
	type option struct {
		Option int    `json:"option"`
		Value  string `json:"value"`
	}
	body := struct {
		Options    []option `json:"options"`
		NextServer string   `json:"next-server,omitempty"`
		IPv4       string   `json:"ipv4,omitempty"`
	}{Options: []option{}}
	if answer.BootFile != "" {
		if !answer.NextServer.Is4() {
			return nil, fmt.Errorf("next-server %s is not an IPv4 address", answer.NextServer)
		}
		body.Options = append(body.Options, option{optionBootFile, answer.BootFile})
		if answer.HTTP {
			body.Options = append(body.Options, option{optionVendorClass, vendorHTTP})
		}
		body.NextServer = answer.NextServer.String()
	}
	if answer.Hostname != "" {
		body.Options = append(body.Options, option{optionHostname, answer.Hostname})
	}
	if answer.IPv4.IsValid() {
		if !answer.IPv4.Is4() {
			return nil, fmt.Errorf("address %s is not an IPv4 address", answer.IPv4)
		}
		body.IPv4 = answer.IPv4.String()
	}
	return json.Marshal(body)
}
