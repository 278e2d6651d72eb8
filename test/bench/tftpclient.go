package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// tftpClient is a machine that loads files. It is the same for all servers, and
// waits in the kernel, as ROMs' loops do, to be as little of what is measured
// as it can be.
type tftpClient struct {
	from, server netip.AddrPort
	window       int           // blocks; 1: lockstep
	delay        time.Duration // from a window to its acknowledgement: a round trip
	lost         float64       // share of the packets, in both directions
	seed         uint64
}

const (
	tftpBlock    = 1428
	tftpPatience = time.Second // until the client repeats itself
	tftpRetries  = 30
)

var errTFTPDiffers = errors.New("what arrived is not the file")

// get loads a file, or its first part of most bytes, and compares it. Without
// want, anything is fine.
func (c tftpClient) get(ctx context.Context, name string, want []byte, most int) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("load %s from %s: %w", name, c.server, err)
		}
	}()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd) //nolint:errcheck // nothing to lose
	wait := syscall.NsecToTimeval(int64(tftpPatience))
	if err := errors.Join(
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait),
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1<<20),
		syscall.Bind(fd, sockaddr(c.from)),
	); err != nil {
		return err
	}
	request := fmt.Sprintf("\x00\x01%s\x00octet\x00blksize\x00%d\x00", name, tftpBlock)
	if c.window > 1 {
		request += fmt.Sprintf("windowsize\x00%d\x00", c.window)
	}
	l := &tftpLoad{client: c, fd: fd, random: rand.New(rand.NewPCG(c.seed, 1)), buf: make([]byte, 2048), want: want, most: most}
	for range tftpRetries {
		if err := syscall.Sendto(fd, []byte(request), 0, sockaddr(c.server)); err != nil {
			return err
		}
		n, peer, err := syscall.Recvfrom(fd, l.buf, 0)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case again(err):
			continue
		case err != nil:
			return err
		}
		if err := syscall.Connect(fd, peer); err != nil {
			return err
		}
		return l.run(ctx, l.buf[:n])
	}
	return os.ErrDeadlineExceeded
}

func again(err error) bool { return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) }

func sockaddr(a netip.AddrPort) syscall.Sockaddr {
	return &syscall.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// tftpLoad is a transfer.
type tftpLoad struct {
	client tftpClient
	fd     int
	random *rand.Rand
	buf    []byte

	want   []byte
	most   int
	got    int    // bytes
	block  uint16 // the last that has come in its order
	inside int    // blocks since the last ACK
	gap    bool   // has been told of
}

func (l *tftpLoad) run(ctx context.Context, packet []byte) error {
	if len(packet) < 2 || packet[1] != 6 {
		return fmt.Errorf("answered with %q, not with options", packet[:min(len(packet), 60)])
	}
	if l.client.window > 1 && !bytes.Contains(packet, []byte("windowsize")) {
		return errors.New("the server has no windows")
	}
	if err := l.ack(); err != nil {
		return err
	}
	for silent := 0; silent < tftpRetries; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := syscall.Read(l.fd, l.buf)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case again(err):
			silent++
			if err := l.ack(); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case l.client.lost > 0 && l.random.Float64() < l.client.lost:
			continue
		}
		silent = 0
		if ended, err := l.take(l.buf[:n]); ended || err != nil {
			return err
		}
	}
	return os.ErrDeadlineExceeded
}

// take takes a packet of the server's.
func (l *tftpLoad) take(packet []byte) (ended bool, err error) {
	switch {
	case len(packet) < 4 || packet[1] == 6: // options again: our ACK of them was lost
		return false, l.ack()
	case packet[1] != 3:
		return false, fmt.Errorf("the server says %q", packet)
	}
	number, data := binary.BigEndian.Uint16(packet[2:]), packet[4:]
	if number != l.block+1 {
		if l.gap || l.client.window == 1 && number != l.block {
			return false, nil
		}
		l.gap, l.inside = l.client.window > 1, 0
		return false, l.ack()
	}
	l.gap = false
	if l.want != nil && (l.got+len(data) > len(l.want) || !bytes.Equal(data, l.want[l.got:l.got+len(data)])) {
		return false, errTFTPDiffers
	}
	l.block++
	l.inside++
	l.got += len(data)
	switch {
	case len(data) < tftpBlock:
		if l.want != nil && l.got != len(l.want) {
			return false, errTFTPDiffers
		}
		l.client.lost, l.client.delay = 0, 0 // nobody would repeat the last
		return true, l.ack()
	case l.most > 0 && l.got >= l.most:
		_, err := syscall.Write(l.fd, []byte("\x00\x05\x00\x00enough\x00"))
		return true, err
	case l.inside < l.client.window:
		return false, nil
	}
	return false, l.ack()
}

// ack acknowledges what has come.
func (l *tftpLoad) ack() error {
	l.inside = 0
	if l.client.delay > 0 {
		pause := syscall.NsecToTimespec(int64(l.client.delay))
		if err := syscall.Nanosleep(&pause, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
	if l.client.lost > 0 && l.random.Float64() < l.client.lost {
		return nil
	}
	_, err := syscall.Write(l.fd, []byte{0, 4, byte(l.block >> 8), byte(l.block)})
	return err
}
