package boot

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

func requestOf(port uint16, name string) (origin, []byte) {
	return origin{client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port)}, []byte("\x00\x01" + name + "\x00octet\x00")
}

func TestAdmissions(t *testing.T) {
	var a admissions
	from, packet := requestOf(1, "x")
	first, v := a.admit(t.Context(), from, packet)
	if v != admitted {
		t.Fatalf("the first is not admitted: %v", v)
	}
	if _, v := a.admit(t.Context(), from, packet); v != repeated {
		t.Errorf("the same again: %v", v)
	}
	from, other := requestOf(1, "y")
	second, v := a.admit(t.Context(), from, other)
	if v != admitted || !errors.Is(context.Cause(first.ctx), errReplaced) {
		t.Errorf("another one from the same port: %v, and the first has ended with %v", v, context.Cause(first.ctx))
	}
	a.release(first)
	a.answered(second)
	third, v := a.admit(t.Context(), from, other)
	if v != admitted || second.ctx.Err() != nil {
		t.Errorf("the same again, after it was answered: %v", v)
	}
	a.release(second)
	a.release(third)

	var all []*admission
	for port := uint16(1); ; port++ {
		admission, v := a.admit(t.Context(), origin{client: netip.AddrPortFrom(from.client.Addr(), port)}, packet)
		if v != admitted {
			break
		}
		all = append(all, admission)
	}
	if len(all) != maxTransfersPerClient {
		t.Errorf("%d of one client", len(all))
	}
	for i := range 2 * maxTransfers {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if admission, v := a.admit(t.Context(), origin{client: netip.AddrPortFrom(address, 1)}, packet); v == admitted {
			all = append(all, admission)
		}
	}
	if len(all) != maxTransfers || a.active() != maxTransfers {
		t.Errorf("%d in all, %d active", len(all), a.active())
	}
	for _, admission := range all {
		a.release(admission)
	}
	if a.active() != 0 || len(a.byClient) != 0 || len(a.unanswered) != 0 {
		t.Errorf("left over: %+v", &a)
	}
}

func TestRequestsFromNobody(t *testing.T) {
	for _, c := range []struct {
		client string
		other  bool
		want   bool
	}{
		{"192.0.2.1:1000", false, true}, {"[2001:db8::1]:1", false, true}, {"192.0.2.1:0", false, false}, {"0.0.0.0:1", false, false},
		{"255.255.255.255:1", false, false}, {"224.0.0.1:1", false, false}, {"[ff02::1]:1", false, false}, {"192.0.2.1:1000", true, false},
	} {
		if got := (origin{client: netip.MustParseAddrPort(c.client), other: c.other}).answerable(); got != c.want {
			t.Errorf("%+v is answerable: %v", c, got)
		}
	}
	var o origin
	o.readControl([]byte("rubbish"))
	o.readControl(nil)
}

// A request that was sent to every computer is for nobody (RFC 1123 §4.2.3.4),
// one to an address of ours is answered from there.
func TestTFTPAnswersFromTheAddressThatWasAsked(t *testing.T) {
	root := makeRoot(t)
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	server, ended := serveTFTP(t, conn, openIn(root))
	port := uint16(conn.LocalAddr().(*net.UDPAddr).Port)
	for _, address := range []string{"127.0.0.1", "127.0.0.9", "::1"} {
		client, err := net.ListenUDP("udp", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		p := &peer{client, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), port))}
		send(t, p, "\x00\x01file\x00octet\x00")
		if got := receive(t, p); string(got) != "\x00\x03\x00\x01content" || p.to.AddrPort().Addr().Unmap().String() != address || p.to.Port == int(port) {
			t.Errorf("%s: %q from %v", address, got, p.to)
		}
		send(t, p, "\x00\x04\x00\x01")
		if done := <-ended; done.Err != nil {
			t.Error(done.Err)
		}
	}
	shout, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shout.Close()
	send(t, &peer{shout, &net.UDPAddr{IP: net.IPv4(127, 255, 255, 255), Port: int(port)}}, "\x00\x01file\x00octet\x00")
	p := &peer{shout, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}}
	send(t, p, "\x00\x04\x00\x07") // answered, and after what came before
	if got := receive(t, p); string(got) != "\x00\x05\x00\x05unknown transfer ID\x00" {
		t.Errorf("the first answer is %q", got)
	}
	if stats := server.Stats(); stats.Malformed != 1 || stats.Strangers != 1 || stats.Complete != 3 || stats.Active != 0 {
		t.Errorf("counted %+v", stats)
	}
}

func TestTFTPStartsARequestOnce(t *testing.T) {
	root, content := makeBig(t)
	heard := make(chan struct{})
	address, _ := startTFTP(t, func(ctx context.Context, name string, client netip.AddrPort) (TFTPFile, error) {
		<-heard
		return openIn(root)(ctx, name, client)
	})
	p, other := dial(t, address), dial(t, address)
	const request = "\x00\x01big\x00octet\x00blksize\x001024\x00"
	send(t, p, request)
	send(t, p, request)
	send(t, p, request)
	send(t, other, "\x00\x04\x00\x07")
	receive(t, other) // what came before has been dealt with
	close(heard)
	transfer := *p
	receive(t, &transfer) // OACK
	send(t, &transfer, "\x00\x04\x00\x00")
	for block := byte(1); block < 20; block++ {
		if got := receive(t, &transfer); got[1] != 3 || got[3] != block || !bytes.Equal(got[4:], content[int(block-1)*1024:int(block)*1024]) {
			t.Fatalf("block %d is %q", block, got[:8])
		}
		send(t, &transfer, "\x00\x04\x00"+string(block))
	}
}

// A stranger who knows a transfer's port does not disturb it.
func TestTFTPStrangersAreNotHeard(t *testing.T) {
	root, content := makeBig(t)
	address, _ := startTFTP(t, openIn(root))
	p, stranger := dial(t, address), dial(t, address)
	send(t, p, "\x00\x01big\x00octet\x00")
	for block := byte(1); block < 10; block++ {
		if got := receive(t, p); got[1] != 3 || got[3] != block || !bytes.Equal(got[4:], content[int(block-1)*512:int(block)*512]) {
			t.Fatalf("block %d is %q", block, got[:8])
		}
		stranger.to = p.to
		send(t, stranger, "\x00\x05\x00\x00die\x00")
		send(t, stranger, "\x00\x04\x00"+string(block))
		send(t, p, "\x00\x04\x00"+string(block))
	}
}
