package boot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// The ports of DHCP (RFC 2131 §4.1), and the one at which a ProxyDHCP server
// is asked again by clients that have an address (PXE 2.1 §2.2.3).
const (
	portDHCPServer = 67
	portDHCPClient = 68
	portProxyDHCP  = 4011
)

const (
	// answerTerm is how long an answer may take. Clients collect offers for
	// some seconds; one that comes late serves nobody.
	answerTerm = 2 * time.Second

	// trouble is how often the log tells of answers that failed: whoever sends
	// packets is not to fill it.
	trouble = time.Second

	// retryRead is how long a socket rests that could not be read, as when its
	// interface is down.
	retryRead = time.Second
)

// everybody is where packets go that any client on the wire may read.
var everybody = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// dhcpConn is a socket of one interface.
type dhcpConn struct {
	conn    *net.UDPConn
	name    string                     // of the interface and the port, for people
	port    int                        // at which it was asked: 67 or 4011
	unicast bool                       // it gets only what was sent to the interface's own address
	address func() (netip.Addr, error) // the interface's own, now
}

// dhcpSockets are the sockets of a server, and what is counted of them.
type dhcpSockets struct {
	what    string // the server, for people
	log     *slog.Logger
	trouble rate.Sometimes
	conns   []*dhcpConn

	received, malformed, answered, failed atomic.Uint64
}

func newDHCPSockets(what string, logger *slog.Logger) *dhcpSockets {
	return &dhcpSockets{what: what, log: logger, trouble: rate.Sometimes{First: 1, Interval: trouble}}
}

// respond answers one packet; no reply is nil. The packet is not kept.
type respond func(ctx context.Context, c *dhcpConn, packet []byte, from netip.AddrPort) (reply []byte, to netip.AddrPort)

// serve answers until ctx ends, and then returns with the sockets closed.
func (s *dhcpSockets) serve(ctx context.Context, respond respond) error {
	var group errgroup.Group
	for _, c := range s.conns {
		group.Go(func() error {
			s.serveConn(ctx, c, respond) // ends with ctx
			return nil
		})
	}
	return group.Wait()
}

func (s *dhcpSockets) close() error {
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// serveConn answers what comes to one socket, one packet after the other: a
// flood takes one core at most, and the kernel drops what does not fit its
// buffer.
func (s *dhcpSockets) serveConn(ctx context.Context, c *dhcpConn, respond respond) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() }) // ends the read
	defer stop()
	buffer := make([]byte, maxDHCPPacket+1)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buffer)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Warn(s.what+" cannot read; it tries again", "socket", c.name, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryRead):
			}
			continue
		}
		answerCtx, cancel := context.WithTimeout(ctx, answerTerm)
		reply, to := respond(answerCtx, c, buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		cancel()
		if reply == nil {
			continue
		}
		if _, err := c.conn.WriteToUDPAddrPort(reply, to); err != nil {
			s.failed.Add(1)
			s.trouble.Do(func() { s.log.Warn(s.what+" could not send an answer", "socket", c.name, "to", to, "error", err) })
			continue
		}
		s.answered.Add(1)
	}
}
