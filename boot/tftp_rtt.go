package boot

import "time"

// How long to wait for an acknowledgement. The least is what a busy computer
// takes. The most is longer than clients' own timeouts: some have to be left alone
// for so long before they repeat an acknowledgement that was lost (atftp's is 5 s,
// and answers a repeated block only once).
const (
	firstTimeout = time.Second
	leastTimeout = 50 * time.Millisecond
	mostTimeout  = 6 * time.Second
)

// roundTrip estimates how long acknowledgements take, as RFC 6298 does for TCP.
type roundTrip struct {
	mean, deviation time.Duration
	misses          int // in a row
}

// measured takes the time of an acknowledgement into account.
func (r *roundTrip) measured(took time.Duration) {
	r.misses = 0
	if r.mean == 0 {
		r.mean, r.deviation = max(took, 1), took/2
		return
	}
	r.deviation += ((took - r.mean).Abs() - r.deviation) / 4
	r.mean += (took - r.mean) / 8
}

// missed notes that an acknowledgement has not come in time. The next gets
// twice the time, until one is measured.
func (r *roundTrip) missed() { r.misses++ }

// typical is how long an acknowledgement takes; 0 before the first.
func (r *roundTrip) typical() time.Duration { return r.mean }

// timeout is how long the next acknowledgement may take.
func (r *roundTrip) timeout() time.Duration {
	wait := firstTimeout
	if r.mean > 0 {
		wait = max(r.mean+4*r.deviation, leastTimeout)
	}
	return min(wait<<min(r.misses, 10), mostTimeout)
}
