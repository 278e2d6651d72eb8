package boot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// lossyRelay is a network between clients and a server that loses, doubles and
// delays datagrams, in both directions. One client at a time.
func lossyRelay(t *testing.T, server *net.UDPAddr, loss float64) int {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var client netip.AddrPort
	tid := server.AddrPort()
	var ends sync.WaitGroup
	pass := func(seed uint64, from *net.UDPConn, send func([]byte, netip.AddrPort)) {
		random := rand.New(rand.NewPCG(seed, seed))
		buffer := make([]byte, 65536)
		var late []byte
		for {
			n, peer, err := from.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			packet := bytes.Clone(buffer[:n])
			times := 1
			switch r := random.Float64(); {
			case r < loss:
				times = 0
			case r < 2*loss:
				times = 2
			case r < 3*loss && late == nil:
				late = packet
				continue
			}
			for range times {
				send(packet, peer)
			}
			if late != nil {
				send(late, peer)
				late = nil
			}
		}
	}
	ends.Go(func() { // until front is closed
		pass(1, front, func(p []byte, peer netip.AddrPort) {
			mu.Lock()
			defer mu.Unlock()
			client = peer
			to := tid
			if p[1] == opRead {
				to = server.AddrPort()
			}
			_, _ = back.WriteToUDPAddrPort(p, to)
		})
	})
	ends.Go(func() { // until back is closed
		pass(2, back, func(p []byte, peer netip.AddrPort) {
			mu.Lock()
			defer mu.Unlock()
			tid = peer
			_, _ = front.WriteToUDPAddrPort(p, client)
		})
	})
	t.Cleanup(func() {
		front.Close()
		back.Close()
		ends.Wait()
	})
	return front.LocalAddr().(*net.UDPAddr).Port
}

func TestTFTPOverABadNetwork(t *testing.T) {
	t.Parallel()
	atftp := need(t, "atftp", "atftp")
	root, content := makeRoot(t), pattern(400_000)
	if err := root.WriteFile("some", content, 0o600); err != nil {
		t.Fatal(err)
	}
	address, _ := startTFTP(t, openIn(root))
	for name, options := range map[string][]string{
		"lockstep":       {"--option", "blksize 1428"},
		"windows":        {"--option", "blksize 1428", "--option", "windowsize 16"},
		"agreed timeout": {"--option", "blksize 1428", "--option", "windowsize 16", "--option", "timeout 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := lossyRelay(t, address, 0.02)
			if got := download(t, atftp, append(options, "-g", "-r", "some", "-l", "OUT", "127.0.0.1", fmt.Sprint(port))); !bytes.Equal(got, content) {
				t.Errorf("%d bytes that are not the file's", len(got))
			}
		})
	}
}
