package boot

import (
	"io"
	"net"
	"syscall"
	"unsafe"
)

// quickIO reads and writes the datagrams of a connected socket. It does what
// the socket's own methods do, but does not tell the scheduler of each system
// call: they never block, and a transfer in lockstep does little else. That is a
// fourth of the processor time of a block. It is for one goroutine at a time;
// deadlines are the socket's.
type quickIO struct {
	raw  syscall.RawConn
	once func(fd uintptr) (done bool)

	trap   uintptr // SYS_READ or SYS_WRITE
	buffer []byte
	n      int
	errno  syscall.Errno
}

func newQuickIO(conn *net.UDPConn) (*quickIO, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	q := &quickIO{raw: raw}
	q.once = q.try // once: a method value is allocated
	return q, nil
}

// try makes the call, which has to be made again when it would have blocked.
func (q *quickIO) try(fd uintptr) bool {
	n, _, errno := syscall.RawSyscall(q.trap, fd, uintptr(unsafe.Pointer(&q.buffer[0])), uintptr(len(q.buffer))) //nolint:gosec // the buffer is q's until the call returns
	q.n, q.errno = int(n), errno
	return errno != syscall.EAGAIN
}

// read waits for a datagram, as net.UDPConn's Read does. The buffer has room.
func (q *quickIO) read(buffer []byte) (int, error) {
	if len(buffer) == 0 {
		return 0, io.ErrShortBuffer
	}
	q.trap, q.buffer = syscall.SYS_READ, buffer
	return q.result(q.raw.Read(q.once))
}

// write sends a datagram, which is not empty.
func (q *quickIO) write(packet []byte) error {
	if len(packet) == 0 {
		return io.ErrShortBuffer
	}
	q.trap, q.buffer = syscall.SYS_WRITE, packet
	_, err := q.result(q.raw.Write(q.once))
	return err
}

func (q *quickIO) result(err error) (int, error) {
	q.buffer = nil
	switch {
	case err != nil:
		return 0, err
	case q.errno != 0:
		return 0, q.errno
	}
	return q.n, nil
}
