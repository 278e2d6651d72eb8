package ipmi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/types"
)

// noCommonSuite is the error of a BMC that refused each of our cipher suites,
// as it said last. It says which ones the BMC has, where the BMC tells.
func (s *session) noCommonSuite(ctx context.Context, ours []CipherSuite, err error) error {
	theirs := "the BMC does not say which it has"
	if suites := s.offeredSuites(ctx); len(suites) > 0 {
		theirs = "the BMC has " + listSuites(suites)
	}
	return fmt.Errorf("%w: none of our cipher suites (%s) was accepted; %s; an admin can allow others for this BMC: %w",
		ErrRefused, listSuites(ours), theirs, err)
}

// offeredSuites asks the BMC for its cipher suites (IPMI v2.0 §22.15), which
// it tells everyone, as it does each forger: good enough for an error. A BMC
// that has not told all after two seconds is not listened to for longer.
func (s *session) offeredSuites(ctx context.Context) []CipherSuite {
	const (
		thisChannel = 0x0e
		recordBytes = 16 // of an answer that is not the last
		answersMost = 16
	)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var records []byte
	for i := range uint8(answersMost) {
		req := &app.GetChannelCipherSuitesRequest{ChannelNumber: thisChannel, ListIndex: i}
		r, err := s.askUnprotected(ctx, req, i)
		var res app.GetChannelCipherSuitesResponse
		if err != nil || r.code != uint8(types.CodeOK) || res.Unpack(r.data) != nil {
			break
		}
		records = append(records, res.CipherSuiteRecords...)
		if len(res.CipherSuiteRecords) < recordBytes {
			break
		}
	}
	return parseSuiteRecords(records)
}

// askUnprotected sends a command outside of any session, as some may be, and
// again after a second. Only while the handshake is not through.
func (s *session) askUnprotected(ctx context.Context, req request, seq uint8) (reply, error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		s.sendHello(types.PayloadTypeIPMI, packRequest(req, seq))
		for waiting := true; waiting; {
			select {
			case m := <-s.hello:
				key, r, err := parseResponse(m.body)
				if m.payload == types.PayloadTypeIPMI && err == nil && key == keyOf(req.Command(), seq) {
					return r, nil
				}
			case <-again.C:
				waiting = false
			case <-s.done:
				return reply{}, s.ended()
			case <-ctx.Done():
				return reply{}, errors.Join(errSilent, ctx.Err())
			}
		}
	}
}
