package ipmi

import (
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// Bits of the status byte of a BMC's SOL packet (IPMI v2.0 Table 15-2).
const (
	solUnavailable = 0x20 // the machine is off, asleep or in reset
	solDeactivated = 0x10
	solOverrun     = 0x08 // characters were lost since the packet before
)

const (
	inboundMax = 8 << 10 // characters kept for Read
	packetMax  = 255     // characters in a packet: the accepted count is one byte
	resumeWait = 500 * time.Millisecond
	resumeMost = 8
)

// inbound is what came from the BMC and was not read yet.
//
// A packet is accepted whole or not at all. Accepting a part would leave it
// open, when that acknowledgement and a retransmission cross each other,
// whether the BMC's next packet begins after that part or after the whole.
type inbound struct {
	buf    []byte
	seq    uint8  // of the last packet accepted; 0 before the first
	count  int    // its characters
	newest uint32 // the highest session sequence number of a SOL packet
	data   uint32 // and of one with data

	refused uint8       // the packet for which there was no room; 0: none
	timer   *time.Timer // repeats the call for it
	resumes int         // how often it was called for
}

func (in *inbound) init(floor uint32) {
	in.buf = make([]byte, 0, inboundMax)
	in.newest, in.data = floor, floor
}

// Read returns what the machine printed, as it came. It blocks until there is
// something, or the console has ended: then it returns what was left, and
// after that an *Error that says why.
func (l *SOL) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.in.buf) == 0 && len(p) > 0 {
		if l.err != nil {
			return 0, l.client.fail("console", l.err)
		}
		l.change.Wait()
	}
	n := copy(p, l.in.buf)
	l.in.buf = l.in.buf[:copy(l.in.buf, l.in.buf[n:])]
	if l.in.refused != 0 && l.in.resumes == 0 && cap(l.in.buf)-len(l.in.buf) >= packetMax {
		l.resumeLocked()
	}
	return n, nil
}

// receive takes a SOL payload of the session's reader. seq is the session
// sequence number that it came with.
func (l *SOL) receive(seq uint32, plain []byte) error {
	var p types.SOLPayloadPacket
	if err := p.Unpack(plain); err != nil {
		return errMalformed
	}
	if err := l.process(seq, &p); err != nil {
		return err
	}
	if p.ControlByte&solDeactivated != 0 {
		go l.deactivated(l.client.life) // a few seconds at most
	}
	return nil
}

func (l *SOL) process(seq uint32, p *types.SOLPayloadPacket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.active || l.err != nil || !newer(seq, l.floor) {
		return errUnexpected
	}
	l.acknowledgedLocked(seq, p)
	if newer(seq, l.in.newest) {
		l.in.newest = seq
		l.statusLocked(p)
	}
	// One packet is outstanding at a time: one that was sent before the
	// newest, and comes after it, is a retransmission of the past.
	if p.SequenceNumber != 0 && newer(seq, l.in.data) {
		l.in.data = seq
		l.acceptLocked(p)
	}
	return nil
}

// statusLocked takes what the newest packet says of the machine. One that is
// off is no reason to end its console.
func (l *SOL) statusLocked(p *types.SOLPayloadPacket) {
	l.out.unavailable = p.ControlByte&solUnavailable != 0
	repeated := p.SequenceNumber != 0 && p.SequenceNumber == l.in.seq
	if p.ControlByte&solOverrun != 0 && !repeated {
		l.session.stats.overruns.Add(1)
	}
}

// acceptLocked takes the characters of a packet and acknowledges it at once
// (IPMI v2.0 §15.11).
func (l *SOL) acceptLocked(p *types.SOLPayloadPacket) {
	in := &l.in
	fresh := p.CharacterData
	if p.SequenceNumber == in.seq {
		// The BMC did not see our acknowledgement. Some add what was printed
		// since to their retransmission.
		fresh = fresh[min(len(fresh), in.count):]
	}
	if len(fresh) > cap(in.buf)-len(in.buf) || len(p.CharacterData) > packetMax {
		in.refused, in.resumes = p.SequenceNumber, 0
		l.sendSOL(&types.SOLPayloadPacket{AckedSequenceNumber: p.SequenceNumber, NACK: true})
		return
	}
	if p.SequenceNumber != in.seq {
		in.count = 0
	}
	in.seq = p.SequenceNumber
	in.count = max(in.count, len(p.CharacterData))
	in.refused = 0
	in.buf = append(in.buf, fresh...)
	l.sendSOL(&types.SOLPayloadPacket{AckedSequenceNumber: in.seq, AcceptedCharacterCount: uint8(in.count)})
	if len(fresh) > 0 {
		l.change.Broadcast()
	}
}

// resumeLocked tells the BMC that there is room again for what was refused
// (the resume of Table 15-3), and repeats that until a packet comes. OpenIPMI
// counts on when a packet is refused, and waits for a resume of the number after
// it, for ever: every other one is of that.
func (l *SOL) resumeLocked() {
	refused := l.in.refused
	if l.in.resumes%2 == 1 {
		refused = refused%solSequence + 1
	}
	l.sendSOL(&types.SOLPayloadPacket{AckedSequenceNumber: refused})
	l.in.resumes++
	if l.in.timer == nil {
		l.in.timer = time.AfterFunc(resumeWait, l.resume)
	} else {
		l.in.timer.Reset(resumeWait)
	}
}

func (l *SOL) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.in.refused != 0 && l.in.resumes > 0 && l.in.resumes < resumeMost {
		l.resumeLocked()
	}
}

func (l *SOL) sendSOL(p *types.SOLPayloadPacket) {
	l.session.send(types.PayloadTypeSOL, p.Pack())
}
