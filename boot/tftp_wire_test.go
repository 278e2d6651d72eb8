package boot

import (
	"encoding/binary"
	"os"
	"sync"
	"time"
)

// wire is a network between a transfer and a client that is a function: it is
// given each datagram and answers with any number. It works in real time and in
// a bubble.
type wire struct {
	answer func(packet []byte) [][]byte
	delay  time.Duration // of an answer
	mtu    int

	mu       sync.Mutex
	queue    [][]byte
	deadline time.Time
	wake     chan struct{} // has an element when queue or deadline have changed
	sent     int           // datagrams
}

func newWire(answer func([]byte) [][]byte) *wire {
	return &wire{answer: answer, mtu: 1472, wake: make(chan struct{}, 1)}
}

func (w *wire) room() int { return w.mtu }
func (w *wire) lockstep() { _ = w.SetReadDeadline(time.Time{}) }

func (w *wire) send(packets []byte, size int) error {
	if size == 0 {
		size = len(packets)
	}
	for len(packets) > 0 {
		packet := packets[:min(size, len(packets))]
		packets = packets[len(packet):]
		w.sent++
		for _, a := range w.answer(packet) {
			if w.delay > 0 {
				time.AfterFunc(w.delay, func() { w.deliver(a) })
				continue
			}
			w.deliver(a)
		}
	}
	return nil
}

func (w *wire) deliver(packet []byte) {
	w.mu.Lock()
	w.queue = append(w.queue, packet)
	w.mu.Unlock()
	w.changed()
}

func (w *wire) changed() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *wire) SetReadDeadline(at time.Time) error {
	w.mu.Lock()
	w.deadline = at
	w.mu.Unlock()
	w.changed()
	return nil
}

func (w *wire) receive(packet []byte) (int, error) {
	for {
		w.mu.Lock()
		left := time.Until(w.deadline)
		if w.deadline.IsZero() {
			left = time.Hour
		}
		if left <= 0 {
			w.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if len(w.queue) > 0 {
			n := copy(packet, w.queue[0])
			w.queue = w.queue[1:]
			w.mu.Unlock()
			return n, nil
		}
		w.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func ack(n int) []byte { return []byte{0, 4, byte(n >> 8), byte(n)} }

// receiver is a client by the book: it acknowledges each window, and the last
// block before a gap, once.
type receiver struct {
	window int
	block  int
	got    []byte
	next   int // block
	inside int // of the window
	gap    bool
	ended  bool
}

func (r *receiver) take(packet []byte) [][]byte {
	switch opcode(packet) {
	case opOptionAck:
		return [][]byte{ack(0)}
	case opData:
	default:
		return nil
	}
	number := binary.BigEndian.Uint16(packet[2:])
	if number != uint16(r.next+1) {
		if number == uint16(r.next) && (r.inside == 0 || r.ended) { // our ACK was lost
			return [][]byte{ack(r.next)}
		}
		if r.gap {
			return nil
		}
		r.gap, r.inside = true, 0
		return [][]byte{ack(r.next)}
	}
	r.gap = false
	r.next++
	r.inside++
	r.got = append(r.got, packet[headerSize:]...)
	r.ended = len(packet) < headerSize+r.block
	if r.inside < r.window && !r.ended {
		return nil
	}
	r.inside = 0
	return [][]byte{ack(r.next)}
}
