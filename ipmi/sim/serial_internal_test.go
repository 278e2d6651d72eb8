package sim

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
)

// line is Hardware with nothing but a serial line. It counts how often it is
// asked for output.
type line struct {
	mu     sync.Mutex
	out    []byte
	reads  int
	notify func()
}

func (*line) PoweredOn() bool                            { return true }
func (*line) SetPower(bool)                              {}
func (*line) Reset()                                     {}
func (*line) SetBootDevice(_ ipmi.BootDevice, _, _ bool) {}
func (*line) WriteSerial(p []byte) int                   { return len(p) }
func (l *line) ReadSerial(p []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n
}

func (l *line) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = append(l.out, text...)
	if l.notify != nil {
		l.notify() // with its lock held, as it may be
	}
}

func (l *line) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

// telling is a line that tells when it has output.
type telling struct{ line }

func (l *telling) NotifySerial(notify func()) { l.notify = notify }

// ticking opens the console of a BMC and returns the ticks of its SOL engine.
func ticking(t *testing.T, hw Hardware) (*serialPort, <-chan time.Time) {
	t.Helper()
	serial := New("ADMIN", "ADMIN", hw).serial
	if _, err := serial.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ticker := pollClock{serial}.NewTicker(10 * time.Millisecond)
	t.Cleanup(ticker.Stop)
	return serial, ticker.C()
}

// drain takes what is printed, as the SOL engine does, until ticks fail to come
// for a second.
func drain(t *testing.T, serial *serialPort, ticks <-chan time.Time) (printed string) {
	t.Helper()
	for {
		select {
		case <-ticks:
			buf := make([]byte, 4096)
			n, err := serial.ReadAvailable(buf)
			if err != nil {
				t.Fatal(err)
			}
			printed += string(buf[:n])
		case <-time.After(time.Second):
			return printed
		}
	}
}

func TestIdleConsoleOfHardwareThatTellsSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &telling{}
		serial, ticks := ticking(t, hw)
		hw.print("booting\r\n")
		if got := drain(t, serial, ticks); got != "booting\r\n" {
			t.Fatalf("the console got %q", got)
		}
		before := hw.asked()
		<-time.After(time.Hour)
		if n := hw.asked() - before; n > 0 {
			t.Errorf("an idle console was asked for output %d times in an hour", n)
		}
		for _, word := range []string{"login: ", "x"} {
			began := time.Now()
			hw.print(word)
			<-ticks
			if late := time.Since(began); late > 0 {
				t.Errorf("%q was noticed after %v", word, late)
			}
			if got := drain(t, serial, ticks); got != word {
				t.Errorf("the console got %q, printed was %q", got, word)
			}
		}
	})
}

func TestConsoleTicksUntilNothingIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &telling{}
		serial := New("ADMIN", "ADMIN", hw, WithSOLTiming(5*time.Millisecond, time.Second)).serial
		if _, err := serial.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		ticker := pollClock{serial}.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		began := time.Now()
		serial.touch()
		for {
			select {
			case <-ticker.C():
				continue
			case <-time.After(time.Second):
			}
			break
		}
		if d := time.Since(began) - time.Second; d < 8*time.Second || d > 9*time.Second {
			t.Errorf("ticks for %v after an acknowledgement; packets are sent again for 8 s", d)
		}
	})
}

func TestConsoleOfHardwareThatDoesNotTellIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &line{}
		serial, ticks := ticking(t, hw)
		drain(t, serial, ticks)
		<-time.After(10 * time.Second)
		began := time.Now()
		hw.print("late")
		<-ticks
		if late := time.Since(began); late > pollIdle {
			t.Errorf("noticed after %v", late)
		}
		if got := drain(t, serial, ticks); got != "late" {
			t.Errorf("the console got %q", got)
		}
	})
}
