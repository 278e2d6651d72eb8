package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// GRUB takes the ports 21550, 21551 ... for its connections whenever it starts.
// Where our kernel still holds one of the start before, it answers to that, and
// GRUB waits in vain. Two kinds are left over:
//
//   - GRUB may close a connection while it announces a window of zero. Our FIN
//     waits until there is room, and so for ever: the machine runs something else by then.
//   - A machine that is reset in the middle tells nobody.
const (
	grubAgent = "GRUB "

	// grubPatience is how long GRUB's computer may be silent. It is shorter than
	// most computers take from a reset to a bootloader.
	grubPatience = 20 * time.Second
	grubIdle     = 10 * time.Second

	tcpUserTimeout = 18 // tcp(7): TCP_USER_TIMEOUT, which package syscall lacks
)

type connectionKey struct{}

// withConnection is for http.Server's ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// forgetWithClient has nothing left of a connection of GRUB's as soon as one of
// its ends is gone: closing it resets it, and silence closes it. It is of no
// use to close such a connection with something unsent, hence only where it
// stays open after the response.
func forgetWithClient(r *http.Request) error {
	conn, ok := r.Context().Value(connectionKey{}).(*net.TCPConn)
	if !ok || r.Close || !strings.HasPrefix(r.UserAgent(), grubAgent) {
		return nil
	}
	if err := conn.SetLinger(0); err != nil {
		return fmt.Errorf("connection of GRUB: %w", err)
	}
	err := conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: grubIdle, Interval: grubIdle / 2, Count: 2})
	if err != nil {
		return fmt.Errorf("connection of GRUB: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("connection of GRUB: %w", err)
	}
	failed := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(grubPatience/time.Millisecond))
	})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("connection of GRUB: %w", err)
	}
	return nil
}
