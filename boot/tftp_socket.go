package boot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// What of a link's datagram is not UDP's: the headers of IP and UDP.
	headersIPv4 = 20 + 8
	headersIPv6 = 40 + 8
	// ethernetMTU is assumed where the kernel does not know a path's.
	ethernetMTU = 1500

	// Generic segmentation offload (udp(7)): the kernel takes many datagrams at
	// once, and cuts them.
	udpSegment     = 103
	maxSegments    = 64
	maxSegmentsSum = 65000
)

// origin is where a request came from, and where to: the answer comes from the
// address that was asked, or clients do not take it.
type origin struct {
	client netip.AddrPort
	local  netip.Addr // zero: not known
	other  bool       // it was sent to all, or to somebody else
}

// answerable tells whether there is somebody who can be answered. A request to
// a broadcast address is not (RFC 1123 §4.2.3.4): there may be several servers.
func (o origin) answerable() bool {
	a := o.client.Addr()
	return o.client.Port() != 0 && a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && !o.other
}

// requestListener receives requests, and knows which of the computer's
// addresses each was sent to.
type requestListener struct {
	conn    *net.UDPConn
	control []byte
}

func newRequestListener(conn *net.UDPConn) (*requestListener, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		// Of a socket for both, each covers its own packets; one for IPv4 refuses the second.
		v4 := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
		v6 := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
		if v4 != nil && v6 != nil {
			err = fmt.Errorf("ask for the addresses that requests are sent to: %w", v4)
		}
	})
	if err := errors.Join(failed, err); err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(receiveRoom) // a wish: the system has a limit
	return &requestListener{conn: conn, control: make([]byte, 256)}, nil
}

// receive waits for a datagram.
func (l *requestListener) receive(packet []byte) (int, origin, error) {
	n, control, _, client, err := l.conn.ReadMsgUDPAddrPort(packet, l.control)
	if err != nil {
		return 0, origin{}, err
	}
	from := origin{client: netip.AddrPortFrom(client.Addr().Unmap(), client.Port())}
	from.readControl(l.control[:control])
	return n, from, nil
}

// readControl finds the address that a datagram was sent to: ip(7), ipv6(7).
func (o *origin) readControl(control []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_PKTINFO && len(m.Data) >= syscall.SizeofInet4Pktinfo:
			// The interface's index, our address, the header's destination. They differ for a broadcast.
			local, sentTo := netip.AddrFrom4([4]byte(m.Data[4:8])), netip.AddrFrom4([4]byte(m.Data[8:12]))
			// Ours is missing from a request that came before we asked for it.
			if !local.IsUnspecified() {
				o.local, o.other = local, local != sentTo
			}
			return
		case m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO && len(m.Data) >= syscall.SizeofInet6Pktinfo:
			local := netip.AddrFrom16([16]byte(m.Data[:16])).Unmap()
			o.local, o.other = local.WithZone(o.client.Addr().Zone()), local.IsMulticast()
		}
	}
}

// clientSocket is the socket of one transfer, whose port is the transfer's ID.
// It is connected: the kernel finds the way once, tells strangers that nobody
// listens, and us when the client does not.
type clientSocket struct {
	*net.UDPConn
	quick   *quickIO
	threads *threads
	thread  atomic.Pointer[threadIO] // in place of the two first; nil: not in lockstep
	ipv4    bool
	segment []byte // the control message that has the kernel cut; nil: it cannot, or is not known to
	asked   bool   // whether it can
}

// dialClient opens a socket on a free port for the answer to a request. Of the
// threads it may take one.
func dialClient(ctx context.Context, from origin, threads *threads) (*clientSocket, error) {
	network, ipv4 := "udp6", from.client.Addr().Is4()
	if ipv4 {
		network = "udp4"
	}
	var dialer net.Dialer
	conn, err := dialer.DialUDP(ctx, network, netip.AddrPortFrom(from.local, 0), from.client)
	if err != nil {
		return nil, fmt.Errorf("open a socket for %s: %w", from.client, err)
	}
	quick, err := newQuickIO(conn)
	if err != nil {
		_ = conn.Close() // nothing was sent
		return nil, fmt.Errorf("use the socket for %s: %w", from.client, err)
	}
	return &clientSocket{UDPConn: conn, quick: quick, threads: threads, ipv4: ipv4}, nil
}

// lockstep has the socket's further packets wait in a thread of their own,
// where one is to be had. Room is not known any more then.
func (s *clientSocket) lockstep() {
	if s.thread.Load() != nil || !s.threads.enter() {
		return
	}
	thread, err := newThreadIO(s.UDPConn)
	if err != nil {
		s.threads.leave()
		return // as before
	}
	s.thread.Store(thread)
}

// SetReadDeadline has receive end at a time, or somewhat later.
func (s *clientSocket) SetReadDeadline(at time.Time) error {
	if thread := s.thread.Load(); thread != nil {
		thread.setDeadline(at)
		return nil
	}
	return s.UDPConn.SetReadDeadline(at)
}

// Close ends the use of the socket, which nobody may be in.
func (s *clientSocket) Close() error {
	if thread := s.thread.Load(); thread != nil {
		s.threads.leave()
		return thread.close()
	}
	return s.UDPConn.Close()
}

// room asks the kernel for the MTU of the path.
func (s *clientSocket) room() int {
	level, name, headers := syscall.IPPROTO_IP, syscall.IP_MTU, headersIPv4
	if !s.ipv4 {
		level, name, headers = syscall.IPPROTO_IPV6, syscall.IPV6_MTU, headersIPv6
	}
	mtu, err := s.option(level, name)
	if err != nil {
		mtu = ethernetMTU
	}
	return mtu - headers
}

func (s *clientSocket) option(level, name int) (value int, err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) })
	return value, errors.Join(failed, err)
}

func (s *clientSocket) send(packets []byte, size int) error {
	if size == 0 {
		size = len(packets)
	}
	thread := s.thread.Load()
	for thread == nil && len(packets) > size && s.canSegment(size) {
		// As many as fit into one call.
		most := size * min(maxSegments, maxSegmentsSum/size)
		chunk := packets[:min(most, len(packets))]
		if _, _, err := s.WriteMsgUDPAddrPort(chunk, s.segment, netip.AddrPort{}); err != nil {
			if err := clientGone(err); err != nil {
				return err
			}
			s.segment = nil // a network card that cannot: one by one
			break
		}
		packets = packets[len(chunk):]
	}
	for len(packets) > 0 {
		packet := packets[:min(size, len(packets))]
		var err error
		if thread != nil {
			err = thread.write(packet)
		} else {
			err = s.quick.write(packet)
		}
		if err != nil {
			if err := fatal(err); err != nil {
				return err
			}
		}
		packets = packets[len(packet):]
	}
	return nil
}

// canSegment tells whether the kernel cuts datagrams of size bytes for us.
func (s *clientSocket) canSegment(size int) bool {
	if !s.asked {
		s.asked = true
		// An old kernel would ignore the control message, and send fragments.
		if _, err := s.option(syscall.IPPROTO_UDP, udpSegment); err == nil {
			s.segment = segmentControl(size)
		}
	}
	return s.segment != nil && 2*size <= maxSegmentsSum
}

// segmentControl is struct cmsghdr with a 16-bit number.
func segmentControl(size int) []byte {
	control := make([]byte, syscall.CmsgSpace(2))
	header := control[:syscall.CmsgLen(0)]
	word := len(header) - 8 // of cmsg_len: a size_t
	if word == 8 {
		binary.NativeEndian.PutUint64(header, uint64(syscall.CmsgLen(2)))
	} else {
		binary.NativeEndian.PutUint32(header, uint32(syscall.CmsgLen(2)))
	}
	binary.NativeEndian.PutUint32(header[word:], syscall.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(header[word+4:], udpSegment)
	binary.NativeEndian.PutUint16(control[syscall.CmsgLen(0):], uint16(size))
	return control
}

func (s *clientSocket) receive(packet []byte) (n int, err error) {
	if thread := s.thread.Load(); thread != nil {
		n, err = thread.read(packet)
	} else {
		n, err = s.quick.read(packet)
	}
	if err != nil {
		if gone := clientGone(err); gone != nil {
			return 0, gone
		}
	}
	return n, err
}

// clientGone is errGone where the client's computer says that nobody listens.
func clientGone(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errGone
	}
	return nil
}

// fatal is what is wrong with a socket. That the kernel has no room for a
// packet is not: packets get lost.
func fatal(err error) error {
	switch {
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return nil
	case clientGone(err) != nil:
		return errGone
	}
	return err
}
