package boot

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// floodSize is how many datagrams a flood has at least: what an address
	// sends in two seconds that sends 10,000 a second.
	floodSize = 20_000
	// floodPorts is how many ports it sends from.
	floodPorts = 64
	// floodRate is how many it sends in a millisecond, where the computer
	// keeps up.
	floodRate = 20
)

// flood sends datagrams to a server from one address that is nobody else's,
// and hears no answer: its sockets are there, and never read. It ends when all
// were sent; the channel then has how many there were in a second.
func flood(t *testing.T, to *net.UDPAddr, datagram func(i int) []byte) <-chan int {
	t.Helper()
	var sockets []*net.UDPConn
	for range floodPorts {
		s, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 66)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		sockets = append(sockets, s)
	}
	done := make(chan int, 1)
	go func() { // ends when all is sent
		began := time.Now()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := range floodSize {
			if _, err := sockets[i%floodPorts].WriteTo(datagram(i), to); err != nil {
				t.Errorf("flood: %v", err)
			}
			if i%floodRate == 0 {
				<-tick.C
			}
		}
		done <- int(floodSize / time.Since(began).Seconds())
	}()
	return done
}

// footprint is what a process has of what can run out.
type footprint struct {
	heap              int64 // bytes that are in use
	goroutines, files int
}

func measure(t *testing.T) footprint {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{int64(m.HeapAlloc), runtime.NumGoroutine(), len(files)}
}

// most is the larger of each.
func (f footprint) most(g footprint) footprint {
	return footprint{max(f.heap, g.heap), max(f.goroutines, g.goroutines), max(f.files, g.files)}
}

// within reports whether f is at most so much more than before.
func (f footprint) within(before footprint, heap int64, goroutines, files int) bool {
	return f.heap <= before.heap+heap && f.goroutines <= before.goroutines+goroutines && f.files <= before.files+files
}

func (f footprint) String() string {
	return fmt.Sprintf("%d KiB, %d goroutines, %d files", f.heap>>10, f.goroutines, f.files)
}

// kernelDrops is how many datagrams the kernel has dropped that came for a
// socket: its buffer was full (proc(5), /proc/net/udp).
func kernelDrops(t *testing.T, conn *net.UDPConn) (drops uint64) {
	t.Helper()
	address := conn.LocalAddr().(*net.UDPAddr)
	table, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		columns := strings.Fields(line)
		if strings.HasSuffix(columns[1], fmt.Sprintf("0100007F:%04X", address.Port)) {
			if drops, err = strconv.ParseUint(columns[len(columns)-1], 10, 64); err != nil {
				t.Fatal(err)
			}
			return drops
		}
	}
	t.Fatalf("%s is no socket that the kernel knows of:\n%s", address, table)
	return 0
}
