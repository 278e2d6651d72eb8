package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

const (
	// How long a block waits for its ACK, and how many times it is sent: a
	// client that is silent for 11 seconds is gone. The first is under one
	// second because a transfer can be ended only between two sends.
	ackTimeout = 900 * time.Millisecond
	maxSends   = 12

	// Each transfer has a goroutine, a socket and an open file.
	maxTransfers = 1024

	// An ERROR packet has to fit into 512 bytes (RFC 1350 §5).
	maxErrorText = 200
)

// TFTPFile is what a client downloads. Size is in bytes, and -1 when it is not
// known; the tsize option (RFC 2349) then stays unanswered.
type TFTPFile interface {
	io.ReadCloser
	Size() int64
}

// OpenFunc opens the file of a request. The name has passed CleanPath. An
// error that is fs.ErrNotExist reaches the client as "file not found", any
// other with its sentence. The context ends with the server.
type OpenFunc func(ctx context.Context, name string, client netip.AddrPort) (TFTPFile, error)

// Transfer is one read request that has ended.
type Transfer struct {
	Name     string // as it was asked for
	Client   netip.AddrPort
	Bytes    int64 // of the file, as far as they were acknowledged or under way
	Duration time.Duration
	Err      error // nil when the client has the whole file
}

// TFTPServer answers TFTP read requests (RFC 1350) with the options blksize
// (RFC 2348) and tsize (RFC 2349). Write requests are refused.
type TFTPServer struct {
	open  OpenFunc
	done  func(Transfer)
	slots chan struct{}
}

// NewTFTPServer makes a server of the files that open opens. Every transfer
// that has ended is given to done, which is called by many goroutines. See
// [Transfer.Log] for a done that logs.
func NewTFTPServer(open OpenFunc, done func(Transfer)) *TFTPServer {
	return &TFTPServer{open: open, done: done, slots: make(chan struct{}, maxTransfers)}
}

// Serve answers requests on conn until ctx ends, and then returns nil within a
// second, with the transfers under way ended and conn closed. It serves one
// conn; several calls at the same time serve several.
func (s *TFTPServer) Serve(ctx context.Context, conn *net.UDPConn) error {
	address := conn.LocalAddr()
	defer conn.Close() //nolint:errcheck // nothing to lose; Shutdown has mostly closed it

	server := tftp.NewServer(func(name string, to io.ReaderFrom) error {
		return s.transfer(ctx, name, to)
	}, nil)
	server.SetTimeout(ackTimeout)
	server.SetRetries(maxSends - 1)
	server.SetBackoff(func(int) time.Duration {
		if ctx.Err() != nil {
			panic(errStopping) //nolint:forbidigo // transfer recovers it: the library has no other way out of a wait for an ACK
		}
		return 0
	})

	var failure error
	ended := make(chan struct{})
	go func() { // ends by Shutdown below, or by its own error
		defer close(ended)
		failure = server.Serve(conn)
	}()
	select {
	case <-ended:
		return fmt.Errorf("serve TFTP on %s: %w", address, failure)
	case <-ctx.Done():
		server.Shutdown()
		<-ended
		return nil
	}
}

var (
	errStopping = errors.New("the server is stopping")
	errBusy     = errors.New("the server is busy, try again")
)

// transfer serves one read request. The error that it returns is sent to the
// client, unless the data has begun to flow: then ReadFrom has sent it.
func (s *TFTPServer) transfer(ctx context.Context, name string, to io.ReaderFrom) (err error) {
	began := time.Now()
	done := Transfer{Name: name, Client: clientOf(to)}
	defer func() {
		// What to do with a panic of the library, or of open: this transfer
		// fails, the server goes on.
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
			if stopping, ok := p.(error); ok && errors.Is(stopping, errStopping) {
				err = errStopping
			}
		}
		done.Duration, done.Err = time.Since(began), err
		s.done(done)
		err = forClient(err)
	}()

	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return errBusy
	}
	path, err := CleanPath(name)
	if err != nil {
		return err
	}
	file, err := s.open(ctx, path, done.Client)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	if size := file.Size(); size >= 0 {
		to.(tftp.OutgoingTransfer).SetSize(size)
	}
	done.Bytes, err = to.ReadFrom(&contextReader{ctx: ctx, from: file})
	return err
}

func clientOf(to io.ReaderFrom) netip.AddrPort {
	remote := to.(tftp.OutgoingTransfer).RemoteAddr()
	client := remote.AddrPort()
	return netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
}

// forClient makes an error's text fit for an ERROR packet.
func forClient(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("file not found")
	}
	text := strings.ReplaceAll(err.Error(), "\x00", "")
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return errors.New(text)
}

// Log writes the transfer into a log, as a warning where it has failed. What a
// client may do on its way is no failure.
func (t Transfer) Log(logger *slog.Logger) {
	attrs := []any{
		slog.String("file", t.Name), slog.String("client", t.Client.String()),
		slog.Int64("bytes", t.Bytes), slog.Duration("duration", t.Duration),
	}
	switch {
	case t.Err == nil:
		logger.Info("TFTP transfer", attrs...)
	case errors.Is(t.Err, fs.ErrNotExist): // bootloaders look for many files
		logger.Info("TFTP file not found", attrs...)
	case strings.Contains(t.Err.Error(), "code=8"): // RFC 2347: how UEFI's client leaves that wants only the size
		logger.Info("TFTP options asked for", attrs...)
	default:
		logger.Warn("TFTP transfer failed", append(attrs, slog.Any("error", t.Err))...)
	}
}

// contextReader fails once its context has ended, which ends a transfer whose
// client is quick.
type contextReader struct {
	ctx  context.Context //nolint:containedctx // lives for one transfer
	from io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, errStopping
	}
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = forClient(err)
	}
	return n, err
}
