package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	hookRate = 500 // requests a second
	hookP99  = time.Millisecond
)

// dhcpHook asks the DHCP hook as DHCP servers do: at a steady rate, whatever
// the answers take, of machines and of strangers, with all that is kept
// meanwhile.
func dhcpHook(ctx context.Context, d *director) ([]row, error) {
	machines, requests := d.scale(10_000, 100), d.scale(20*hookRate, 100)
	dir := filepath.Join(d.dir, "hook")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	server, err := startRole(ctx, "site")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	var at SiteAddress
	if err := server.call(ctx, "Start", Site{Dir: dir, Machines: machines}, &at); err != nil {
		return nil, err
	}
	h := hookClient{url: "http://" + at.HTTP + "/dhcp/ipv4", machines: machines, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	defer h.http.CloseIdleConnections()
	for i := range hookRate / 5 { // connections, the first pages of the database
		if err := h.ask(ctx, i); err != nil {
			return nil, err
		}
	}
	took := make(sample, requests)
	answered := make(chan error, requests)
	tick := time.NewTicker(time.Second / hookRate)
	defer tick.Stop()
	for i := range requests {
		<-tick.C
		go func() { // ends with its answer, which is waited for below
			var err error
			took[i], err = timed(func() error { return h.ask(ctx, i) })
			answered <- err
		}()
	}
	for range requests {
		err = errors.Join(err, <-answered)
	}
	if err != nil {
		return nil, err
	}
	p99 := took.quantile(0.99)
	return []row{{
		Measure: fmt.Sprintf("DHCP hook, %d requests/s, %d machines, every fifth a stranger, all kept: wait for an answer, p99 of %d", hookRate, machines, requests),
		Ours:    fmt.Sprintf("%s (median %s)", figure(p99), figure(took.median())),
		Target:  "1 ms", Met: p99 <= hookP99,
	}}, nil
}

// hookClient is a DHCP server with our library, as far as the hook sees it.
type hookClient struct {
	url      string
	machines int
	http     *http.Client
}

// ask makes the request of that number.
func (h hookClient) ask(ctx context.Context, i int) error {
	mac := siteMAC(i * 7919 % h.machines)
	method, path, body := http.MethodGet, "?hwaddr="+mac, ""
	switch i % 5 {
	case 0:
		method, path, body = http.MethodPost, "/seen", `{"discover":true,"mac":"`+mac+`","options":[{"option":12,"value":"web"},{"option":93,"value":7}]}`
	case 1:
		method, path, body = http.MethodPost, "/seen", fmt.Sprintf(`{"discover":true,"mac":"02:00:00:%02x:%02x:%02x"}`, i>>16&255, i>>8&255, i&255)
	case 2:
		method, path, body = http.MethodPost, "/lease", fmt.Sprintf(`{"mac":"%s","ipv4":"10.1.%d.%d","duration":3600}`, mac, i>>8&255, i&255)
	}
	request, err := http.NewRequestWithContext(ctx, method, h.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := h.http.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if response.StatusCode >= http.StatusMultipleChoices {
		err = errors.Join(err, fmt.Errorf("%s %s: %s", method, path, response.Status))
	}
	return errors.Join(err, response.Body.Close())
}
