package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Each transfer has a goroutine, a socket, an open file and a window.
	maxTransfers          = 1024
	maxTransfersPerClient = 32

	// requestRoom is more than a request may have: 512 bytes (RFC 2347). A
	// datagram that fills it was cut off.
	requestRoom = 2048
	// receiveRoom is what the kernel keeps of requests until they are read: a
	// few thousand machines that are turned on in the same second.
	receiveRoom = 1 << 20

	// Who sends packets of no transfer is told so this many times a second.
	strangersPerSecond = 100

	// cacheRoom bounds the files that are kept in memory, in bytes.
	cacheRoom = 64 << 20
)

// TFTPFile is what a client downloads. Size is in bytes, and -1 when it is not
// known; the tsize option (RFC 2349) then stays unanswered.
type TFTPFile interface {
	io.ReadCloser
	Size() int64
}

// OpenFunc opens the file of a request. The name has passed CleanPath. An
// error that is fs.ErrNotExist reaches the client as "file not found", any
// other with its sentence, as an access violation where it is fs.ErrPermission.
// The context ends with the server, or with the transfer that the file is for.
type OpenFunc func(ctx context.Context, name string, client netip.AddrPort) (TFTPFile, error)

// TFTPServer answers TFTP read requests (RFC 1350) with the options blksize
// (RFC 2348), timeout and tsize (RFC 2349) and windowsize (RFC 7440). Write
// requests are refused.
//
// It has at most 1024 transfers at a time, and 32 of one client's address. A
// request beyond that is not answered: clients ask again, while an error would
// end their boot.
type TFTPServer struct {
	open     OpenFunc
	done     func(Transfer)
	admitted admissions
	threads  threads
	files    *fileCache
	answers  *rate.Limiter // to packets of no transfer
	counters tftpCounters
}

// NewTFTPServer makes a server of the files that open opens. Every transfer
// that has ended is given to done, which is called by many goroutines. See
// [Transfer.Log] for a done that logs.
func NewTFTPServer(open OpenFunc, done func(Transfer)) *TFTPServer {
	return &TFTPServer{open: open, done: done, files: newFileCache(cacheRoom), answers: rate.NewLimiter(strangersPerSecond, strangersPerSecond)}
}

// Serve answers requests on conn until ctx ends, and then returns nil at once,
// with the transfers under way ended, their clients told, and conn closed. It
// serves one conn; several calls at the same time serve several, which share
// the bounds.
func (s *TFTPServer) Serve(ctx context.Context, conn *net.UDPConn) error {
	var transfers sync.WaitGroup
	defer transfers.Wait() // they end with serving
	serving, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopping)
	unhook := context.AfterFunc(ctx, func() {
		stop(errStopping)
		_ = conn.Close()
	})
	defer unhook()
	defer conn.Close() //nolint:errcheck // nothing to lose

	listener, err := newRequestListener(conn)
	if err != nil {
		return fmt.Errorf("serve TFTP on %s: %w", conn.LocalAddr(), err)
	}
	packet := make([]byte, requestRoom)
	for {
		n, from, err := listener.receive(packet)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve TFTP on %s: %w", conn.LocalAddr(), err)
		case err != nil:
			// An ICMP error of an answer, or no memory: the next request may be fine.
			s.counters.malformed.Add(1)
			continue
		}
		if request := s.admit(serving, packet[:n], from); request != nil {
			transfers.Go(func() { s.serve(request) }) // ends with its client, or serving
		}
	}
}

// admit decides what a datagram on the port for requests is worth. Nil: it has
// been dealt with.
func (s *TFTPServer) admit(ctx context.Context, packet []byte, from origin) *admission {
	if !from.answerable() || len(packet) < 2 || len(packet) == requestRoom {
		s.counters.malformed.Add(1)
		return nil
	}
	switch opcode(packet) {
	case opRead, opWrite:
	case opData, opAck, opOptionAck:
		// A client that missed, or lost, the port of its transfer.
		s.counters.strangers.Add(1)
		if s.answers.Allow() {
			s.tellStranger(ctx, from)
		}
		return nil
	default: // an error is never answered with one
		s.counters.malformed.Add(1)
		return nil
	}
	a, verdict := s.admitted.admit(ctx, from, packet)
	switch verdict {
	case admitted:
		s.counters.transfers.Add(1)
	case repeated:
		s.counters.repeated.Add(1)
	case refused:
		s.counters.busy.Add(1)
	}
	return a
}

func (s *TFTPServer) tellStranger(ctx context.Context, from origin) {
	socket, err := dialClient(ctx, from, &s.threads)
	if err != nil {
		return
	}
	defer socket.Close() //nolint:errcheck // nothing to lose
	_ = socket.send(errorPacket(codeUnknownID, "unknown transfer ID"), 0)
}

var (
	errStopping = errors.New("the server is stopping")
	errReplaced = errors.New("the client asked for something else")
)

// serve answers a request, and reports it.
func (s *TFTPServer) serve(a *admission) {
	began := time.Now()
	done := Transfer{Client: a.from.client}
	defer func() {
		// What to do with a panic of open: this transfer fails, the server goes on.
		if p := recover(); p != nil {
			done.Err = fmt.Errorf("internal error: %v", p)
		}
		done.Duration = time.Since(began)
		s.counters.ended(done.Err)
		s.done(done)
	}()
	defer s.admitted.release(a) // before it is told: who hears of it may count on the place
	socket, err := dialClient(a.ctx, a.from, &s.threads)
	if err != nil {
		done.Name, done.Err = requestName(a.packet), err
		return
	}
	defer socket.Close() //nolint:errcheck // nothing to lose
	done.Err = s.transfer(a, socket, &done)
}

// transfer serves a request over a socket of its own, and tells the client when
// that fails.
func (s *TFTPServer) transfer(a *admission, conn datagrams, done *Transfer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
		if text, ok := forClient(err); ok {
			_ = conn.send(text, 0) // the client may be gone
		}
	}()
	request, err := parseRequest([]byte(a.packet))
	done.Name = request.name
	if err != nil {
		return err
	}
	path, err := CleanPath(request.name)
	if err != nil {
		return err
	}
	file, err := s.open(a.ctx, path, a.from.client)
	if err != nil {
		if a.ctx.Err() != nil {
			err = context.Cause(a.ctx)
		}
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	size := file.Size()
	if request.netASCII {
		size = -1 // it is not the file's
	}
	terms, err := negotiate(request.options, size, conn.room())
	if err != nil {
		return err
	}
	t := &transfer{
		conn: conn, terms: terms, counters: &s.counters, answered: func() { s.admitted.answered(a) },
		content: func() (io.Reader, func()) {
			content, release := s.files.content(file)
			if request.netASCII {
				content = &netASCIIReader{from: content}
			}
			return content, release
		},
	}
	err = t.run(a.ctx)
	done.Bytes = t.sent
	return err
}
