package soak

import (
	"fmt"
	"sync"

	"provisioner/ipmi"
)

// lineSize is the length of every line that a machine prints.
const lineSize = 64

// line is what a machine prints as its nth line.
func line(machine, n int) string {
	head := fmt.Sprintf("machine %03d line %08d ", machine, n)
	return head + "................................................"[:lineSize-2-len(head)] + "\r\n"
}

// inside is the most that the reference BMC keeps of what it has read from a
// machine: its buffer, a packet, and what this simulation reads ahead.
const inside = 4096 + 255 + 64

// machine is the hardware behind a simulated BMC. What it prints is known from
// the position alone, so that nothing of it needs to be kept.
type machine struct {
	number int

	mu      sync.Mutex
	on      bool
	printed int64 // bytes
	read    int64 // of them, by the BMC
	typed   int64
	lossy   []stretch // what may be missing in the log
	notify  func()
}

// stretch is a range of what a machine has printed.
type stretch struct{ from, to int64 }

// print prints so many lines more.
func (m *machine) print(lines int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.printed += int64(lines) * lineSize
	if m.notify != nil {
		m.notify()
	}
}

func (m *machine) ReadSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for n < len(p) && m.read < m.printed {
		text := line(m.number, int(m.read/lineSize))
		k := copy(p[n:], text[m.read%lineSize:])
		n += k
		m.read += int64(k)
	}
	return n
}

// forget says that the BMC loses, now, whatever it has read and not delivered.
func (m *machine) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lossy = append(m.lossy, stretch{max(0, m.read-inside), m.read})
}

// lines is how many lines the machine has printed.
func (m *machine) lines() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.printed / lineSize
}

// input is how many bytes were typed on the machine.
func (m *machine) input() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.typed
}

func (m *machine) position() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read
}

// dubious says that what the BMC read around these positions may be missing.
func (m *machine) dubious(from, to int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lossy = append(m.lossy, stretch{max(0, from-inside), to})
}

// NotifySerial makes an idle console cost nothing. A BMC that was restarted
// replaces the one before.
func (m *machine) NotifySerial(notify func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notify = notify
}

// WriteSerial answers each piece of input with a line.
func (m *machine) WriteSerial(p []byte) int {
	m.mu.Lock()
	m.typed += int64(len(p))
	m.mu.Unlock()
	m.print(1)
	return len(p)
}

func (m *machine) PoweredOn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

func (m *machine) SetPower(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = on
}

func (m *machine) Reset() { m.print(3) }

func (*machine) SetBootDevice(ipmi.BootDevice, bool, bool) {}

// check compares a machine's log with what it has printed, and returns how many
// bytes are missing where they may be. A byte that is missing elsewhere, or
// there twice, or damaged, is an error.
func (m *machine) check(log []byte) (missing int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := int64(0) // position of the next byte of the log, if nothing is missing
	for len(log) > 0 {
		text := line(m.number, int(at/lineSize))[at%lineSize:]
		n := min(len(text), len(log))
		if string(log[:n]) == text[:n] {
			log, at = log[n:], at+int64(n)
			continue
		}
		// The log goes on elsewhere: byte by byte, for it may be within this line.
		for n = 0; log[n] == text[n]; n++ {
			at++
		}
		log = log[n:]
		next, ok := m.resumes(at, log)
		if !ok {
			return missing, fmt.Errorf("at byte %d of %d the log goes on with %.80q; the BMC may have lost %v", at, m.printed, log, m.around(at))
		}
		missing += next - at
		at = next
	}
	if at != m.printed {
		return missing, fmt.Errorf("the log ends at byte %d of %d; the BMC may have lost %v", at, m.printed, m.around(at))
	}
	return missing, nil
}

// resumes finds the position at which a log that stops at a position goes on,
// with nothing missing in between but what may be. Lines begin alike, so that
// what is missing may have begun somewhat earlier than the log shows.
func (m *machine) resumes(at int64, log []byte) (next int64, ok bool) {
	for next = at + 1; next <= at+maxMissing && next < m.printed; next++ {
		text := m.text(next) // a line's worth tells it from all other places
		if n := min(len(text), len(log)); string(log[:n]) != text[:n] {
			continue
		}
		for from, to := at, next; ; from, to = from-1, to-1 {
			if m.mayMiss(from, to) {
				return next, true
			}
			if from == 0 || m.text(from - 1)[0] != m.text(to - 1)[0] {
				break
			}
		}
	}
	return 0, false
}

// maxMissing is more than several restarts in a row can lose.
const maxMissing = 10 * inside

// text is a line's worth of what was printed from a position on.
func (m *machine) text(at int64) string {
	two := line(m.number, int(at/lineSize)) + line(m.number, int(at/lineSize)+1)
	return two[at%lineSize:][:lineSize]
}

// mayMiss reports whether all of a stretch may be missing.
func (m *machine) mayMiss(from, to int64) bool {
	for from < to {
		reach := from
		for _, s := range m.lossy {
			if s.from <= from && from < s.to {
				reach = max(reach, s.to)
			}
		}
		if reach == from {
			return false
		}
		from = reach
	}
	return true
}

// around is the stretches that are near a position, for an error.
func (m *machine) around(at int64) (near []stretch) {
	for _, s := range m.lossy {
		if s.from-10*inside <= at && at < s.to+10*inside {
			near = append(near, s)
		}
	}
	return near
}
