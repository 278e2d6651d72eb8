package ipmi

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"
)

// SOLSettings are how a BMC is set up for consoles (IPMI v2.0 §26.3, Table
// 26-5). What it did not tell is zero, and listed in Unknown.
type SOLSettings struct {
	Enabled             bool
	ForceEncryption     bool      // no console without encryption
	ForceAuthentication bool      // nor without integrity
	Privilege           Privilege // that opening a console takes

	AccumulateInterval time.Duration // how long output is collected for a packet
	SendThreshold      int           // characters that are sent without waiting for more
	RetryCount         int           // how often a packet is sent again before it is lost
	RetryInterval      time.Duration

	// Bits per second of the serial port; 0 is the rate that the BMC uses for
	// IPMI on that port. The volatile one is now, the other after a restart.
	BitRate, NonVolatileBitRate int

	Channel int // of the BMC
	Port    int // UDP

	// Unknown are the settings that the BMC does not tell, as people call
	// them: "payload port".
	Unknown []string
}

// solParameters are read in this order. Some BMCs send more bytes than the
// specification has; they are let pass.
var solParameters = []struct {
	selector types.SOLConfigParamSelector
	name     string
	bytes    int
	set      func(s *SOLSettings, data []byte)
}{
	{types.SOLConfigParamSelector_SOLEnable, "enabled", 1, func(s *SOLSettings, p []byte) {
		s.Enabled = p[0]&1 != 0
	}},
	{types.SOLConfigParamSelector_SOLAuthentication, "protection and privilege", 1, func(s *SOLSettings, p []byte) {
		s.ForceEncryption, s.ForceAuthentication = p[0]&0x80 != 0, p[0]&0x40 != 0
		s.Privilege = Privilege(p[0] & 0x0f)
	}},
	{types.SOLConfigParamSelector_Character, "accumulate interval and threshold", 2, func(s *SOLSettings, p []byte) {
		s.AccumulateInterval, s.SendThreshold = time.Duration(p[0])*5*time.Millisecond, int(p[1])
	}},
	{types.SOLConfigParamSelector_SOLRetry, "retry", 2, func(s *SOLSettings, p []byte) {
		s.RetryCount, s.RetryInterval = int(p[0]&7), time.Duration(p[1])*10*time.Millisecond
	}},
	{types.SOLConfigParamSelector_NonVolatileBitRate, "non-volatile bit rate", 1, func(s *SOLSettings, p []byte) {
		s.NonVolatileBitRate = bitRate(p[0])
	}},
	{types.SOLConfigParamSelector_VolatileBitRate, "volatile bit rate", 1, func(s *SOLSettings, p []byte) {
		s.BitRate = bitRate(p[0])
	}},
	{types.SOLConfigParamSelector_PayloadChannel, "payload channel", 1, func(s *SOLSettings, p []byte) {
		s.Channel = int(p[0] & 0x0f)
	}},
	{types.SOLConfigParamSelector_PayloadPort, "payload port", 2, func(s *SOLSettings, p []byte) {
		s.Port = int(binary.LittleEndian.Uint16(p))
	}},
}

// bitRate reads the codes of Table 26-5, parameters 5 and 6.
func bitRate(code uint8) int {
	switch code & 0x0f {
	case 0x6:
		return 9_600
	case 0x7:
		return 19_200
	case 0x8:
		return 38_400
	case 0x9:
		return 57_600
	case 0xa:
		return 115_200
	}
	return 0
}

// SOLSettings asks the BMC how it is set up for consoles, of the channel that
// we reach it by. It sends eight commands, one after the other, and blocks
// until the last is answered, the end of ctx, or the Client's timeout for one
// of them. That a BMC lacks a setting is an error only if it lacks them all.
func (c *Client) SOLSettings(ctx context.Context) (SOLSettings, error) {
	const op, thisChannel = "console settings", 0x0e
	var s SOLSettings
	var refusal error
	for _, param := range solParameters {
		req := &transport.GetSOLConfigParamRequest{ChannelNumber: thisChannel, ParamSelector: param.selector}
		r, err := c.do(ctx, req, true)
		if err != nil {
			return SOLSettings{}, c.fail(op, err)
		}
		// The parameter's revision comes first.
		if r.code != uint8(types.CodeOK) || len(r.data) < 1+param.bytes {
			s.Unknown = append(s.Unknown, param.name)
			if refusal == nil && r.code != uint8(types.CodeOK) {
				refusal = refused(req.Command(), r.code)
			}
			continue
		}
		param.set(&s, r.data[1:])
	}
	if len(s.Unknown) < len(solParameters) {
		return s, nil
	}
	if refusal == nil {
		refusal = fmt.Errorf("%w: each parameter cut short", ErrProtocol)
	}
	return SOLSettings{}, c.fail(op, refusal)
}
