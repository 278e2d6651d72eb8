package ipmi

import "sync/atomic"

// Stats counts the datagrams of a Client since it was made.
type Stats struct {
	Sent          uint64 // retransmissions included
	Retransmitted uint64
	Received      uint64 // the dropped ones included

	// Dropped, by reason.
	Malformed  uint64 // not RMCP+, cut short, a wrong checksum
	Forged     uint64 // integrity check failed, or unprotected
	Replayed   uint64 // doubled by the network or by somebody
	Unexpected uint64 // sound, but nobody waits for it: late answers mostly
}

type counters struct {
	sent, retransmitted, received           atomic.Uint64
	malformed, forged, replayed, unexpected atomic.Uint64
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
	}
}
