//go:build !linux

package boot

import (
	"context"
	"errors"
)

// Listen fails: a socket of one network interface is Linux's.
func (p *ProxyDHCP) Listen(context.Context, string, bool) error {
	return errors.New("ProxyDHCP needs Linux")
}

// Listen fails likewise.
func (s *DHCPServer) Listen(context.Context, string) error {
	return errors.New("the DHCP server needs Linux")
}
