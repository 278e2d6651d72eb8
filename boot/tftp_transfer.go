package boot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// patience is how long a client may make no progress. One that has never
	// answered gets less: its address may be forged.
	patience           = 20 * time.Second
	patienceUnanswered = 5 * time.Second
	// A client that has set its timeout gets as many of them at least.
	patientTimeouts = 3
)

// datagrams is the way to one client and back.
type datagrams interface {
	// send sends datagrams that are in packets one after the other: each of size
	// bytes, and the last with the rest. Size 0: there is one.
	send(packets []byte, size int) error
	// receive waits for one, of which at most len(packet) bytes are kept.
	receive(packet []byte) (int, error)
	SetReadDeadline(at time.Time) error
	// lockstep tells that from now on each datagram is answered before the next
	// is sent. Deadlines that were set are forgotten.
	lockstep()
	// room is the size of the largest datagram that arrives unbroken, in bytes.
	room() int
}

var (
	errSilent = errors.New("the client has stopped answering")
	errGone   = errors.New("the client is gone")
)

// clientError is the ERROR packet of a client.
type clientError struct {
	code ErrorCode
	text string
}

func (e *clientError) Error() string {
	return fmt.Sprintf("the client says: %q (code %d)", e.text, e.code)
}

// transfer sends one file to one client: blocks of a window (RFC 7440; one
// block where none is agreed), until the client acknowledges, again and again.
//
// A lost packet is noticed by the client, which acknowledges the last block
// before the gap, or by the time that an acknowledgement takes. A repeated
// acknowledgement is not answered with repeated data, or each packet that the
// network doubles would double all that follow ("Sorcerer's Apprentice", RFC
// 1123 §4.2.3.1).
type transfer struct {
	conn     datagrams
	terms    terms
	content  func() (from io.Reader, release func()) // once the client has answered
	answered func()                                  // the client has
	counters *tftpCounters

	from io.Reader

	// window has the blocks that are not acknowledged, as packets.
	window []byte
	used   int    // bytes of it
	acked  uint16 // number of the block before the first
	ended  bool   // the last block of the file is in it
	sent   int64  // bytes of the file that the client has

	rtt      roundTrip
	in       [128]byte // ACK needs 4, ERROR a sentence
	deadline time.Time // that conn has
	heard    bool
}

// run sends the file. It blocks until the client has it, or fails with errSilent,
// errGone, a *clientError, an error of the file, or the cause of ctx's end.
func (t *transfer) run(ctx context.Context) error {
	// Both ways of a wait to end: a packet, and a deadline in the past.
	unhook := context.AfterFunc(ctx, func() { _ = t.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer unhook()
	if t.terms.oack != nil {
		// ACK 0 answers it: RFC 2347.
		if _, err := t.exchange(ctx, t.terms.oack, 0, 0); err != nil {
			return err
		}
	}
	from, release := t.content()
	defer release()
	t.from = from
	stride := headerSize + t.terms.block
	t.window = make([]byte, t.terms.window*stride)
	inStep := false
	for {
		if t.heard && t.terms.window == 1 && !inStep { // who has not answered is not worth a thread
			inStep = true
			t.conn.lockstep()
			t.deadline = time.Time{}
		}
		if err := t.fill(); err != nil {
			return err
		}
		count := (t.used + stride - 1) / stride
		n, err := t.exchange(ctx, t.window[:t.used], stride, count)
		if err != nil {
			return err
		}
		if n == count && t.ended {
			t.count(t.used - n*headerSize)
			return nil
		}
		t.count(n * t.terms.block)
		t.acked += uint16(n)
		t.used = copy(t.window, t.window[n*stride:t.used])
		if t.used > 0 {
			t.counters.retransmissions.Add(uint64((t.used + stride - 1) / stride))
		}
	}
}

func (t *transfer) count(bytes int) {
	t.sent += int64(bytes)
	t.counters.bytes.Add(uint64(bytes))
}

// fill reads blocks until the window is full or the file at its end.
func (t *transfer) fill() error {
	stride := headerSize + t.terms.block
	number := t.acked + uint16(t.used/stride)
	for !t.ended && t.used < len(t.window) {
		number++
		block := t.window[t.used : t.used+stride]
		block[0], block[1] = 0, opData
		binary.BigEndian.PutUint16(block[2:], number) // 0 follows 65535
		n, err := io.ReadFull(t.from, block[headerSize:])
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			t.ended = true // a block that is not full, and may be empty
		case err != nil:
			return err
		}
		t.used += headerSize + n
	}
	return nil
}

// exchange sends packets until the client acknowledges one of the count blocks
// in them, and returns which, from 1. With count 0, the ACK of block 0 is
// waited for.
func (t *transfer) exchange(ctx context.Context, packets []byte, size, count int) (int, error) {
	began := time.Now()
	sent, again := began, false
	if err := t.conn.send(packets, size); err != nil {
		return 0, err
	}
	for {
		n, at, err := t.await(ctx, earlier(sent.Add(t.wait()), began.Add(t.patience())), count)
		switch {
		case err == nil && (n > 0 || count == 0):
			if !again { // Karn: of what was sent twice, nobody knows which was answered
				t.rtt.measured(at.Sub(sent))
			}
			return n, nil
		case err == nil:
			// The last ACK again. The network has doubled it, or the first block of a window is lost: then it comes a
			// round trip after the window.
			if t.terms.window == 1 || at.Sub(sent) < t.rtt.typical()/2 {
				continue
			}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case at.Sub(began) >= t.patience():
			return 0, errSilent
		default:
			t.counters.timeouts.Add(1)
			t.rtt.missed()
		}
		t.counters.retransmissions.Add(uint64(max(count, 1)))
		sent, again = time.Now(), true
		if err := t.conn.send(packets, size); err != nil {
			return 0, err
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// await waits until the client acknowledges the block before the window (0), or
// one of the count in it. Anything else that comes is no reason to wait longer.
func (t *transfer) await(ctx context.Context, until time.Time, count int) (n int, at time.Time, err error) {
	for {
		if err := t.alarm(ctx, until); err != nil {
			return 0, at, err
		}
		length, err := t.conn.receive(t.in[:])
		at = time.Now()
		if err != nil {
			if ctx.Err() != nil {
				return 0, at, context.Cause(ctx)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || !at.Before(until) {
				return 0, at, err
			}
			continue // an earlier alarm's
		}
		if n, ok, err := t.understand(t.in[:length], count); ok || err != nil {
			return n, at, err
		}
		if !at.Before(until) {
			return 0, at, os.ErrDeadlineExceeded
		}
	}
}

// alarm has receive end at a time, or somewhat before: to move a deadline costs
// more than a block, so that one that is early stays.
func (t *transfer) alarm(ctx context.Context, until time.Time) error {
	if t.deadline.IsZero() || t.deadline.After(until) || !t.deadline.After(time.Now()) {
		if err := t.conn.SetReadDeadline(until); err != nil {
			return err
		}
		t.deadline = until
	}
	if ctx.Err() != nil { // after the deadline was set: the end of ctx sets one, too
		return context.Cause(ctx)
	}
	return nil
}

// understand reads a packet of the client's. It is ok if it acknowledges.
func (t *transfer) understand(packet []byte, count int) (n int, ok bool, err error) {
	if len(packet) < headerSize {
		t.counters.malformed.Add(1)
		return 0, false, nil
	}
	switch opcode(packet) {
	case opAck:
		n := int(binary.BigEndian.Uint16(packet[2:]) - t.acked)
		if n > count {
			return 0, false, nil // of long ago
		}
		if !t.heard {
			t.heard = true
			t.answered()
		}
		return n, true, nil
	case opError:
		text, _, _ := cutString(packet[headerSize:])
		return 0, false, &clientError{ErrorCode(binary.BigEndian.Uint16(packet[2:])), text}
	}
	t.counters.malformed.Add(1)
	return 0, false, nil
}

// wait is how long an acknowledgement may take.
func (t *transfer) wait() time.Duration {
	if t.terms.timeout > 0 && t.heard {
		return t.terms.timeout // the client's wish: RFC 2349
	}
	return t.rtt.timeout()
}

func (t *transfer) patience() time.Duration {
	if !t.heard {
		return patienceUnanswered
	}
	return max(patience, patientTimeouts*t.terms.timeout)
}
