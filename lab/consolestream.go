package lab

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"provisioner/ipmi"
	"provisioner/lab/console"
	"provisioner/lab/console/shellguard"
)

// makerTime is how long the first key waits for a BMC to say who made it.
const makerTime = 2 * time.Second

// shellGuard is what keeps all that is typed to one machine from the shell of
// its BMC. It outlives a connection: the BMC may remember the beginning of a
// sequence, too.
type shellGuard struct {
	bmc    BMC
	filter *shellguard.Filter // nil until something is typed
	known  bool               // the filter is that for the BMC's maker
}

// guardedStream is a console through which nobody reaches the shell of the
// machine's BMC. There is one at a time.
type guardedStream struct {
	io.ReadWriteCloser
	ctx   context.Context //nolint:containedctx // of the connection
	guard *shellGuard
	asked bool // who made the BMC
}

// Write is called by one goroutine.
func (s *guardedStream) Write(p []byte) (int, error) {
	if !s.asked {
		s.asked = true
		s.guard.prepare(s.ctx)
	}
	passed, refused := s.guard.filter.Pass(p)
	if len(passed) > 0 {
		n, err := s.ReadWriteCloser.Write(passed)
		if errors.Is(err, ipmi.ErrRefused) { // the machine is off, for example: the console goes on
			err = &console.RefusedError{Reason: err.Error()}
		}
		if err != nil {
			return n, err
		}
	}
	if len(refused) == 0 {
		return len(p), nil
	}
	reasons := make([]string, len(refused))
	for i, r := range refused {
		reasons[i] = r.Keys + " " + r.Does
	}
	return len(passed), &console.RefusedError{Reason: "the last key of " + strings.Join(reasons, "; ")}
}

// prepare asks the BMC who made it, which decides about what it listens to. One
// that does not say is asked again on the next connection.
func (g *shellGuard) prepare(ctx context.Context) {
	if g.known {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, makerTime)
	defer cancel()
	info, err := g.bmc.DeviceInfo(ctx)
	if g.known = err == nil; g.known || g.filter == nil {
		g.filter = shellguard.New(uint32(info.Manufacturer)) // 0: nobody's
	}
}

// SendBreak implements [console.Breaker].
func (s *guardedStream) SendBreak(ctx context.Context) error {
	if b, can := s.ReadWriteCloser.(console.Breaker); can {
		return b.SendBreak(ctx)
	}
	return console.ErrNoBreak
}
