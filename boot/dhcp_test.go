package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// fakeAnswers knows one machine and writes down what it is asked.
type fakeAnswers struct {
	answer DHCPAnswer
	subnet SubnetAnswer
	err    error
	asked  string
}

const knownMAC = "52:54:00:00:00:01"

func (f *fakeAnswers) Seen(_ context.Context, r SeenRequest) (bool, error) {
	f.asked = fmt.Sprintf("seen %v %s %q %q %d", r.Discover, r.MAC, r.Hostname, r.VendorClass, r.Arch)
	if r.UserClass != "" {
		f.asked += " " + r.UserClass
	}
	return r.MAC.String() == knownMAC, f.err
}

func (f *fakeAnswers) Answer(_ context.Context, mac net.HardwareAddr) (DHCPAnswer, error) {
	f.asked = "answer " + mac.String()
	if mac.String() != knownMAC {
		return DHCPAnswer{}, fmt.Errorf("machine: %w", ErrUnknownMAC)
	}
	return f.answer, f.err
}

func (f *fakeAnswers) Subnet(_ context.Context, r SubnetRequest) (SubnetAnswer, error) {
	f.asked = fmt.Sprintf("subnet %s %v", r.MAC, r.Subnets)
	if r.MAC.String() != knownMAC {
		return SubnetAnswer{}, ErrUnknownMAC
	}
	return f.subnet, f.err
}

func (f *fakeAnswers) Lease(_ context.Context, r LeaseRequest) error {
	f.asked = fmt.Sprintf("lease %s %s %s", r.MAC, r.IPv4, r.Duration)
	if r.MAC.String() != knownMAC {
		return ErrUnknownMAC
	}
	return f.err
}

func TestDHCPHook(t *testing.T) {
	netboot := DHCPAnswer{BootFile: "grubnetx64.efi", NextServer: netip.MustParseAddr("10.0.2.2")}
	reserved := DHCPAnswer{IPv4: netip.MustParseAddr("10.0.2.7")}
	url := DHCPAnswer{BootFile: "http://10.0.2.2/a", HTTP: true, NextServer: netip.MustParseAddr("10.0.2.2")}
	named := DHCPAnswer{BootFile: "a", NextServer: netip.MustParseAddr("10.0.2.2"), Hostname: "web-1"}
	const subnets = `{"mac":"525400000001","subnets":[{"subnetId":1,"prefix":"10.0.2.0","prefixLen":24,"pools":[
		{"poolId":1,"firstIP":"10.0.2.8","lastIP":"10.0.2.15","capacity":8},{"poolId":2,"firstIP":"10.0.2.64","lastIP":"10.0.2.65","capacity":2}]},
		{"subnetId":2,"prefix":"10.0.3.0","prefixLen":25}]}`
	both := DHCPAnswer{BootFile: "a", NextServer: netip.MustParseAddr("10.0.2.2"), IPv4: netip.MustParseAddr("10.0.2.7")}
	type test struct {
		method, path, body string
		answers            fakeAnswers
		status             int
		want               string // body of a 200
		asked              string
	}
	for name, test := range map[string]test{
		"seen known": {
			method: "POST", path: "/ipv4/seen", status: 200,
			body:  `{"discover":true,"mac":"52:54:00:00:00:01","options":[{"option":12,"value":"web-1"},{"option":93,"value":11}]}`,
			asked: `seen true 52:54:00:00:00:01 "web-1" "" 11`,
		},
		"seen unknown": {
			method: "POST", path: "/ipv4/seen", status: 202,
			body:  `{"discover":false,"mac":"52-54-00-00-00-02","options":[{"option":60,"value":"PXEClient:Arch:00007"}],"more":1}`,
			asked: `seen false 52:54:00:00:00:02 "" "PXEClient:Arch:00007" -1`,
		},
		"seen iPXE": {
			method: "POST", path: "/ipv4/seen", status: 200,
			body:  `{"discover":true,"mac":"525400000001","options":[{"option":77,"value":"iPXE"},{"option":93,"value":0}]}`,
			asked: `seen true 52:54:00:00:00:01 "" "" 0 iPXE`,
		},
		"seen without options":   {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001"}`, status: 200, asked: `seen false 52:54:00:00:00:01 "" "" -1`},
		"seen with null options": {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001","options":[{"option":12,"value":null},{"option":93,"value":null}]}`, status: 200, asked: `seen false 52:54:00:00:00:01 "" "" -1`},
		"seen with unknown options": {
			method: "POST", path: "/ipv4/seen", status: 200,
			body:  `{"mac":"525400000001","options":[{"option":61,"value":{"x":[1]}}]}`,
			asked: `seen false 52:54:00:00:00:01 "" "" -1`,
		},
		"seen with a terminal's escape sequences": {
			method: "POST", path: "/ipv4/seen", status: 200,
			body:  `{"mac":"525400000001","options":[{"option":12,"value":"a\u001b[2Jb\n\u009bc\u202e\ufffd"}]}`,
			asked: `seen false 52:54:00:00:00:01 "a[2Jbc" "" -1`,
		},
		"seen with a long name": {
			method: "POST", path: "/ipv4/seen", status: 200,
			body:  `{"mac":"525400000001","options":[{"option":12,"value":"` + strings.Repeat("ä", 200) + `"}]}`,
			asked: `seen false 52:54:00:00:00:01 "` + strings.Repeat("ä", 127) + `" "" -1`,
		},
		"seen with text for a number":  {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001","options":[{"option":93,"value":"x"}]}`, status: 400},
		"seen with an arch too large":  {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001","options":[{"option":93,"value":65536}]}`, status: 400},
		"seen with a number for text":  {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001","options":[{"option":12,"value":1}]}`, status: 400},
		"seen with no value":           {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001","options":[{"option":12}]}`, status: 400},
		"seen with a bad MAC":          {method: "POST", path: "/ipv4/seen", body: `{"mac":"x"}`, status: 400},
		"seen with a group's MAC":      {method: "POST", path: "/ipv4/seen", body: `{"mac":"ff:ff:ff:ff:ff:ff"}`, status: 400},
		"seen without MAC":             {method: "POST", path: "/ipv4/seen", body: `{}`, status: 400},
		"seen with no body":            {method: "POST", path: "/ipv4/seen", status: 400},
		"seen with broken JSON":        {method: "POST", path: "/ipv4/seen", body: `{"mac":`, status: 400},
		"seen with something after it": {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001"} {}`, status: 400},
		"seen with rubbish after it":   {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001"}}`, status: 400},
		"seen with a huge body":        {method: "POST", path: "/ipv4/seen", body: `{"mac":"` + strings.Repeat("x", 70_000) + `"}`, status: 413},
		"seen fails":                   {method: "POST", path: "/ipv4/seen", body: `{"mac":"525400000001"}`, answers: fakeAnswers{err: errors.New("password hunter2")}, status: 500},

		"answer from disk":   {method: "GET", path: "/ipv4?hwaddr=52:54:00:00:00:01", status: 200, want: `{"options":[]}`, asked: "answer " + knownMAC},
		"answer netboot":     {method: "GET", path: "/ipv4?hwaddr=52:54:00:00:00:01", answers: fakeAnswers{answer: netboot}, status: 200, want: `{"options":[{"option":67,"value":"grubnetx64.efi"}],"next-server":"10.0.2.2"}`},
		"answer HTTP boot":   {method: "GET", path: "/ipv4?hwaddr=52:54:00:00:00:01", answers: fakeAnswers{answer: url}, status: 200, want: `{"options":[{"option":67,"value":"http://10.0.2.2/a"},{"option":60,"value":"HTTPClient"}],"next-server":"10.0.2.2"}`},
		"answer reserved":    {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{answer: reserved}, status: 200, want: `{"options":[],"ipv4":"10.0.2.7"}`},
		"answer both":        {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{answer: both}, status: 200, want: `{"options":[{"option":67,"value":"a"}],"next-server":"10.0.2.2","ipv4":"10.0.2.7"}`},
		"answer named":       {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{answer: named}, status: 200, want: `{"options":[{"option":67,"value":"a"},{"option":12,"value":"web-1"}],"next-server":"10.0.2.2"}`},
		"answer unknown":     {method: "GET", path: "/ipv4?hwaddr=525400000002", status: 404},
		"answer without MAC": {method: "GET", path: "/ipv4", status: 400},
		"answer bad MAC":     {method: "GET", path: "/ipv4?hwaddr=00:00:00:00:00:00", status: 400},
		"answer fails":       {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{err: errors.New("x")}, status: 500},
		"answer no server":   {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{answer: DHCPAnswer{BootFile: "a"}}, status: 500},
		"answer IPv6 server": {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{answer: DHCPAnswer{BootFile: "a", NextServer: netip.MustParseAddr("fd00::1")}}, status: 500},
		"answer IPv6":        {method: "GET", path: "/ipv4?hwaddr=525400000001", answers: fakeAnswers{answer: DHCPAnswer{IPv4: netip.MustParseAddr("fd00::1")}}, status: 500},

		"lease":             {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01","ipv4":"10.0.2.7","duration":3600}`, status: 201, asked: "lease 52:54:00:00:00:01 10.0.2.7 1h0m0s"},
		"lease for ever":    {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01","ipv4":"10.0.2.7","duration":4294967295}`, status: 201, asked: "lease 52:54:00:00:00:01 10.0.2.7 " + (4294967295 * time.Second).String()},
		"lease unknown":     {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:02","ipv4":"10.0.2.7","duration":1}`, status: 404},
		"lease bad address": {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01","ipv4":"10.0.2"}`, status: 400},
		"lease no address":  {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01"}`, status: 400},
		"lease IPv6":        {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01","ipv4":"fd00::1"}`, status: 400},
		"lease negative":    {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01","ipv4":"10.0.2.7","duration":-1}`, status: 400},
		"lease fails":       {method: "POST", path: "/ipv4/lease", body: `{"mac":"52:54:00:00:00:01","ipv4":"10.0.2.7"}`, answers: fakeAnswers{err: errors.New("x")}, status: 500},

		"subnet":                 {method: "POST", path: "/ipv4/subnet", body: subnets, answers: fakeAnswers{subnet: SubnetAnswer{ID: 2, Found: true}}, status: 200, want: `{"subnetId":2}`, asked: "subnet 52:54:00:00:00:01 [{1 10.0.2.0/24 [10.0.2.8 10.0.2.64]} {2 10.0.3.0/25 []}]"},
		"subnet 0":               {method: "POST", path: "/ipv4/subnet", body: subnets, answers: fakeAnswers{subnet: SubnetAnswer{Found: true}}, status: 200, want: `{"subnetId":0}`},
		"subnet of any kind":     {method: "POST", path: "/ipv4/subnet", body: subnets, answers: fakeAnswers{subnet: SubnetAnswer{Any: true}}, status: 200, want: `{"subnetId":null}`},
		"subnet that matches":    {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001"}`, status: 200, want: `{}`},
		"subnet unknown":         {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000002","subnets":[]}`, status: 404},
		"subnet fails":           {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001"}`, answers: fakeAnswers{err: errors.New("x")}, status: 500},
		"subnet without MAC":     {method: "POST", path: "/ipv4/subnet", body: `{"subnets":[]}`, status: 400},
		"subnet without prefix":  {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001","subnets":[{"subnetId":1,"prefixLen":24}]}`, status: 400},
		"subnet of IPv6":         {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001","subnets":[{"subnetId":1,"prefix":"fd00::","prefixLen":24}]}`, status: 400},
		"subnet too long":        {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001","subnets":[{"subnetId":1,"prefix":"10.0.0.0","prefixLen":33}]}`, status: 400},
		"subnet of a bad pool":   {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001","subnets":[{"subnetId":1,"prefix":"10.0.0.0","prefixLen":24,"pools":[{"poolId":1}]}]}`, status: 400},
		"subnet of a bad number": {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001","subnets":[{"subnetId":-1,"prefix":"10.0.0.0","prefixLen":24}]}`, status: 400},
		"subnets without end":    {method: "POST", path: "/ipv4/subnet", body: `{"mac":"525400000001","subnets":[` + strings.Repeat(`{"prefix":"10.0.0.0"},`, 1000) + `{"prefix":"10.0.0.0"}]}`, status: 400},

		"wrong method": {method: "GET", path: "/ipv4/seen", status: 405},
	} {
		t.Run(name, func(t *testing.T) {
			handler := DHCPHandler(&test.answers, slog.New(slog.DiscardHandler))
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)))
			body := recorder.Body.String()
			if recorder.Code != test.status || recorder.Code == 200 && body != test.want {
				t.Errorf("got %d %s, want %d %s", recorder.Code, body, test.status, test.want)
			}
			if strings.Contains(body, "hunter2") {
				t.Errorf("the answer tells the error: %s", body)
			}
			if test.asked != "" && test.answers.asked != test.asked {
				t.Errorf("asked: %s\n want: %s", test.answers.asked, test.asked)
			}
			if test.status == 400 && test.answers.asked != "" {
				t.Errorf("a bad request was passed on: %s", test.answers.asked)
			}
		})
	}
}

func FuzzDHCPHook(f *testing.F) {
	f.Add("/ipv4/seen", `{"discover":true,"mac":"52:54:00:00:00:01","options":[{"option":12,"value":"web-1"},{"option":93,"value":11}]}`)
	f.Add("/ipv4/lease", `{"mac":"52:54:00:00:00:01","ipv4":"10.0.2.7","duration":3600}`)
	f.Add("/ipv4/subnet", `{"mac":"525400000001","subnets":[{"subnetId":1,"prefix":"10.0.2.0","prefixLen":24,"pools":[{"poolId":1,"firstIP":"10.0.2.8"}]}]}`)
	f.Add("/ipv4/lease", `{"mac":"52:54:00:00:00:01","ipv4":"::1%eth0","duration":1e3}`)
	handler := DHCPHandler(&fakeAnswers{}, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, path, body string) {
		if path != "/ipv4/seen" && path != "/ipv4/subnet" {
			path = "/ipv4/lease"
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, io.NopCloser(strings.NewReader(body))))
		switch recorder.Code {
		case 200, 201, 202, 400, 404, 413:
		default:
			t.Fatalf("%s %q: %d %s", path, body, recorder.Code, recorder.Body)
		}
	})
}
