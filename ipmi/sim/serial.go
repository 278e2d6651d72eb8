package sim

import (
	"context"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal"
)

const (
	// pollIdle is how often Hardware that is no Notifier is asked for output
	// while nothing happens, and the most that its first byte is late.
	pollIdle = 50 * time.Millisecond
	// linger is how long after the last retransmission the reference server's
	// own pace is kept, for it retransmits in the same loop.
	linger = 300 * time.Millisecond
)

// serialPort is the machine's serial port as the BMC's SOL engine sees it.
type serialPort struct {
	hw      Hardware
	busyFor time.Duration // after the last byte
	tells   bool          // hw is a Notifier

	mu       sync.Mutex
	attached bool
	ahead    []byte // output that busy has taken out of the hardware already
	last     time.Time

	tickMu sync.Mutex // taken with the hardware's own locks held; never the other way round
	ticker *pollTicker
}

// watch sets how long the SOL engine retransmits, and asks the hardware to
// tell when there is output, if it can.
func (s *serialPort) watch(retransmits time.Duration) {
	s.busyFor = retransmits + linger
	if hw, ok := s.hw.(Notifier); ok {
		s.tells = true
		hw.NotifySerial(s.wake)
	}
}

// Open attaches the one console a serial port can have (IPMI v2.0 §15.3).
func (s *serialPort) Open(context.Context) (hal.ConsoleConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached {
		return nil, hal.ErrNotSupported
	}
	s.attached = true
	return s, nil
}

func (s *serialPort) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = false
	return nil
}

func (s *serialPort) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attached
}

func (s *serialPort) ReadAvailable(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := copy(p, s.ahead)
	s.ahead = s.ahead[n:]
	if len(s.ahead) == 0 {
		s.ahead = nil
		n += s.hw.ReadSerial(p[n:])
	}
	if n > 0 {
		s.last = time.Now()
	}
	return n, nil
}

func (s *serialPort) Write(p []byte) (int, error) {
	return s.hw.WriteSerial(p), nil
}

func (s *serialPort) SendBreak(context.Context) error { return hal.ErrNotSupported }

// touch says that the console has sent something: an acknowledgement, which
// makes room for more output, or keys.
func (s *serialPort) touch() {
	s.mu.Lock()
	s.last = time.Now()
	s.mu.Unlock()
	s.wake()
}

// wake has the SOL engine look for output now. It does not block.
func (s *serialPort) wake() {
	s.tickMu.Lock()
	t := s.ticker
	s.tickMu.Unlock()
	if t != nil {
		t.wake()
	}
}

// busy reports whether the SOL engine has anything to do: output is pending,
// or was until a moment ago, so that a retransmission may be due.
func (s *serialPort) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.attached { // a timer that was late: what it took would be lost
		return false
	}
	if len(s.ahead) == 0 {
		var first [64]byte
		if n := s.hw.ReadSerial(first[:]); n > 0 {
			s.ahead = append([]byte(nil), first[:n]...)
			s.last = time.Now()
		}
	}
	return len(s.ahead) > 0 || time.Since(s.last) < s.busyFor
}

// pollClock is the real clock, but for the ticker that paces the reference
// server's SOL engine: 100 ticks a second and console, which is a fifth of a
// core for 200 idle ones. That one ticks only while there is work.
type pollClock struct{ serial *serialPort }

func (pollClock) Now() time.Time                       { return time.Now() }
func (pollClock) NewTimer(d time.Duration) clock.Timer { return clock.Real.NewTimer(d) }

func (c pollClock) NewTicker(d time.Duration) clock.Ticker {
	if d >= pollIdle {
		return clock.Real.NewTicker(d)
	}
	t := &pollTicker{serial: c.serial, pace: d, c: make(chan time.Time, 1)}
	c.serial.tickMu.Lock()
	c.serial.ticker = t // the one console's: the last one has stopped
	c.serial.tickMu.Unlock()
	t.mu.Lock()
	t.timer = time.AfterFunc(d, t.fire) // it may fall asleep at once: it can be woken already
	t.mu.Unlock()
	return t
}

// pollTicker ticks at its pace while the serial port is busy. In between it
// sleeps: until it is woken, where the hardware tells, or for pollIdle.
type pollTicker struct {
	serial *serialPort
	pace   time.Duration
	c      chan time.Time

	mu      sync.Mutex
	timer   *time.Timer
	asleep  bool
	stopped bool
}

func (t *pollTicker) C() <-chan time.Time { return t.c }

func (t *pollTicker) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.timer.Stop()
}

func (t *pollTicker) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asleep && !t.stopped {
		t.asleep = false
		t.timer.Reset(0)
	}
}

func (t *pollTicker) fire() {
	t.mu.Lock()
	t.asleep = true // before it looks, so that it is told of what comes after
	t.mu.Unlock()

	busy := t.serial.busy()
	if busy {
		select {
		case t.c <- time.Now():
		default:
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.stopped:
	case busy:
		t.asleep = false
		t.timer.Reset(t.pace)
	case !t.asleep: // woken meanwhile: the timer runs
	case !t.serial.tells:
		t.timer.Reset(pollIdle)
	}
}
