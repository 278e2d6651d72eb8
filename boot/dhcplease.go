package boot

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

var (
	// ErrNoAddress is what [LeaseAnswers] gives where it has no address for a
	// client: there is no such network, or its pool is used up or not for it.
	ErrNoAddress = errors.New("no address to lend")

	// ErrWrongAddress is for a client that must not have the address it asks
	// for: it is told so, and asks for another one.
	ErrWrongAddress = errors.New("the address is not for this client")

	// ErrUnknownLease is for a client of whose address nothing is known. It is
	// not answered, since another server may know (RFC 2131 §4.3.2).
	ErrUnknownLease = errors.New("the lease is not known")
)

// LeaseAnswers decides what a [DHCPServer] lends. Its methods are called by
// many goroutines, and a machine's boot waits for each.
type LeaseAnswers interface {
	ProxyAnswers // what a client is to boot

	// Offer finds an address for a client and keeps it free for a minute. It
	// returns [ErrNoAddress] where there is none.
	Offer(ctx context.Context, request AddressRequest) (AddressLease, error)

	// Lend lends the address that the client asks for. It is kept on disk
	// when Lend returns. The errors are those above.
	Lend(ctx context.Context, request AddressRequest) (AddressLease, error)

	// Network is for a client that has an address and asks for the rest. It
	// returns [ErrNoAddress] where it is in no network.
	Network(ctx context.Context, request AddressRequest) (AddressNetwork, error)

	// Release takes back an address that the client needs no more.
	Release(ctx context.Context, request AddressRequest) error

	// Decline notes that the client found somebody else at the address that
	// it was lent.
	Decline(ctx context.Context, request AddressRequest) error
}

// AddressRequest is what a client asks of an address.
type AddressRequest struct {
	MAC    net.HardwareAddr
	Server netip.Addr // this server's own address, as the client knows it
	Link   netip.Addr // an address in the client's network: the server's, its relay's or its own
	Wanted netip.Addr // which it asks for; not valid: any

	// Offered says that it takes an offer of this server. Else it knows the
	// address from before.
	Offered bool
}

// AddressLease is an address for a client.
type AddressLease struct {
	Address  netip.Addr
	Duration time.Duration // whole seconds
	Network  AddressNetwork
}

// AddressNetwork is what every client of a network is told.
type AddressNetwork struct {
	Subnet      netip.Prefix
	Gateway     netip.Addr // not valid: none
	Nameservers []netip.Addr
	Domain      string // empty: none
}
