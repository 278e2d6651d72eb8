package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Opcodes and error codes of RFC 1350 §5, RFC 2347.
const (
	tftpData  = 3
	tftpAck   = 4
	tftpError = 5
	tftpOACK  = 6

	tftpNotFound  = 1
	tftpDiskFull  = 3
	tftpUnknownID = 5
	tftpBadOption = 8
)

const (
	tftpTries   = 5
	tftpPort    = 69
	tftpTimeout = time.Second
)

// errTFTPOpen is a server that never answered, errTFTPRead one that fell silent.
var (
	errTFTPOpen = errors.New("the TFTP server does not answer")
	errTFTPRead = errors.New("the TFTP server stopped answering")
)

// errTFTPStranger answers a packet of a transfer that is not ours, such as the
// one that a repeated request began (RFC 1350 §4).
var errTFTPStranger = errors.New("unknown transfer ID")

// tftpRefusal is an ERROR packet of the server's.
type tftpRefusal struct {
	code    uint16
	message string
}

func (e *tftpRefusal) Error() string { return fmt.Sprintf("TFTP error %d: %s", e.code, e.message) }

// tftpClient reads files as a ROM or a bootloader does: octet mode, one block
// at a time, with the options blksize (RFC 2348) and tsize (RFC 2349). Unlike
// pin/tftp's client it ends with its context, because a machine's power may be
// cut at any moment.
type tftpClient struct {
	server    netip.Addr
	port      int           // 0: 69
	blockSize int           // asked for, 512 to 65464; the server may give less
	timeout   time.Duration // 0: 1 s
}

// get reads the file into w and returns its length. It tells opened the size
// that the server announced, -1 when it did not, before the first byte; opened
// may be nil. Errors: errTFTPOpen, errTFTPRead, *tftpRefusal, w's, or ctx's.
func (c tftpClient) get(ctx context.Context, file string, w io.Writer, opened func(size int64)) (int64, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return 0, fmt.Errorf("socket for TFTP: %w", err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	if c.port == 0 {
		c.port = tftpPort
	}
	if c.timeout == 0 {
		c.timeout = tftpTimeout
	}
	t := &tftpTransfer{
		conn:      conn.(*net.UDPConn),
		peer:      netip.AddrPortFrom(c.server, uint16(c.port)),
		packet:    make([]byte, c.blockSize+4),
		blockSize: 512,
		timeout:   c.timeout,
		w:         w,
		opened:    opened,
		send: fmt.Appendf(nil, "\x00\x01%s\x00octet\x00blksize\x00%d\x00tsize\x000\x00",
			strings.ReplaceAll(file, "\x00", ""), c.blockSize),
	}
	n, err := t.run()
	if ctx.Err() != nil {
		return n, ctx.Err()
	}
	return n, err
}

// tftpTransfer is one read of one file.
type tftpTransfer struct {
	conn      *net.UDPConn
	peer      netip.AddrPort // the server; its transfer's own port once it has answered
	answered  bool
	send      []byte // what the server is to answer: the request, or the last ACK
	packet    []byte
	blockSize int
	block     uint16 // the last one taken; it rolls over to 0
	length    int64
	timeout   time.Duration
	w         io.Writer
	opened    func(size int64)
}

func (t *tftpTransfer) run() (int64, error) {
	for tries := 0; ; {
		if tries == tftpTries {
			if t.answered {
				return t.length, errTFTPRead
			}
			return t.length, errTFTPOpen
		}
		if _, err := t.conn.WriteToUDPAddrPort(t.send, t.peer); err != nil && errors.Is(err, net.ErrClosed) {
			return t.length, err
		}
		progress, last, err := t.answer()
		switch {
		case err != nil:
			return t.length, err
		case last:
			_, _ = t.conn.WriteToUDPAddrPort(t.send, t.peer)
			return t.length, nil
		case progress:
			tries = 0
		default:
			tries++
		}
	}
}

// answer waits for the packet that continues the transfer. Without one in time
// it reports no progress; what does not belong to the transfer is passed over.
func (t *tftpTransfer) answer() (progress, last bool, err error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.timeout)); err != nil {
		return false, false, err
	}
	for {
		n, from, err := t.conn.ReadFromUDPAddrPort(t.packet)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if n < 4 || from.Addr() != t.peer.Addr() {
			continue
		}
		if t.answered && from != t.peer {
			if binary.BigEndian.Uint16(t.packet) != tftpError {
				t.refuse(from, tftpUnknownID, errTFTPStranger)
			}
			continue
		}
		progress, last, err = t.take(t.packet[:n], from)
		if progress || last || err != nil {
			return progress, last, err
		}
	}
}

// take is one packet from the server.
func (t *tftpTransfer) take(p []byte, from netip.AddrPort) (progress, last bool, err error) {
	opcode, number := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
	switch {
	case opcode == tftpError:
		message, _, _ := strings.Cut(string(p[4:]), "\x00")
		return false, false, &tftpRefusal{number, message}
	case opcode == tftpOACK && !t.answered:
		size, err := t.options(p[2:])
		if err != nil {
			t.refuse(from, tftpBadOption, err)
			return false, false, err
		}
		t.open(from, size)
		t.send = []byte{0, tftpAck, 0, 0}
		return true, false, nil
	case opcode == tftpData && number == t.block+1:
		if !t.answered {
			t.open(from, -1)
		}
		data := p[4:]
		if len(data) > t.blockSize {
			return false, false, fmt.Errorf("block of %d bytes where %d were agreed", len(data), t.blockSize)
		}
		written, err := t.w.Write(data)
		t.length += int64(written)
		if err != nil {
			t.refuse(from, tftpDiskFull, err)
			return false, false, err
		}
		t.block = number
		t.send = binary.BigEndian.AppendUint16([]byte{0, tftpAck}, number)
		return true, len(data) < t.blockSize, nil
	}
	return false, false, nil
}

// refuse tells the server that the transfer is over, so that it does not go on.
func (t *tftpTransfer) refuse(server netip.AddrPort, code byte, err error) {
	packet := append([]byte{0, tftpError, 0, code}, err.Error()+"\x00"...)
	_, _ = t.conn.WriteToUDPAddrPort(packet, server)
}

func (t *tftpTransfer) open(from netip.AddrPort, size int64) {
	t.answered, t.peer = true, from
	if t.opened != nil {
		t.opened(size)
	}
}

// options takes the options that the server acknowledges, and returns the
// file's size, -1 when it is not among them.
func (t *tftpTransfer) options(text []byte) (size int64, err error) {
	size = -1
	fields := strings.Split(string(text), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseInt(fields[i+1], 10, 64)
		switch strings.ToLower(fields[i]) {
		case "blksize":
			if err != nil || value < 8 || value > int64(len(t.packet)-4) {
				return 0, fmt.Errorf("the server's blksize %q was not asked for", fields[i+1])
			}
			t.blockSize = int(value)
		case "tsize":
			if err != nil || value < 0 {
				return 0, fmt.Errorf("the server's tsize %q is not a size", fields[i+1])
			}
			size = value
		}
	}
	return size, nil
}
