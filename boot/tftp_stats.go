package boot

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"
)

// Transfer is one request that has ended.
type Transfer struct {
	Name     string // as it was asked for
	Client   netip.AddrPort
	Bytes    int64 // of the file, as far as they were acknowledged
	Duration time.Duration
	Err      error // nil when the client has the whole file
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
	case onlyOptions(t.Err):
		logger.Info("TFTP options asked for", attrs...)
	default:
		logger.Warn("TFTP transfer failed", append(attrs, slog.Any("error", t.Err))...)
	}
}

// onlyOptions is how UEFI's client leaves that wants only the size: RFC 2347.
func onlyOptions(err error) bool {
	var client *clientError
	return errors.As(err, &client) && client.code == codeNegotiation
}

// TFTPStats count since the server was made, but for Active.
type TFTPStats struct {
	Active    int    // transfers under way
	Transfers uint64 // requests that were served, or refused with an error
	Bytes     uint64 // of files, acknowledged by clients

	Complete    uint64 // the client has the whole file
	NotFound    uint64
	OptionsOnly uint64 // the client only asked for the size
	Silent      uint64 // the client stopped answering
	ClientError uint64 // the client ended it with an error
	Failed      uint64 // anything else: refusals, files that cannot be read

	Retransmissions uint64 // blocks that were sent again
	Timeouts        uint64 // acknowledgements that did not come in time

	Repeated  uint64 // requests that came again before they were answered
	Busy      uint64 // requests that were dropped, because a bound was reached
	Strangers uint64 // packets of no transfer
	Malformed uint64 // packets that were dropped, because they say nothing
}

// Stats is a snapshot of the server's counters.
func (s *TFTPServer) Stats() TFTPStats {
	c := &s.counters
	return TFTPStats{
		Active: s.admitted.active(), Transfers: c.transfers.Load(), Bytes: c.bytes.Load(),
		Complete: c.complete.Load(), NotFound: c.notFound.Load(), OptionsOnly: c.optionsOnly.Load(),
		Silent: c.silent.Load(), ClientError: c.clientError.Load(), Failed: c.failed.Load(),
		Retransmissions: c.retransmissions.Load(), Timeouts: c.timeouts.Load(),
		Repeated: c.repeated.Load(), Busy: c.busy.Load(), Strangers: c.strangers.Load(), Malformed: c.malformed.Load(),
	}
}

type tftpCounters struct {
	transfers, bytes                                                atomic.Uint64
	complete, notFound, optionsOnly, silent, clientError, failed    atomic.Uint64
	retransmissions, timeouts, repeated, busy, strangers, malformed atomic.Uint64
}

// ended counts how a transfer has ended.
func (c *tftpCounters) ended(err error) {
	switch {
	case err == nil:
		c.complete.Add(1)
	case errors.Is(err, fs.ErrNotExist):
		c.notFound.Add(1)
	case onlyOptions(err):
		c.optionsOnly.Add(1)
	case errors.Is(err, errSilent), errors.Is(err, errGone):
		c.silent.Add(1)
	case errors.As(err, new(*clientError)):
		c.clientError.Add(1)
	default:
		c.failed.Add(1)
	}
}
