package ipmi_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

const slot = 7

func TestCartridgeIsReachedThroughItsChassis(t *testing.T) {
	hw := &machine{}
	addr := onLoopback(t, sim.NewMoonshot(user, password, slot, hw))
	c := connect(t, ipmi.Config{Addr: addr, Cartridge: slot})

	for _, a := range []ipmi.PowerAction{ipmi.PowerUp, ipmi.PowerReset} {
		if err := c.SetPower(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := c.Power(t.Context()); err != nil || s != ipmi.PowerOn {
		t.Errorf("power %v, %v", s, err)
	}
	if err := c.SetBootDevice(t.Context(), ipmi.BootPXE, ipmi.BootOptions{EFI: true}); err != nil {
		t.Error(err)
	}
	if err := c.Identify(t.Context(), ipmi.LightOff); err != nil {
		t.Error(err)
	}
	want := []string{"on", "off", "on", "boot pxe efi", "light off"} // the reset is a cycle
	if got := hw.did(); !reflect.DeepEqual(got, want) {
		t.Errorf("the machine saw %v, want %v", got, want)
	}
}

func TestConsoleOfACartridge(t *testing.T) {
	hw := &machine{}
	addr := onLoopback(t, sim.NewMoonshot(user, password, slot, hw))
	c := connect(t, ipmi.Config{Addr: addr, Cartridge: slot})
	for range 2 { // the second time because the first was closed
		sol := openSOL(t, c)
		hw.print([]byte("login: "))
		got := make([]byte, 7)
		if _, err := io.ReadFull(sol, got); err != nil || string(got) != "login: " {
			t.Fatalf("read %q, %v", got, err)
		}
		if _, err := sol.Write([]byte("root\r")); err != nil {
			t.Fatal(err)
		}
		if err := sol.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := hw.wasTyped(); got != "root\rroot\r" {
		t.Errorf("the machine was typed %q", got)
	}

	// Taken from somebody who has it.
	first := openSOL(t, c)
	second := openSOL(t, connect(t, ipmi.Config{Addr: addr, Cartridge: slot}))
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, ipmi.ErrSOLActive) {
		t.Errorf("the one who lost it: %v", err)
	}
	if _, err := second.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

func TestCartridgeOnABadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		w := newWire()
		start(t, sim.NewMoonshot(user, password, slot, hw), w.bmc)
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial, Cartridge: slot})
		sol := openSOL(t, c)
		w.mu.Lock()
		w.loss, w.double, w.late = 0.05, 0.05, 0.05
		w.mu.Unlock()
		typed := text(4 << 10)
		if _, err := sol.Write(typed); err != nil {
			t.Fatal(err)
		}
		compare(t, "typed", []byte(hw.wasTyped()), typed)

		// The commands see their answers doubled and out of order, and the
		// acknowledgement of an envelope after what was in it.
		w.mu.Lock()
		w.loss, w.double, w.late = 0, 0.3, 0.3
		w.mu.Unlock()
		for range 100 {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNothingElseIsReachedThroughAChassis(t *testing.T) {
	hw := &machine{}
	addr := onLoopback(t, sim.NewMoonshot(user, password, slot, hw))
	for _, tt := range []struct {
		cfg      ipmi.Config
		want     error
		contains string
	}{
		{ipmi.Config{Addr: addr}, ipmi.ErrRefused, "invalid command"},
		{ipmi.Config{Addr: addr, Cartridge: slot + 1}, ipmi.ErrRefused, "is it in its slot?"},
		{ipmi.Config{Addr: addr, Cartridge: 46}, nil, "cartridges 1 to 45, and no 46"},
	} {
		err := connect(t, tt.cfg).SetPower(t.Context(), ipmi.PowerUp)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.contains) {
			t.Errorf("cartridge %d: %v", tt.cfg.Cartridge, err)
		}
	}
	if got := hw.did(); got != nil {
		t.Errorf("the machine saw %v", got)
	}
}
