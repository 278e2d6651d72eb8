package ipmi

import (
	"sync/atomic"
	"time"
)

// Stats counts the datagrams of a Client since it was made, and says how
// quickly its BMC answers.
type Stats struct {
	Sent          uint64 // retransmissions included
	Retransmitted uint64
	Received      uint64 // the dropped ones included

	// Dropped, by reason.
	Malformed  uint64 // not RMCP+, cut short, a wrong checksum
	Forged     uint64 // integrity check failed, or unprotected
	Replayed   uint64 // doubled by the network or by somebody
	Unexpected uint64 // sound, but nobody waits for it: late answers mostly

	// Overruns counts the gaps in what consoles printed: the machine was
	// faster than its BMC (IPMI v2.0 Table 15-2, transmit overrun).
	Overruns uint64

	// Smoothed round trips (RFC 6298); zero: not measured yet.
	RoundTrip      time.Duration // of commands
	InputRoundTrip time.Duration // of console input
}

type counters struct {
	sent, retransmitted, received           atomic.Uint64
	malformed, forged, replayed, unexpected atomic.Uint64
	overruns                                atomic.Uint64
}

// Stats returns a snapshot.
func (c *Client) Stats() Stats {
	n := &c.stats
	return Stats{
		Sent:          n.sent.Load(),
		Retransmitted: n.retransmitted.Load(),
		Received:      n.received.Load(),
		Malformed:     n.malformed.Load(),
		Forged:        n.forged.Load(),
		Replayed:      n.replayed.Load(),
		Unexpected:    n.unexpected.Load(),
		Overruns:      n.overruns.Load(),

		RoundTrip:      c.peer.commands.estimate(),
		InputRoundTrip: c.peer.input.estimate(),
	}
}
