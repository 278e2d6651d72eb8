package boot

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// newPair is a socket in lockstep, and its client.
func newPair(t *testing.T) (*clientSocket, *threads, *net.UDPConn) {
	t.Helper()
	client, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	places := &threads{}
	socket, err := dialClient(t.Context(), origin{client: client.LocalAddr().(*net.UDPAddr).AddrPort(), local: netip.MustParseAddr("127.0.0.1")}, places)
	if err != nil {
		t.Fatal(err)
	}
	socket.lockstep()
	if socket.thread.Load() == nil {
		t.Fatal("the socket has no thread")
	}
	return socket, places, client
}

func TestThreadWaits(t *testing.T) {
	socket, places, client := newPair(t)
	if err := socket.send([]byte("to the client"), 0); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 100)
	n, from, err := client.ReadFromUDPAddrPort(packet)
	if err != nil || string(packet[:n]) != "to the client" {
		t.Fatalf("%q, %v", packet[:n], err)
	}

	// Nobody answers: the deadline ends the wait, also one that another goroutine sets meanwhile.
	began := time.Now()
	if err := socket.SetReadDeadline(began.Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := socket.receive(packet); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) < 30*time.Millisecond {
		t.Errorf("silence for %s: %d, %v", time.Since(began), n, err)
	}
	if err := socket.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() { // ends with the deadline
		_, err := socket.receive(make([]byte, 10))
		waiting <- err
	}()
	if err := socket.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the deadline was moved into the past: %v", err)
	}

	if _, err := client.WriteToUDPAddrPort([]byte("back"), from); err != nil {
		t.Fatal(err)
	}
	if n, err := socket.receive(packet); err != nil || string(packet[:n]) != "back" {
		t.Errorf("%q, %v", packet[:n], err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := socket.send([]byte("is anybody there?"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.receive(packet); !errors.Is(err, errGone) {
		t.Errorf("the client is gone: %v", err)
	}

	fd := socket.thread.Load().fd
	if err := socket.Close(); err != nil || places.taken.Load() != 0 {
		t.Errorf("closed: %v, %d places are taken", err, places.taken.Load())
	}
	if _, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err == nil {
		t.Error("the socket is still open")
	}
}

// Clients beyond the number of threads are served without, and a client that
// has not answered has none.
func TestThreadsAreBounded(t *testing.T) {
	root, _ := makeBig(t)
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server, ended := serveTFTP(t, conn, openIn(root))
	var clients []*peer
	for i := range maxThreads + 8 {
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		client := &peer{socket, conn.LocalAddr().(*net.UDPAddr)}
		send(t, client, "\x00\x01big\x00octet\x00")
		if got := receive(t, client); got[1] != opData || got[3] != 1 {
			t.Fatalf("client %d: %q", i, got[:4])
		}
		clients = append(clients, client)
	}
	if n := server.threads.taken.Load(); n != 0 {
		t.Errorf("%d threads for clients that have not answered", n)
	}
	for block := byte(1); block < 5; block++ {
		for i, client := range clients {
			send(t, client, "\x00\x04\x00"+string(block))
			got := receive(t, client)
			for got[1] == opData && got[3] == block { // sent again while it waited for its turn
				got = receive(t, client)
			}
			if got[1] != opData || got[3] != block+1 {
				t.Fatalf("client %d: %q after block %d", i, got[:4], block)
			}
		}
	}
	if n := server.threads.taken.Load(); n != maxThreads {
		t.Errorf("%d threads for %d clients, want %d", n, len(clients), maxThreads)
	}
	for _, client := range clients {
		send(t, client, "\x00\x05\x00\x00enough\x00")
		<-ended
	}
	if n := server.threads.taken.Load(); n != 0 {
		t.Errorf("%d threads are left", n)
	}
}
