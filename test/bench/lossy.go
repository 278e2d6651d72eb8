package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// badNetwork moves bytes through a console on a bad network: all of them are
// typed, and the machine prints what is typed, so that each byte goes both ways.
func badNetwork(ctx context.Context, d *director) ([]row, error) {
	network := faults{lost: 0.05, doubled: 0.05, late: 0.05}
	size := d.scale(1<<20, 16<<10)
	took, stats, err := echoThrough(ctx, network, size)
	r := row{
		Measure: fmt.Sprintf("%d KB typed and echoed through SOL, each way 5 %% lost, 5 %% doubled, 5 %% late", size>>10),
		Target:  "byte for byte, no reconnection",
		Met:     err == nil,
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		r.Ours = err.Error()
		return []row{r}, nil
	}
	r.Ours = fmt.Sprintf("byte for byte in %s; %d datagrams out, %d of them again, and %d in", figure(took), stats.Sent, stats.Retransmitted, stats.Received)
	return []row{r}, nil
}

func echoThrough(ctx context.Context, f faults, size int) (time.Duration, ipmi.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	var wait []func()
	defer func() { // ends the BMC and the relay
		cancel()
		for _, w := range wait {
			w()
		}
	}()
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return 0, ipmi.Stats{}, err
	}
	ctrl := sim.New(bmcUser, bmcPassword, &echo{}, sim.WithSOLTiming(5*time.Millisecond, 20*time.Millisecond))
	var serving sync.WaitGroup
	serving.Go(func() { _ = ctrl.Serve(ctx, conn) })
	wait = append(wait, serving.Wait)
	bmc := conn.LocalAddr().String()
	addr, relayed, err := startRelay(ctx, bmc, f)
	if err != nil {
		return 0, ipmi.Stats{}, err
	}
	wait = append(wait, relayed)

	client := ipmi.NewClient(ipmi.Config{
		Addr: bmc, Username: bmcUser, Password: bmcPassword,
		Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp4", addr)
		},
	})
	defer func() { _ = client.Close(ctx) }()
	sol, err := client.OpenSOL(ctx)
	if err != nil {
		return 0, ipmi.Stats{}, err
	}
	unhook := context.AfterFunc(ctx, func() { _ = sol.Close() })
	defer unhook()

	began := time.Now()
	typed := []byte(printout(0, size))
	typing := make(chan error, 1)
	go func() { // ends with the console
		_, err := sol.Write(typed)
		typing <- err
	}()
	echoed := make([]byte, 0, size)
	buf := make([]byte, 4096)
	for len(echoed) < size && err == nil {
		var n int
		n, err = sol.Read(buf)
		echoed = append(echoed, buf[:n]...)
		if !bytes.HasPrefix(typed, echoed) {
			err = fmt.Errorf("what was echoed differs from what was typed within %d bytes", len(echoed))
		}
	}
	took := time.Since(began)
	stats := client.Stats()
	err = errors.Join(err, sol.Close())
	return took, stats, errors.Join(err, <-typing)
}

// echo is a machine that prints what is typed, and takes no more than it has
// room for.
type echo struct {
	host
}

const echoRoom = 2048

func (e *echo) WriteSerial(p []byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(p), echoRoom-len(e.out))
	e.out = append(e.out, p[:n]...)
	if n > 0 {
		e.notify()
	}
	return n
}
