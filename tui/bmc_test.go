package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"provisioner/ipmi"
)

// fakeBMC is the management controller of a machine that is not there.
type fakeBMC struct {
	lines chan net.Conn

	mu     sync.Mutex
	on     bool
	dead   error    // what every call answers; nil: it works
	inUse  error    // what opening the console answers until it is taken; nil: nobody has it
	orders []string // what it was told

	device   ipmi.DeviceInfo
	fru      ipmi.FRU
	sensors  []ipmi.Sensor
	events   []ipmi.SELEntry
	settings ipmi.SOLSettings
	lacks    error         // what reading the sensors answers; nil: it has some
	slow     chan struct{} // reading the sensors waits until it is closed; nil: it does not
}

func poweredOn(b *fakeBMC) { b.on = true }

func deadBMC(b *fakeBMC) { b.dead = errors.New("BMC 10.0.3.7: no answer in 5s") }

// change is for a BMC that is in use already.
func (b *fakeBMC) change(f func(*fakeBMC)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

func (b *fakeBMC) works() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dead == nil && b.inUse == nil
}

// told returns what the BMC was told since the last call.
func (b *fakeBMC) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	orders := b.orders
	b.orders = nil
	return orders
}

func (b *fakeBMC) order(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = append(b.orders, fmt.Sprintf(format, args...))
	return b.dead
}

func (b *fakeBMC) Power(context.Context) (ipmi.PowerState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on {
		return ipmi.PowerOn, b.dead
	}
	return ipmi.PowerOff, b.dead
}

func (b *fakeBMC) SetPower(_ context.Context, action ipmi.PowerAction) error {
	if err := b.order("power %v", action); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = action != ipmi.PowerDown
	return nil
}

func (b *fakeBMC) Identify(_ context.Context, light ipmi.Light) error {
	return b.order("light %v", light)
}

func (b *fakeBMC) SetBootDevice(_ context.Context, device ipmi.BootDevice, options ipmi.BootOptions) error {
	return b.order("boot %v efi=%v persistent=%v", device, options.EFI, options.Persistent)
}

func (b *fakeBMC) OpenSOL(_ context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead != nil {
		return nil, b.dead
	}
	if b.inUse != nil && !takeOver {
		return nil, b.inUse
	}
	b.inUse = nil
	ours, theirs := net.Pipe()
	b.lines <- ours
	return fakeStream{theirs}, nil
}

// fakeStream is a console on which a BREAK is a text.
type fakeStream struct{ net.Conn }

const breakText = "<BREAK>"

func (s fakeStream) SendBreak(context.Context) error {
	_, err := io.WriteString(s, breakText)
	return err
}

func (b *fakeBMC) DeviceInfo(context.Context) (ipmi.DeviceInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.device, b.dead
}

func (b *fakeBMC) FRU(context.Context) (ipmi.FRU, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fru, b.dead
}

func (b *fakeBMC) Sensors(ctx context.Context) ([]ipmi.Sensor, error) {
	b.mu.Lock()
	slow := b.slow
	b.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sensors), errors.Join(b.lacks, b.dead)
}

func (b *fakeBMC) SEL(_ context.Context, limit int) ([]ipmi.SELEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events[:min(limit, len(b.events))]), b.dead
}

func (b *fakeBMC) SOLSettings(context.Context) (ipmi.SOLSettings, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settings, b.dead
}

func (b *fakeBMC) Close(context.Context) error { return nil }

// line is the machine's end of the console that was opened last.
func (b *fakeBMC) line(t testing.TB) net.Conn {
	t.Helper()
	select {
	case c := <-b.lines:
		t.Cleanup(func() { _ = c.Close() })
		return c
	case <-time.After(patience):
		t.Fatal("nobody opened the console")
		return nil
	}
}
