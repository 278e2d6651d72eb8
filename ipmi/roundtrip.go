package ipmi

import (
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	// retryFirst is how long the answer of a BMC is waited for that was never
	// measured, before it is asked again (RFC 6298 §2.1).
	retryFirst = time.Second
	// retryOrder is the least wait before anything is sent again that does
	// something. Some BMCs take a second for a chassis command, and few notice
	// that a copy is one: the machine would be cycled twice.
	retryOrder = time.Second
	// retryQuestion is the least wait for a command that changes nothing.
	retryQuestion = 250 * time.Millisecond
	// retryMost bounds the first wait from above, so that a lost packet is sent
	// again before the default timeout of five seconds is over.
	retryMost = 4 * time.Second

	// clockGranularity is G of RFC 6298 §2.
	clockGranularity = time.Millisecond
)

// roundTrip estimates how long a BMC takes to answer, and so when a packet is
// to be taken for lost (RFC 6298). Its zero value has measured nothing. It is
// safe for concurrent use.
type roundTrip struct {
	mu                  sync.Mutex
	smoothed, variation time.Duration // SRTT and RTTVAR; zero: never measured
	doubtful            time.Duration // see doubt; zero: none since the last measurement
}

// measure takes the time from a packet that was sent once to its answer.
func (r *roundTrip) measure(took time.Duration) {
	took = max(took, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubtful = 0
	if r.smoothed == 0 {
		r.smoothed, r.variation = took, took/2
		return
	}
	r.variation += ((r.smoothed - took).Abs() - r.variation) / 4
	r.smoothed += (took - r.smoothed) / 8
}

// doubt takes the time from a packet to its answer when the packet was sent
// again meanwhile. Nobody knows which of its copies was answered, so that it
// measures nothing (Karn's algorithm). But if it was the first, the BMC takes
// that long: the next packet waits for longer, and gets a measurement. Without
// that, a BMC slower than the first wait would be asked everything twice for ever.
func (r *roundTrip) doubt(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubtful = took
}

// timeout returns after how long without an answer a packet is taken for lost,
// which is first as long as nothing was measured.
func (r *roundTrip) timeout(first time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.smoothed != 0 {
		first = r.smoothed + max(clockGranularity, 4*r.variation)
	}
	return max(first, r.doubtful+r.doubtful/4)
}

// estimate returns the smoothed round trip, zero before the first measurement.
func (r *roundTrip) estimate() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.smoothed
}

// exchange is one packet and the wait for its answer, for a roundTrip.
type exchange struct {
	trip  *roundTrip
	began time.Time
	wait  time.Duration // before it is sent again
	sent  int           // how often it was
}

// exchange begins the exchange of a command or a setup message, which waits
// for no less than least before the packet is sent again.
func (r *roundTrip) exchange(least time.Duration) exchange {
	return exchange{trip: r, began: time.Now(), wait: max(least, min(r.timeout(retryFirst), retryMost))}
}

// again returns how long to wait for the answer of the packet that is about to
// be sent: each time twice as long (RFC 6298 §5.5).
func (e *exchange) again() time.Duration {
	if e.sent > 0 {
		e.wait *= 2
	}
	e.sent++
	return e.wait
}

// answered tells the roundTrip. Only the first call counts.
func (e *exchange) answered() {
	switch {
	case e.trip == nil:
	case e.sent == 1:
		e.trip.measure(time.Since(e.began))
	default:
		e.trip.doubt(time.Since(e.began))
	}
	e.trip = nil
}

// leastRetry returns how soon a command may be sent again at the earliest. A
// command that is not known to change nothing is taken to be an order.
func leastRetry(cmd types.Command) time.Duration {
	switch cmd {
	case types.CommandGetDeviceID, types.CommandGetChassisStatus, types.CommandGetSystemBootOptions,
		types.CommandGetPayloadActivationStatus, types.CommandGetPayloadInstanceInfo, types.CommandGetSOLConfigParam,
		types.CommandGetSessionInfo, types.CommandGetUsername,
		types.CommandGetSDRRepoInfo, types.CommandGetSDR, types.CommandGetDeviceSDRInfo, types.CommandGetDeviceSDR,
		types.CommandGetSensorReading, types.CommandGetSensorReadingFactors,
		types.CommandGetSELInfo, types.CommandGetSELEntry,
		types.CommandGetFRUInventoryAreaInfo, types.CommandReadFRUData:
		return retryQuestion
	}
	return retryOrder
}
