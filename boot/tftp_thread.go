package boot

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxThreads is how many transfers may wait for their clients in a thread
	// of their own. A thread takes some 50 KB.
	maxThreads = 32
	// tick is how long a thread waits before it looks whether it still should.
	tick = 20 * time.Millisecond
)

// threads are the places of transfers that wait in threads of their own.
type threads struct{ taken atomic.Int32 }

// enter takes a place, which leave gives back; false where none is free.
func (t *threads) enter() bool {
	if t.taken.Add(1) > maxThreads {
		t.taken.Add(-1)
		return false
	}
	return true
}

func (t *threads) leave() { t.taken.Add(-1) }

// threadIO reads and writes the datagrams of a connected socket by system calls
// that block. In lockstep there is one packet to wait for, and then one to
// send: two calls, where the runtime's poller needs two more and mostly wakes
// another thread. For many clients the poller is better, which wakes once for
// several. It is for one goroutine at a time, but for the deadline.
type threadIO struct {
	fd    int
	until atomic.Int64 // when read ends, in nanoseconds since 1970; 0: not by itself
}

// newThreadIO takes over the socket of conn, which it closes, unless it fails.
func newThreadIO(conn *net.UDPConn) (*threadIO, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var duplicate uintptr
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		duplicate, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	})
	switch {
	case err != nil:
		return nil, err
	case errno != 0:
		return nil, fmt.Errorf("duplicate a socket: %w", errno)
	}
	fd := int(duplicate)
	wait := syscall.NsecToTimeval(int64(tick))
	err = errors.Join(
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait),
		// Both have this flag. Without it, conn is good for nothing, hence last.
		syscall.SetNonblock(fd, false),
	)
	if err != nil {
		_ = syscall.Close(fd) // nothing was done with it
		return nil, err
	}
	_ = conn.Close() // takes the socket from the poller, and leaves it to us
	return &threadIO{fd: fd}, nil
}

func (t *threadIO) close() error { return syscall.Close(t.fd) }

// setDeadline has read end at a time, or a tick later.
func (t *threadIO) setDeadline(at time.Time) { t.until.Store(at.UnixNano()) }

// read waits for a datagram, until the deadline.
func (t *threadIO) read(buffer []byte) (int, error) {
	for {
		n, err := syscall.Read(t.fd, buffer)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return 0, err
		}
		if until := t.until.Load(); until != 0 && time.Now().UnixNano() >= until {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// write sends a datagram. One for which there is no room within a tick is lost,
// as packets are.
func (t *threadIO) write(packet []byte) error {
	for {
		switch _, err := syscall.Write(t.fd, packet); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return nil
		default:
			return err
		}
	}
}
