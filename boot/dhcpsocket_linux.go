package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Listen takes the ports of one network interface. It is called before
// [ProxyDHCP.Serve], once for each interface, and needs the capability
// CAP_NET_BIND_SERVICE.
//
// The socket at port 67 is bound to the broadcast address: the kernel gives it
// what machines without an address send, and leaves to a DHCP server on this
// host, which listens at the same port, what is sent to that one alone. With
// relayed it listens at the host's own addresses, too, for the sake of relays,
// which forward requests there; then the DHCP server has to be on another host.
func (p *ProxyDHCP) Listen(ctx context.Context, iface string, relayed bool) error {
	if _, err := usableInterface(iface); err != nil {
		return fmt.Errorf("ProxyDHCP on %s: %w", iface, err)
	}
	all := netip.IPv4Unspecified()
	at67 := everybody
	if relayed {
		at67 = all
	}
	for _, address := range []netip.AddrPort{netip.AddrPortFrom(all, portProxyDHCP), netip.AddrPortFrom(at67, portDHCPServer)} {
		if err := p.sockets.listen(ctx, iface, address, true); err != nil {
			return err
		}
	}
	return nil
}

// Listen takes port 67 of one network interface, which has an IPv4 address. It
// is called before [DHCPServer.Serve], once for each interface, and needs the
// capability CAP_NET_BIND_SERVICE. It fails where another program has the port:
// two DHCP servers on one wire do not work together.
//
// One socket gets what is sent to everybody, another what is sent to the
// interface's address: that is by relays, and by clients that renew.
func (s *DHCPServer) Listen(ctx context.Context, iface string) error {
	own, err := usableInterface(iface)
	if err != nil {
		return fmt.Errorf("DHCP server on %s: %w", iface, err)
	}
	for _, address := range []netip.Addr{everybody, own} {
		if err := s.sockets.listen(ctx, iface, netip.AddrPortFrom(address, portDHCPServer), false); err != nil {
			return err
		}
	}
	return nil
}

// usableInterface returns the address of an interface, or says why it can have
// no DHCP.
func usableInterface(iface string) (netip.Addr, error) {
	if _, err := net.InterfaceByName(iface); err != nil {
		return netip.Addr{}, fmt.Errorf("no such network interface; there are %s", interfaceNames())
	}
	return interfaceAddress(iface)
}

// listen opens a socket that gets and sends packets of one interface only.
// shared lets other programs have the same port.
func (s *dhcpSockets) listen(ctx context.Context, iface string, address netip.AddrPort, shared bool) error {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var optErr error
		err := raw.Control(func(fd uintptr) {
			optErr = syscall.BindToDevice(int(fd), iface)
			if shared {
				optErr = errors.Join(optErr, syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
			}
		})
		return errors.Join(err, optErr)
	}}
	conn, err := lc.ListenPacket(ctx, "udp4", address.String())
	if err != nil {
		return fmt.Errorf("%s on %s, UDP port %d: %w; %s", s.what, iface, address.Port(), errors.Unwrap(err), listenHint(err))
	}
	s.conns = append(s.conns, &dhcpConn{
		conn:    conn.(*net.UDPConn), // what "udp4" gives
		name:    iface + " port " + strconv.Itoa(int(address.Port())),
		port:    int(address.Port()),
		unicast: address.Addr() != everybody && !address.Addr().IsUnspecified(),
		address: func() (netip.Addr, error) { return interfaceAddress(iface) },
	})
	return nil
}

func listenHint(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM):
		return "before Linux 5.7 it needs the capability CAP_NET_RAW, too"
	case errors.Is(err, syscall.EACCES):
		return "give it the capability CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has this port to itself: a DHCP or PXE server; end it, or keep it off this interface (dnsmasq: --bind-interfaces)"
	}
	return "name other interfaces, or none"
}

// interfaceAddress returns the first IPv4 address of a network interface.
func interfaceAddress(name string) (netip.Addr, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("network interface %s: %w", name, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("addresses of network interface %s: %w", name, err)
	}
	for _, addr := range addrs {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil && prefix.Addr().Is4() {
			return prefix.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("network interface %s has no IPv4 address: give it one", name)
}

// interfaceNames lists what a person may have meant.
func interfaceNames() string {
	interfaces, err := net.Interfaces()
	if err != nil {
		return "no list: " + err.Error()
	}
	names := make([]string, len(interfaces))
	for i, iface := range interfaces {
		names[i] = iface.Name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
