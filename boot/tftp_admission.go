package boot

import (
	"context"
	"net/netip"
	"sync"
)

// admissions bounds what is served at a time. The zero value has nothing.
type admissions struct {
	mu         sync.Mutex
	total      int
	byClient   map[netip.Addr]int
	unanswered map[netip.AddrPort]*admission
}

// admission is a request that is served.
type admission struct {
	ctx    context.Context //nolint:containedctx // ends with the transfer
	end    context.CancelCauseFunc
	from   origin
	packet string
}

type verdict int

const (
	admitted verdict = iota
	repeated         // it is being served
	refused          // there are too many
)

// admit makes room for a request; release gives it back. A request that comes
// again before its client has answered us has crossed our answer, or lost it:
// the transfer will repeat that. Another one from the same port means that the
// client has started again, and ends the first.
func (a *admissions) admit(ctx context.Context, from origin, packet []byte) (*admission, verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.unanswered[from.client]; before != nil {
		if before.packet == string(packet) {
			return nil, repeated
		}
		before.end(errReplaced)
	}
	address := from.client.Addr()
	if a.total >= maxTransfers || a.byClient[address] >= maxTransfersPerClient {
		return nil, refused
	}
	if a.byClient == nil {
		a.byClient = make(map[netip.Addr]int)
		a.unanswered = make(map[netip.AddrPort]*admission)
	}
	admission := &admission{from: from, packet: string(packet)}
	admission.ctx, admission.end = context.WithCancelCause(ctx)
	a.total++
	a.byClient[address]++
	a.unanswered[from.client] = admission
	return admission, admitted
}

// answered notes that the client of a request has answered.
func (a *admissions) answered(admission *admission) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(admission)
}

func (a *admissions) forget(admission *admission) {
	if a.unanswered[admission.from.client] == admission {
		delete(a.unanswered, admission.from.client)
	}
}

// release ends an admission.
func (a *admissions) release(admission *admission) {
	admission.end(nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(admission)
	a.total--
	address := admission.from.client.Addr()
	if a.byClient[address]--; a.byClient[address] == 0 {
		delete(a.byClient, address)
	}
}

// active is how many are served.
func (a *admissions) active() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}
