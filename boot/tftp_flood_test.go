package boot

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
)

// tftpNoise is what somebody sends who means no good: requests that nobody
// waits for, and datagrams that are none.
func tftpNoise(i int) []byte {
	switch i % 8 {
	case 0, 1: // each is another request, or it would be taken for one that comes again
		return fmt.Appendf(nil, "\x00\x01big\x00octet\x00x\x00%d\x00", i)
	case 2:
		return fmt.Appendf(nil, "\x00\x01big\x00octet\x00blksize\x0065464\x00windowsize\x0065535\x00x\x00%d\x00", i)
	case 3:
		return fmt.Appendf(nil, "\x00\x02../../%d\x00octet\x00", i)
	case 4:
		return []byte{0, byte(6 + i/8%250), 1, 2, 3} // OACK, and opcodes that do not exist
	case 5:
		return []byte("\x00\x01")[:i/8%3] // cut off
	case 6:
		return make([]byte, 2048+i%2048)
	default:
		return []byte{0, byte(3 + i/8%3), 0, 1} // DATA, ACK and ERROR of no transfer
	}
}

// While one address floods the server, it holds no more than it may, each
// datagram is accounted for, and others are served.
func TestTFTPServesOthersDuringAFlood(t *testing.T) {
	root, content := makeBig(t)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server := NewTFTPServer(openIn(root), func(Transfer) {})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(ctx, conn) }() // ends with stop
	address := conn.LocalAddr().(*net.UDPAddr)
	download := func() {
		t.Helper()
		if got, _, err := get(address, "big", 8192); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	download()
	before := measure(t)
	begun := server.Stats()

	rate := flood(t, address, tftpNoise)
	var most footprint
	var unanswered, served, reached int
	for served < 3 || reached == 0 {
		download()
		served++
		most = most.most(measure(t))
		server.admitted.mu.Lock()
		unanswered = max(unanswered, len(server.admitted.unanswered))
		if clients := len(server.admitted.byClient); clients > 2 {
			t.Errorf("%d clients are served", clients)
		}
		server.admitted.mu.Unlock()
		select {
		case reached = <-rate:
		default:
		}
	}
	lost := kernelDrops(t, conn)
	last := server.Stats()
	t.Logf("%d datagrams, %d a second, of which the kernel dropped %d; %d downloads meanwhile; %s before, %s at most",
		floodSize, reached, lost, served, before, most)
	// Each transfer has a goroutine, a socket and a window of 128 KiB at most; those that are refused come and go.
	if !most.within(before, 16<<20, 2*maxTransfersPerClient, floodPorts+2*maxTransfersPerClient) {
		t.Errorf("before the flood %s, at most %s", before, most)
	}
	if unanswered > maxTransfersPerClient+1 || last.Active > maxTransfersPerClient+1 {
		t.Errorf("%d requests wait for their clients, %d transfers", unanswered, last.Active)
	}
	if last.Busy == 0 || last.Malformed == 0 || last.Strangers == 0 || last.Failed == 0 {
		t.Errorf("counted %+v", last)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	// What was not read when the server ended is in no count.
	told := func(s TFTPStats) uint64 { return s.Transfers + s.Repeated + s.Busy + s.Strangers + s.Malformed }
	if got := told(last) - told(begun) + lost; got > floodSize+uint64(served)*2 || got < floodSize*9/10 {
		t.Errorf("%d datagrams are accounted for, of %d: %+v", got, floodSize, last)
	}
	if after := server.Stats(); after.Active != 0 || len(server.admitted.byClient) != 0 || len(server.admitted.unanswered) != 0 {
		t.Errorf("left over: %+v", after)
	}
}
