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

// guardedStream is a console through which nobody reaches the shell of the
// machine's BMC.
type guardedStream struct {
	io.ReadWriteCloser
	ctx    context.Context //nolint:containedctx // of the connection
	bmc    BMC
	filter *shellguard.Filter // nil until something is typed
}

// Write is called by one goroutine.
func (s *guardedStream) Write(p []byte) (int, error) {
	if s.filter == nil {
		s.filter = shellguard.New(s.maker())
	}
	passed, refused := s.filter.Pass(p)
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

// maker asks the BMC who made it, which decides about what it listens to. A
// BMC that does not say is one of nobody's.
func (s *guardedStream) maker() uint32 {
	ctx, cancel := context.WithTimeout(s.ctx, makerTime)
	defer cancel()
	info, err := s.bmc.DeviceInfo(ctx)
	if err != nil {
		return 0
	}
	return uint32(info.Manufacturer)
}

// SendBreak implements [console.Breaker].
func (s *guardedStream) SendBreak(ctx context.Context) error {
	if b, can := s.ReadWriteCloser.(console.Breaker); can {
		return b.SendBreak(ctx)
	}
	return console.ErrNoBreak
}
