package lab

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

const (
	// defaultMaxDiscovered is how many addresses of no machine are remembered.
	defaultMaxDiscovered = 1000

	// sightingsDepth is how many sightings wait to be kept, of machines and of
	// strangers each; with their texts that is at most 1 MB. A rack that is
	// switched on at once fits.
	sightingsDepth = 1024

	// A batch is small enough to hold up no other writer, and the pause after
	// it leaves them the database: a flood is kept at 4,000 a second, the rest
	// is dropped and counted.
	sightingsBatch = 200
	sightingsPause = 50 * time.Millisecond

	// dhcpEventEvery is how often a machine's DHCP requests are worth an event:
	// a boot makes several.
	dhcpEventEvery = time.Minute

	// droppedEvery is how often the log says that sightings are dropped.
	droppedEvery = time.Minute

	// lastWords is how long the sightings that still wait have when the lab ends.
	lastWords = time.Second
)

// sighting is something that a DHCP server told of an address, to be kept
// after it was answered.
type sighting struct {
	at      time.Time
	mac     string
	request boot.SeenRequest
	misfit  string       // why it cannot boot as it was added; empty: it can
	lease   *store.Lease // nil: it asked
}

// sightings wait for the one writer that keeps them. Those of machines and of
// strangers queue apart, so that a flood of strangers displaces no machine.
type sightings struct {
	machines, strangers chan sighting
	dropped             atomic.Uint64
}

func newSightings() *sightings {
	return &sightings{machines: make(chan sighting, sightingsDepth), strangers: make(chan sighting, sightingsDepth)}
}

// put never blocks: what the queue cannot hold is dropped and counted.
func (s *sightings) put(queue chan sighting, seen sighting) {
	select {
	case queue <- seen:
	default:
		s.dropped.Add(1)
	}
}

// take waits for a sighting and returns it with those that wait already, at
// most a batch, machines first; none when ctx has ended and nothing waits.
func (s *sightings) take(ctx context.Context) []sighting {
	batch := s.waiting(nil)
	if len(batch) > 0 {
		return batch
	}
	select {
	case <-ctx.Done():
	case seen := <-s.machines:
		batch = append(batch, seen)
	case seen := <-s.strangers:
		batch = append(batch, seen)
	}
	return s.waiting(batch)
}

func (s *sightings) waiting(batch []sighting) []sighting {
	for _, queue := range []chan sighting{s.machines, s.strangers} {
		for more := true; more && len(batch) < sightingsBatch; {
			select {
			case seen := <-queue:
				batch = append(batch, seen)
			default:
				more = false
			}
		}
	}
	return batch
}

// keepSightings keeps what was seen, until ctx ends and nothing waits any more.
func (l *Lab) keepSightings(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	var told uint64 // of those that were dropped
	var toldAt time.Time
	for {
		batch := l.sightings.take(ctx)
		if len(batch) == 0 {
			return
		}
		err := l.keepNow(ctx, batch)
		if err != nil {
			l.sightings.dropped.Add(uint64(len(batch)))
			if ctx.Err() != nil {
				return
			}
			l.log.Error("DHCP requests could not be kept", "requests", len(batch), "error", err)
		}
		if dropped, now := l.sightings.dropped.Load(), l.now(); dropped > told && now.Sub(toldAt) >= droppedEvery {
			l.log.Warn("more DHCP requests than can be kept; they were answered", "dropped", dropped)
			told, toldAt = dropped, now
		}
		pause.Reset(sightingsPause)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

// keepNow keeps sightings, for which it has a last moment where ctx has
// ended, or ends meanwhile.
func (l *Lab) keepNow(ctx context.Context, batch []sighting) error {
	if ctx.Err() == nil {
		if err := l.keepSeen(ctx, batch); err == nil || ctx.Err() == nil {
			return err
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	return l.keepSeen(last, batch)
}

// keepSeen keeps sightings in one transaction.
func (l *Lab) keepSeen(ctx context.Context, batch []sighting) error {
	return l.write(ctx, func(tx *store.Tx) error {
		strangers := make(map[string]store.DiscoveredMAC)
		for _, seen := range batch {
			known, err := l.keepSighting(ctx, tx, seen)
			if err != nil {
				return fmt.Errorf("%s: %w", seen.mac, err)
			}
			if !known && seen.lease == nil {
				strangers[seen.mac] = store.DiscoveredMAC{
					MAC: seen.mac, Vendor: boot.Vendor(seen.request.MAC), Hostname: seen.request.Hostname,
					ClientArch: seen.request.Arch, LastSeenAt: seen.at, TimesSeen: strangers[seen.mac].TimesSeen + 1,
				}
			}
		}
		for _, d := range strangers {
			if err := tx.Discovered(ctx, d); err != nil {
				return err
			}
		}
		if len(strangers) == 0 {
			return nil
		}
		return tx.KeepDiscovered(ctx, l.maxDiscovered)
	})
}

// keepSighting keeps what concerns a machine. known is false for an address
// that belongs to none, or to none any more.
func (l *Lab) keepSighting(ctx context.Context, tx *store.Tx, seen sighting) (known bool, err error) {
	m, err := tx.DHCPMachine(ctx, seen.mac)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if seen.lease != nil {
		return true, tx.KeepLease(ctx, *seen.lease)
	}
	if err := tx.InterfaceSeen(ctx, seen.mac, seen.at); err != nil || !seen.request.Discover {
		return true, err
	}
	if err := l.stageAt(ctx, tx, store.Machine{ID: m.MachineID, Name: m.Name}, StageDHCP, seen.at); err != nil {
		return true, err
	}
	if seen.at.Sub(m.LastSeenAt) < dhcpEventEvery {
		return true, nil
	}
	detail := seen.mac
	if seen.misfit != "" {
		detail += " " + seen.misfit
	} else if client := seen.request.Client().String(); client != "" {
		detail += ", " + client
	}
	return true, tx.AddEvent(ctx, store.Event{At: seen.at, Kind: EventDHCP, Machine: m.Name, Detail: detail})
}

// Discovered returns the addresses that asked for a boot and belong to no
// machine, the one seen last first. Only an admin may ask.
func (l *Lab) Discovered(ctx context.Context, actor Actor) ([]store.DiscoveredMAC, error) {
	if !actor.IsAdmin() {
		return nil, fail(Denied, "list discovered addresses: only an admin may")
	}
	var found []store.DiscoveredMAC
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		found, err = tx.DiscoveredMACs(ctx)
		return err
	})
	return found, wrap(err, "list discovered addresses")
}
