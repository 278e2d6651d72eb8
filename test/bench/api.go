package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	apiClients = 20
	apiPage    = 100 // machines

	// apiPause is how long a client thinks between an answer and its next
	// question.
	apiPause = 100 * time.Millisecond
)

// apiQueries are what somebody may want to know of machines, the last of them at
// most as long as a query may be.
var apiQueries = []string{
	`(and (= arch "amd64") (= assignee_count 0))`,
	`(and (=~ name "nowhere") (=~ mac "ff:ff"))`,
	`(and (= holder "ada") (!= state "error"))`,
	`(or (= pool "none") (> interface_count 3) (= kernel nil))`,
	`(or` + strings.Repeat(` (and (=~ name "x") (= power "on"))`, 8) + `)`,
}

// apiMachines asks for machines among 10,000, which were imported, with 20
// clients, each of which waits a moment between its questions; and sees how
// long an import keeps others waiting who write.
func apiMachines(ctx context.Context, d *director) ([]row, error) {
	server, at, err := startSite(ctx, d, "api")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	machines := d.scale(10_000, 300)
	var imported Imported
	if err := server.call(ctx, "Import", machines, &imported); err != nil {
		return nil, err
	}
	rows := []row{{
		Measure: fmt.Sprintf("import of %d machines: the longest that another one who writes waits meanwhile", machines),
		Ours:    fmt.Sprintf("%s (the import: %s)", figure(imported.Waited), figure(imported.Took)),
		Target:  "5 s, for which SQLite's other users wait", Met: imported.Waited < 5*time.Second,
	}}
	client := newAPIClient(at)
	for _, q := range []struct {
		measure string
		target  time.Duration
		path    func(i int) string
	}{
		{"a page of 100 of all", 50 * time.Millisecond, func(i int) string {
			return fmt.Sprintf("/machine?show_all=true&limit=%d&after=node-%05d", apiPage, i*997%machines)
		}},
		{"a page of 100 by a query", 50 * time.Millisecond, func(i int) string {
			return fmt.Sprintf("/machine?show_all=true&limit=%d&q=%s", apiPage, url.QueryEscape(apiQueries[i%len(apiQueries)]))
		}},
		{"one machine", 2 * time.Millisecond, func(i int) string { return fmt.Sprintf("/machine/node-%05d", i*997%machines) }},
	} {
		took, err := client.crowd(ctx, d.scale(100, 3), q.path)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{
			Measure: fmt.Sprintf("API with %d machines, %d clients that think for %s: %s, p99", machines, apiClients, figure(apiPause), q.measure),
			Ours:    fmt.Sprintf("%s (median %s)", figure(took.quantile(0.99)), figure(took.median())),
			Target:  figure(q.target), Met: took.quantile(0.99) <= q.target,
		})
	}
	took, err := timed(func() error { return client.get(ctx, "/machine?show_all=true") })
	if err != nil {
		return rows, err
	}
	flat, err := client.flatOut(ctx, d.scale(200, 3))
	return append(rows, row{
		Measure: fmt.Sprintf("API with %d machines: all of them in one answer", machines), Ours: figure(took), Target: "1 s", Met: took < time.Second,
	}, row{
		Measure: fmt.Sprintf("API with %d machines, %d clients that do not think: single machines a second, p99", machines, apiClients),
		Ours:    fmt.Sprintf("%.0f/s, %s", flat.rate, figure(flat.took.quantile(0.99))), Target: "1000/s", Met: flat.rate >= 1000,
	}), err
}

// startSite starts a site with a user who has a token.
func startSite(ctx context.Context, d *director, name string) (*process, SiteAddress, error) {
	var at SiteAddress
	dir := filepath.Join(d.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, at, err
	}
	server, err := startRole(ctx, "site")
	if err != nil {
		return nil, at, err
	}
	if err := server.call(ctx, "Start", Site{Dir: dir, User: true}, &at); err != nil {
		server.stop()
		return nil, at, err
	}
	return server, at, nil
}

// apiClient is programs that ask the API of one server.
type apiClient struct {
	http *http.Client
	at   SiteAddress
}

func newAPIClient(at SiteAddress) apiClient {
	return apiClient{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: apiClients}}, at}
}

func (c apiClient) get(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.at.HTTP+"/api/v1"+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.at.Token)
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, response.Status, body)
	}
	return err
}

// crowd has each of apiClients ask that often, and pause between. They begin at
// different moments.
func (c apiClient) crowd(ctx context.Context, each int, path func(int) string) (sample, error) {
	return c.ask(ctx, each, path, func(client int) error {
		return pause(ctx, apiPause*time.Duration(client)/apiClients)
	}, func() error { return pause(ctx, apiPause) })
}

// throughput is what came of asking as fast as it goes.
type throughput struct {
	rate float64 // answers a second
	took sample
}

func (c apiClient) flatOut(ctx context.Context, each int) (t throughput, err error) {
	began := time.Now()
	nothing := func() error { return nil }
	t.took, err = c.ask(ctx, each, func(i int) string { return fmt.Sprintf("/machine/node-%05d", i%300) }, func(int) error { return nil }, nothing)
	t.rate = float64(len(t.took)) / time.Since(began).Seconds()
	return t, err
}

func (c apiClient) ask(ctx context.Context, each int, path func(int) string, first func(int) error, between func() error) (sample, error) {
	var mu sync.Mutex
	var all sample
	var failed error
	var group sync.WaitGroup
	for client := range apiClients {
		group.Go(func() { // ends when it has asked, or has failed
			var mine sample
			err := first(client)
			for i := 0; i < each && err == nil; i++ {
				var took time.Duration
				if took, err = timed(func() error { return c.get(ctx, path(client*each+i)) }); err == nil {
					mine = append(mine, took)
					err = between()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, mine...), errors.Join(failed, err)
		})
	}
	group.Wait()
	return all, failed
}
