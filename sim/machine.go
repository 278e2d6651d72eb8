// Package sim is a lab of simulated bare-metal machines, each behind a BMC
// that speaks real RMCP+, for the demo, tests and benchmarks.
//
// A simulated machine is a client like a real one: it asks the DHCP hook as the
// site's DHCP server would for it, loads a bootloader, its configuration, a
// kernel and an initrd by TFTP, fetches its preseed by HTTP and runs the
// phone-home call in it. What it prints on its serial port is what a machine
// would print, errors included. Only the work in between is pretended.
//
// Nothing of a machine runs while it is off or waits at a prompt: its keys are
// handled by whoever types them. From power-on to the prompt it is one
// goroutine, which power-off and reset end at once.
package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"provisioner/ipmi"
)

// The architectures a machine can have.
const (
	AMD64 = "amd64" // UEFI x86-64: DHCP option 93 is 7 (RFC 4578 §2.1)
	ARM64 = "arm64" // UEFI arm64: DHCP option 93 is 11
)

// Config says what a machine is made of.
type Config struct {
	Name      string           // what it calls itself to the DHCP server, and its host name unless its install says another
	MAC       net.HardwareAddr // of its one network port, 6 bytes
	Arch      string           // AMD64 or ARM64
	Processor string           // as firmware and kernel print it; empty: a plain name
	Model     string           // what its inventory calls it; empty: a plain name
	Network   Network          // what it is plugged into
	Installed bool             // an operating system is on its disk from the start

	// Pace is the time between two printed lines. At 150 ms an install takes
	// about 20 s, which a person can follow; 0 is as fast as it goes.
	Pace time.Duration

	Now func() time.Time // for what its clock and uptime show; nil: time.Now
}

// Machine is a simulated machine, off at first. It is the hardware behind a
// simulated BMC: its methods never block and may be called concurrently.
type Machine struct {
	cfg   Config
	mains context.Context //nolint:containedctx // the machine is dead when it ends
	since time.Time       // when the mains came on
	wg    sync.WaitGroup  // the goroutines of runs

	mu         sync.Mutex
	unplugged  bool // nothing starts any more
	on         bool
	bootDevice ipmi.BootDevice
	persistent bool
	disk       disk
	booted     time.Time // when the system on the disk was last started
	current    *run      // what happens now; nil: nothing, or waiting at a prompt
	terminal   terminal  // the prompt it waits at
	serial     serial
}

// disk is what a machine's disk holds, as far as anything depends on it.
type disk struct {
	system   string // the operating system's name; empty: nothing to boot
	hostname string
}

// NewMachine returns a machine that is off, with the mains on until ctx ends.
// It fails when cfg describes no machine that could exist.
func NewMachine(ctx context.Context, cfg Config) (*Machine, error) {
	switch {
	case cfg.Name == "":
		return nil, errors.New("simulated machine: it needs a name")
	case len(cfg.MAC) != 6:
		return nil, fmt.Errorf("simulated machine %s: MAC %q is not 6 bytes", cfg.Name, cfg.MAC)
	case cfg.Arch != AMD64 && cfg.Arch != ARM64:
		return nil, fmt.Errorf("simulated machine %s: architecture %q is neither %s nor %s", cfg.Name, cfg.Arch, AMD64, ARM64)
	}
	if cfg.Processor == "" {
		cfg.Processor = "Generic " + platforms[cfg.Arch].uname + " processor"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Model == "" {
		cfg.Model = "generic " + cfg.Arch
	}
	m := &Machine{cfg: cfg, mains: ctx, since: cfg.Now()}
	if cfg.Installed {
		m.disk = disk{system: installers["url"].system, hostname: hostname(cfg.Name)}
	}
	return m, nil
}

// PoweredOn says whether the machine is on. One that shut itself down is off.
func (m *Machine) PoweredOn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

// SetPower works the power switch: on boots the machine if it was off, off ends
// at once whatever it does.
func (m *Machine) SetPower(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case on && !m.on:
		m.on = true
		m.start((*run).boot)
	case !on:
		m.on = false
		m.interrupt()
	}
}

// Reset ends at once whatever the machine does, and boots it. It does nothing
// to a machine that is off.
func (m *Machine) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on {
		m.start((*run).boot)
	}
}

// SetBootDevice says what the machine is to boot from, the next time only
// unless persistent. BootNone is the firmware's own order: network, then disk.
// The EFI flag changes nothing, as on machines whose firmware knows only UEFI.
func (m *Machine) SetBootDevice(dev ipmi.BootDevice, persistent, _ bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bootDevice, m.persistent = dev, persistent
}

// ReadSerial moves into p what the machine has printed, and returns how many
// bytes that are: 0 when there is nothing. About 16 KiB wait for a reader that
// comes again, 4 KiB when none does; the oldest lines make room.
func (m *Machine) ReadSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.serial.read(p)
}

// NotifySerial has notify called whenever the machine has printed, with the
// machine locked: notify must not block nor call the machine. It replaces the
// one given before.
func (m *Machine) NotifySerial(notify func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serial.notify = notify
}

// WriteSerial types p on the machine's serial port and returns len(p): what is
// typed while nothing waits for keys is lost, as on a real machine.
func (m *Machine) WriteSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range p {
		m.key(c)
	}
	return len(p)
}

// Wait blocks until the context of NewMachine has ended, and then until the
// machine's goroutine has.
func (m *Machine) Wait() {
	<-m.mains.Done()
	m.mu.Lock()
	m.unplugged = true
	m.mu.Unlock()
	m.wg.Wait()
}

// run is one stretch of what a machine does without being asked: from power-on
// to a prompt, or from a command that reboots it. Once it is not the machine's
// current run any more, nothing it does has an effect.
type run struct {
	*Machine
	ctx  context.Context //nolint:containedctx // ends with the run
	stop context.CancelFunc
}

// start ends what the machine does and lets it do work instead, in a goroutine
// that ends with work, or soon after the run's context. m.mu is held.
func (m *Machine) start(work func(*run)) {
	m.interrupt()
	if m.unplugged || m.mains.Err() != nil {
		return
	}
	r := &run{Machine: m}
	r.ctx, r.stop = context.WithCancel(m.mains)
	m.current = r
	m.wg.Go(func() {
		defer r.stop()
		work(r)
	})
}

// interrupt ends what the machine does and takes its prompt away. m.mu is held.
func (m *Machine) interrupt() {
	if m.current != nil {
		m.current.stop()
		m.current = nil
	}
	m.terminal = terminal{}
}

// say prints lines at the machine's pace.
func (r *run) say(lines ...string) {
	for _, line := range lines {
		r.pause()
		r.print(line + "\r\n")
	}
}

// print prints text as it is.
func (r *run) print(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == r {
		r.serial.write(text)
	}
}

// pause lets the time between two lines pass, or the run end.
func (r *run) pause() {
	if r.cfg.Pace <= 0 || r.ctx.Err() != nil {
		return
	}
	t := time.NewTimer(r.cfg.Pace)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
}

// waitForKeys ends the run: from here on the machine only answers keys.
func (r *run) waitForKeys(mode mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == r {
		r.current = nil
		r.prompt(mode)
	}
}

// powerDown ends the run with the machine off.
func (r *run) powerDown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == r {
		r.current = nil
		r.on = false
	}
}
