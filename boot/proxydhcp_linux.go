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
	if _, err := net.InterfaceByName(iface); err != nil {
		return fmt.Errorf("ProxyDHCP on %s: no such network interface; there are %s", iface, interfaceNames())
	}
	if _, err := interfaceAddress(iface); err != nil {
		return fmt.Errorf("ProxyDHCP: %w", err)
	}
	all := netip.IPv4Unspecified()
	sockets := []netip.AddrPort{netip.AddrPortFrom(all, portProxyDHCP)}
	if relayed {
		sockets = append(sockets, netip.AddrPortFrom(all, portDHCPServer))
	} else {
		sockets = append(sockets, netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), portDHCPServer))
	}
	for _, address := range sockets {
		conn, err := listenOn(ctx, iface, address)
		if err != nil {
			return listenProxyError(iface, address, err)
		}
		p.conns = append(p.conns, &proxyConn{
			conn: conn, name: iface + " port " + strconv.Itoa(int(address.Port())), port: int(address.Port()),
			address: func() (netip.Addr, error) { return interfaceAddress(iface) },
		})
	}
	return nil
}

// listenOn opens a socket that gets and sends packets of one interface only.
func listenOn(ctx context.Context, iface string, address netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var optErr error
		err := raw.Control(func(fd uintptr) {
			optErr = errors.Join(
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
				syscall.BindToDevice(int(fd), iface),
			)
		})
		return errors.Join(err, optErr)
	}}
	conn, err := lc.ListenPacket(ctx, "udp4", address.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil // what "udp4" gives
}

func listenProxyError(iface string, address netip.AddrPort, err error) error {
	hint := "name other interfaces, or none"
	switch {
	case errors.Is(err, syscall.EPERM):
		hint = "before Linux 5.7 it needs the capability CAP_NET_RAW, too"
	case errors.Is(err, syscall.EACCES):
		hint = "give it the capability CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program has this port to itself: a PXE server, or a DHCP server that does not share it (dnsmasq does with --bind-interfaces)"
	}
	return fmt.Errorf("ProxyDHCP on %s, UDP port %d: %w; %s", iface, address.Port(), errors.Unwrap(err), hint)
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
