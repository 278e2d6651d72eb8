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
