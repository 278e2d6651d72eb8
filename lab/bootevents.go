package lab

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// bootEventsAtOnce is how many of a machine's requests are told of, however
	// fast they come: those of some boots, one after the other.
	bootEventsAtOnce = 10
	// bootEventEvery is how often one is told of after that.
	bootEventEvery = time.Minute
)

// bootEvents bounds what is kept of requests that anybody may make who knows a
// machine's MAC address, as often as the network carries them. The zero value
// has told of nothing; it grows with the machines that boot.
type bootEvents struct {
	mu        sync.Mutex
	byMachine map[int64]*rate.Limiter
}

// due reports whether a machine's request is worth an event.
func (e *bootEvents) due(machineID int64, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	limiter := e.byMachine[machineID]
	if limiter == nil {
		if e.byMachine == nil {
			e.byMachine = make(map[int64]*rate.Limiter)
		}
		limiter = rate.NewLimiter(rate.Every(bootEventEvery), bootEventsAtOnce)
		e.byMachine[machineID] = limiter
	}
	return limiter.AllowN(now, 1)
}
