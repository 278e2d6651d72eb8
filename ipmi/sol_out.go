package ipmi

import (
	"context"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// solBreak is the operation bit of a console's SOL packet that makes the BMC
// send a BREAK (IPMI v2.0 Table 15-2).
const solBreak = 0x10

const (
	outboundMax = 1 << 10 // characters that wait to be sent
	solSequence = 15      // packet sequence numbers are 1 to 15

	solRetryFirst = 250 * time.Millisecond // before anything was measured
	solRetryLeast = 100 * time.Millisecond
	solRetryMost  = time.Second
	solNackFirst  = 50 * time.Millisecond // before what was refused is offered again
)

// outbound is what goes to the BMC: one packet in flight, the rest in a queue.
type outbound struct {
	size  int // characters in a packet at most
	queue []byte

	// Positions in all that was ever written.
	enqueued, settled int64 // settled: accepted by the BMC, or given up
	failFrom, failTo  int64 // the last stretch that was given up
	fault             error // and why

	unavailable bool // the machine is off, as the BMC said last

	flight
}

// flight is the packet that awaits its acknowledgement.
type flight struct {
	up       bool
	seq      uint8
	data     []byte
	op       uint8         // operation bits
	after    uint32        // only SOL packets newer than this one can acknowledge it
	held     bool          // it was refused and is not sent again yet
	times    int           // how often it was sent
	sent     time.Time     // when for the first time
	refusals int           // since it last made progress
	refused  uint8         // under which sequence number it was refused last
	resumed  bool          // the BMC has called for it under the present one
	progress time.Time     // when it was first sent, or last accepted in part
	heard    uint64        // what the session had heard by then
	wait     time.Duration // until it is sent again
	timer    *time.Timer
}

func (o *outbound) init(payloadSize int) {
	const solHeader = 4
	o.size = max(1, min(payloadSize-solHeader, packetMax-solHeader))
}

// Write types p into the machine's console. Bytes of concurrent Writes are
// not mixed, but may share a packet. It blocks until the BMC has accepted all
// of p, and returns how much it did when that failed: the console has ended,
// or nothing was accepted for as long as the Client's timeout.
func (l *SOL) Write(p []byte) (int, error) {
	l.writing <- struct{}{}
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.out
	start := o.enqueued
	failed := func() bool { return l.err != nil || o.failTo > start }
	for rest := p; len(rest) > 0 && !failed(); {
		n := min(len(rest), outboundMax-len(o.queue))
		if n == 0 {
			l.change.Wait()
			continue
		}
		o.queue = append(o.queue, rest[:n]...)
		o.enqueued += int64(n)
		rest = rest[n:]
		l.launchLocked()
	}
	end := o.enqueued
	<-l.writing
	for o.settled < end && !failed() {
		l.change.Wait()
	}
	switch {
	case o.failTo > start:
		return int(min(max(o.failFrom-start, 0), int64(len(p)))), l.client.fail("console input", o.fault)
	case l.err != nil && (o.settled < end || end-start < int64(len(p))):
		return int(max(o.settled-start, 0)), l.client.fail("console input", l.err)
	}
	return len(p), nil
}

// SendBreak holds the serial line in BREAK for a moment, which Linux takes
// for SysRq, after everything that was written before. It blocks until the
// BMC has accepted it or ctx ends.
func (l *SOL) SendBreak(ctx context.Context) error {
	const op = "send break"
	select {
	case l.writing <- struct{}{}:
	case <-ctx.Done():
		return l.client.fail(op, contextError(ctx))
	}
	defer func() { <-l.writing }()
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.change.Broadcast()
	})()

	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.out
	landed := func() bool {
		for o.up && l.err == nil && ctx.Err() == nil {
			l.change.Wait()
		}
		return !o.up && l.err == nil
	}
	if landed() {
		start := o.enqueued
		o.enqueued++ // a place of its own among the characters
		l.sendFlightLocked(nil, solBreak)
		if landed() {
			if o.failTo > start {
				return l.client.fail(op, o.fault)
			}
			return nil
		}
	}
	if l.err != nil {
		return l.client.fail(op, l.err)
	}
	return l.client.fail(op, contextError(ctx))
}

// launchLocked puts the next packet of the queue in flight, if none is.
func (l *SOL) launchLocked() {
	o := &l.out
	if o.up || len(o.queue) == 0 || l.err != nil {
		return
	}
	n := min(len(o.queue), o.size)
	data := append([]byte(nil), o.queue[:n]...)
	o.queue = o.queue[:copy(o.queue, o.queue[n:])]
	l.sendFlightLocked(data, 0)
}

func (l *SOL) sendFlightLocked(data []byte, op uint8) {
	f := &l.out.flight
	f.up, f.data, f.op = true, data, op
	f.refusals = 0
	f.progress, f.heard = time.Now(), l.session.heard.Load()
	l.renumberLocked()
	l.transmitLocked(l.firstWait())
}

// firstWait is how long the BMC usually takes to acknowledge input, and a bit.
func (l *SOL) firstWait() time.Duration {
	return min(max(l.session.peer.input.timeout(solRetryFirst), solRetryLeast), solRetryMost)
}

// renumberLocked gives the packet in flight a sequence number of its own: an
// unchanged one means unchanged contents (IPMI v2.0 §15.9).
func (l *SOL) renumberLocked() {
	f := &l.out.flight
	f.refused, f.resumed = f.seq, false
	f.seq = f.seq%solSequence + 1
	f.after = l.in.newest
	f.times = 0
}

func (l *SOL) transmitLocked(wait time.Duration) {
	f := &l.out.flight
	f.held = false
	if f.times == 0 {
		f.sent = time.Now()
	}
	f.times++
	l.sendSOL(&types.SOLPayloadPacket{SequenceNumber: f.seq, ControlByte: f.op, CharacterData: f.data})
	l.armLocked(wait)
}

func (l *SOL) armLocked(wait time.Duration) {
	f := &l.out.flight
	f.wait = wait
	wait = max(0, min(wait, time.Until(f.progress.Add(l.client.cfg.Timeout))))
	if f.timer == nil {
		f.timer = time.AfterFunc(wait, l.retransmit)
	} else {
		f.timer.Reset(wait)
	}
}

// retransmit is the flight's timer.
func (l *SOL) retransmit() {
	if err := l.retransmitOrGiveUp(); err != nil {
		l.session.end(err)
	}
}

// retransmitOrGiveUp returns an error when the session proves dead.
func (l *SOL) retransmitOrGiveUp() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.out
	if !o.up || l.err != nil {
		return nil
	}
	if time.Since(o.progress) < l.client.cfg.Timeout {
		wait := l.firstWait()
		if !o.held {
			wait = min(2*o.wait, solRetryMost)
			l.session.stats.retransmitted.Add(1)
		}
		l.transmitLocked(wait)
		return nil
	}
	if l.session.heard.Load() == o.heard {
		return l.session.noAnswer()
	}
	if o.refusals > 0 {
		why := "the machine's serial port takes no input"
		if o.unavailable {
			why += ": the machine is off, asleep or in reset"
		}
		l.giveUpLocked(fmt.Errorf("%w: %s", ErrRefused, why))
	} else {
		l.giveUpLocked(fmt.Errorf("%w: the BMC does not acknowledge console input", ErrNoAnswer))
	}
	return nil
}

func (l *SOL) giveUpLocked(err error) {
	o := &l.out
	o.failFrom, o.failTo, o.fault = o.settled, o.enqueued, err
	o.settled = o.enqueued
	o.queue = o.queue[:0]
	o.up, o.data = false, nil
	l.change.Broadcast()
}

// acknowledgedLocked looks for the acknowledgement of the packet in flight
// (IPMI v2.0 Table 15-3).
func (l *SOL) acknowledgedLocked(seq uint32, p *types.SOLPayloadPacket) {
	o := &l.out
	if !o.up || !newer(seq, o.after) {
		return
	}
	if o.held {
		if resume := !p.NACK && p.AcceptedCharacterCount == 0 && p.ControlByte&solUnavailable == 0; resume && p.AckedSequenceNumber == o.refused {
			l.transmitLocked(l.firstWait())
		}
		return
	}
	if p.AckedSequenceNumber != o.seq {
		return
	}
	if o.op != 0 {
		if p.NACK {
			l.giveUpLocked(fmt.Errorf("%w: the BMC does not send BREAK", ErrRefused))
			return
		}
		l.landLocked(1)
		return
	}
	n := min(int(p.AcceptedCharacterCount), len(o.data))
	refused := p.NACK || n == 0 && p.ControlByte&solUnavailable != 0
	if n > 0 || refused {
		o.measure(&l.session.peer.input)
	}
	switch {
	case n == len(o.data):
		l.landLocked(int64(n))
	case n > 0: // the rest is a new packet
		o.settled += int64(n)
		o.data = o.data[n:]
		o.refusals = 0
		o.progress, o.heard = time.Now(), l.session.heard.Load()
		l.renumberLocked()
		if refused {
			o.held = true
			l.armLocked(solNackFirst)
			return
		}
		l.transmitLocked(l.firstWait())
	case refused:
		o.refusals++
		o.held = true
		l.renumberLocked()
		l.armLocked(min(solNackFirst<<min(o.refusals-1, 5), solRetryMost))
	case !o.resumed: // resume: the BMC is ready for it again
		o.resumed = true // a BMC that says so each time has its packets in time
		l.transmitLocked(l.firstWait())
	}
}

// measure tells how long the acknowledgement took.
func (f *flight) measure(trip *roundTrip) {
	if f.times == 1 {
		trip.measure(time.Since(f.sent))
	} else {
		trip.doubt(time.Since(f.sent))
	}
}

// landLocked ends a flight that was accepted in full.
func (l *SOL) landLocked(n int64) {
	o := &l.out
	o.settled += n
	o.up, o.data = false, nil
	o.timer.Stop()
	l.launchLocked()
	l.change.Broadcast()
}
