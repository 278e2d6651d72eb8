package sim

import (
	"context"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal"
)

const (
	// pollIdle is how often a console on which nothing happens looks for
	// output, and the most that its first byte is late.
	pollIdle = 50 * time.Millisecond
	// busyFor is how long after the last byte the reference server's own pace
	// of 10 ms is kept, for it retransmits in the same loop.
	busyFor = time.Second
)

// serialPort is the machine's serial port as the BMC's SOL engine sees it.
type serialPort struct {
	hw Hardware

	mu       sync.Mutex
	attached bool
	ahead    []byte // output that busy has taken out of the hardware already
	last     time.Time
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
	s.mu.Lock()
	s.last = time.Now()
	s.mu.Unlock()
	return s.hw.WriteSerial(p), nil
}

func (s *serialPort) SendBreak(context.Context) error { return hal.ErrNotSupported }

// busy reports whether the SOL engine has anything to do: output is pending,
// or was until a moment ago, so that a retransmission may be due.
func (s *serialPort) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead) == 0 {
		var first [64]byte
		if n := s.hw.ReadSerial(first[:]); n > 0 {
			s.ahead = append([]byte(nil), first[:n]...)
			s.last = time.Now()
		}
	}
	return len(s.ahead) > 0 || time.Since(s.last) < busyFor
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
	t := &pollTicker{serial: c.serial, busy: d, c: make(chan time.Time, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(d, t.fire)
	return t
}

type pollTicker struct {
	serial *serialPort
	busy   time.Duration
	c      chan time.Time

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (t *pollTicker) C() <-chan time.Time { return t.c }

func (t *pollTicker) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.timer.Stop()
}

func (t *pollTicker) fire() {
	next := pollIdle
	if t.serial.busy() {
		next = t.busy
		select {
		case t.c <- time.Now():
		default:
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.timer.Reset(next)
	}
}
