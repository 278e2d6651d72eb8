package sim

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
)

// lastPacket is a connection whose only packet comes as its context ends. It
// takes its time to close.
type lastPacket struct {
	net.PacketConn // nil
	end            context.CancelFunc
	mayClose       chan struct{}
	closed         bool
}

func (*lastPacket) LocalAddr() net.Addr { return &net.UDPAddr{} }

func (c *lastPacket) ReadFrom(p []byte) (int, net.Addr, error) {
	c.end()
	return copy(p, "nothing that a BMC understands"), &net.UDPAddr{}, nil
}

func (c *lastPacket) Close() error {
	<-c.mayClose
	c.closed = true
	return nil
}

// Whoever waits for Serve may listen on the same port right after.
func TestServeReturnsWhenTheConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		conn := &lastPacket{end: cancel, mayClose: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- New("ADMIN", "ADMIN", &line{}).Serve(ctx, conn) }()
		synctest.Wait()
		select {
		case err := <-served:
			t.Error("Serve returned before the connection was closed")
			served <- err
		default:
		}
		close(conn.mayClose)
		if err := <-served; err != nil || !conn.closed {
			t.Errorf("Serve: %v; closed: %v", err, conn.closed)
		}
	})
}
