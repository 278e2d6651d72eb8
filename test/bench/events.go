package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// followRate is how many events happen in a second, and followers how many
// programs follow them.
const followRate, followers = 5000, 100

// eventStreams has programs follow over HTTP what happens in a site where much
// does.
func eventStreams(ctx context.Context, d *director) ([]row, error) {
	server, at, err := startSite(ctx, d, "events")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	rush := Rush{Rate: d.scale(followRate, 500), Seconds: d.scale(10, 1)}
	readers := make([]*eventReader, d.scale(followers, 5))
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	for i := range readers {
		if readers[i], err = followEvents(reading, at); err != nil {
			return nil, err
		}
		group.Go(readers[i].read) // ends with the last event, or reading
	}
	used, err := server.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var happened int
	if err := server.call(ctx, "Happen", rush, &happened); err != nil {
		return nil, err
	}
	late := time.AfterFunc(10*time.Second, cancel)
	group.Wait()
	late.Stop()
	took := time.Since(began)
	now, err := server.cpu()
	var delays sample
	least := happened
	for _, r := range readers {
		least, err = min(least, r.told), errors.Join(err, r.err)
		delays = append(delays, r.delays...)
	}
	rate := float64(least) / took.Seconds()
	lost := "nothing lost"
	if least < happened {
		lost = fmt.Sprintf("%d of %d lost", happened-least, happened)
	}
	return []row{{
		Measure: fmt.Sprintf("%d events a second, for %d s, to %d streams over HTTP", rush.Rate, rush.Seconds, len(readers)),
		Ours: fmt.Sprintf("%s: %.0f/s each, p99 %s after they happened, %s of a core", lost, rate, figure(delays.quantile(0.99)),
			share(now-used, took)),
		Target: "nothing lost at 5000/s", Met: least == happened && rate >= 0.95*float64(rush.Rate),
	}}, err
}

// delayEvery is of how many events one has its delay measured: to read a time
// takes longer than all the rest.
const delayEvery = 50

// eventReader is a program that follows events.
type eventReader struct {
	response *http.Response
	told     int
	delays   sample
	err      error
}

// followEvents opens a stream, and waits until it is open.
func followEvents(ctx context.Context, at SiteAddress) (*eventReader, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.HTTP+"/api/v1/events?stream", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+at.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(errors.New("follow events: "+response.Status), response.Body.Close())
	}
	return &eventReader{response: response}, nil
}

// read reads to the last event of a rush.
func (r *eventReader) read() {
	defer func() { _ = r.response.Body.Close() }()
	lines := bufio.NewScanner(r.response.Body)
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("event: ")) {
			r.err = errors.Join(r.err, fmt.Errorf("a stream says %s", line))
		}
		data, isData := bytes.CutPrefix(line, []byte("data: "))
		if !isData {
			continue
		}
		r.told++
		if r.told%delayEvery == 0 {
			var e struct{ At time.Time }
			r.err = errors.Join(r.err, json.Unmarshal(data, &e))
			r.delays = append(r.delays, time.Since(e.At))
		}
		if bytes.Contains(data, []byte(lastOfRush)) {
			return
		}
	}
	r.err = errors.Join(r.err, errors.New("a stream has ended early"), lines.Err())
}
