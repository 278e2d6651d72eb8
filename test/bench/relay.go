package main

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
)

// relay is a bad network between one client and one BMC: of the datagrams of
// each direction it loses a part, sends a part twice, and holds a part back
// until the next one has passed.
type relay struct {
	front net.PacketConn // that the client talks to
	back  net.Conn       // to the BMC

	mu     sync.Mutex
	client net.Addr
}

// faults are shares of the datagrams, 0 to 1.
type faults struct{ lost, doubled, late float64 }

// startRelay relays between a free loopback port, which it returns, and the
// BMC. It ends with ctx, after which wait returns.
func startRelay(ctx context.Context, bmc string, f faults) (addr string, wait func(), err error) {
	front, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	back, err := (&net.Dialer{}).DialContext(ctx, "udp4", bmc)
	if err != nil {
		_ = front.Close()
		return "", nil, err
	}
	r := &relay{front: front, back: back}
	context.AfterFunc(ctx, func() {
		_ = front.Close()
		_ = back.Close()
	})
	var both sync.WaitGroup
	both.Go(func() { // until the sockets are closed
		pass(f, rand.New(rand.NewPCG(1, 1)), r.fromClient, func(p []byte) { _, _ = r.back.Write(p) })
	})
	both.Go(func() {
		pass(f, rand.New(rand.NewPCG(2, 2)), r.back.Read, r.toClient)
	})
	return front.LocalAddr().String(), both.Wait, nil
}

func (r *relay) fromClient(p []byte) (int, error) {
	n, addr, err := r.front.ReadFrom(p)
	r.mu.Lock()
	r.client = addr
	r.mu.Unlock()
	return n, err
}

func (r *relay) toClient(p []byte) {
	r.mu.Lock()
	addr := r.client
	r.mu.Unlock()
	if addr != nil {
		_, _ = r.front.WriteTo(p, addr)
	}
}

// pass moves datagrams of one direction until read fails.
func pass(f faults, random *rand.Rand, read func([]byte) (int, error), write func([]byte)) {
	buf := make([]byte, 2048)
	var late []byte
	for {
		n, err := read(buf)
		if err != nil {
			return
		}
		p := buf[:n]
		if random.Float64() < f.lost {
			continue
		}
		if late == nil && random.Float64() < f.late {
			late = append([]byte(nil), p...)
			continue
		}
		write(p)
		if random.Float64() < f.doubled {
			write(p)
		}
		if late != nil {
			write(late)
			late = nil
		}
	}
}
