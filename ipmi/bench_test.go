package ipmi_test

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// BenchmarkConsoleMemory reports what one open console costs this side: its
// session, buffers and goroutines, without the kernel's socket. The BMCs are
// in the same process: what is left when the consoles are closed is theirs.
func BenchmarkConsoleMemory(b *testing.B) {
	const many = 200
	inUse := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	for b.Loop() {
		ctx, cancel := context.WithCancel(context.Background())
		var served sync.WaitGroup
		var consoles []*ipmi.SOL
		var clients []*ipmi.Client
		for range many {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			served.Go(func() { _ = sim.New(user, password, &machine{}).Serve(ctx, conn) })
			c := ipmi.NewClient(ipmi.Config{Addr: conn.LocalAddr().String(), Username: user, Password: password})
			sol, err := c.OpenSOL(ctx)
			if err != nil {
				b.Fatal(err)
			}
			clients, consoles = append(clients, c), append(consoles, sol)
		}
		both := inUse()
		for i, c := range clients {
			if err := c.Close(ctx); err != nil {
				b.Error(err)
			}
			clients[i], consoles[i] = nil, nil
		}
		bmcs := inUse()
		b.ReportMetric(float64(both-bmcs)/many, "B/console")
		cancel()
		served.Wait()
	}
}

// BenchmarkTyping is one key at a time, there and acknowledged.
func BenchmarkTyping(b *testing.B) {
	c := connect(b, ipmi.Config{Addr: onLoopback(b, sim.New(user, password, &machine{}))})
	sol := openSOL(b, c)
	for b.Loop() {
		if _, err := sol.Write([]byte("x")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPower is one chassis status on an open session, without the gap
// between two.
func BenchmarkPower(b *testing.B) {
	c := connect(b, ipmi.Config{Addr: onLoopback(b, sim.New(user, password, &machine{})), Gap: -1})
	for b.Loop() {
		if _, err := c.Power(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
