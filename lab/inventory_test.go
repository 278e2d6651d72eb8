package lab_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/lab"
)

func TestInventoryIsReadWhenItIsOld(t *testing.T) {
	f := newFixture(t)
	bmc := f.bmcs["bmc-web-01"]
	for _, tt := range []struct {
		after time.Duration
		parts []lab.InventoryPart
		asked []string
	}{
		{0, []lab.InventoryPart{lab.InventoryFRU}, []string{"fru"}},
		{0, nil, []string{"device", "sensors", "events 100", "console settings"}},
		{29 * time.Second, nil, nil},
		{time.Second, nil, []string{"sensors", "events 100"}},
		{time.Hour, []lab.InventoryPart{lab.InventorySensors}, []string{"sensors"}},
		{0, nil, []string{"device", "fru", "events 100", "console settings"}},
	} {
		f.advance(tt.after)
		got, err := f.Inventory(t.Context(), f.grace, "web-01", tt.parts...) // who holds nothing
		f.must(err)
		if asked := bmc.orders(); !reflect.DeepEqual(asked, tt.asked) {
			t.Errorf("after %v, %v: the BMC was asked %q, want %q", tt.after, tt.parts, asked, tt.asked)
		}
		if got.FRU.Value.Product.Serial != "SVCTAG7" || got.FRU.Problem != "" {
			t.Errorf("after %v: %+v", tt.after, got.FRU)
		}
	}
	got, err := f.Inventory(t.Context(), f.ada, "web-01")
	f.must(err)
	if got.Device.Value.Manufacturer.String() != "Dell" || len(got.Sensors.Value) != 1 || len(got.Events.Value) != 1 || !got.Sensors.At.Equal(f.clock()) {
		t.Errorf("%+v", got)
	}
}

func TestWhatABMCLacksIsAProblemOfThePart(t *testing.T) {
	f := newFixture(t)
	bmc := f.bmcs["bmc-web-01"]
	bmc.mu.Lock()
	bmc.fruErr = &ipmi.Error{Op: "inventory", Addr: "10.0.0.1:623", Err: fmt.Errorf("%w: invalid command", ipmi.ErrRefused)}
	bmc.mu.Unlock()
	for _, asked := range [][]string{{"device", "fru", "sensors", "events 100", "console settings"}, nil} {
		got, err := f.Inventory(t.Context(), f.ada, "web-01")
		f.must(err)
		if got.FRU.Problem != "BMC 10.0.0.1:623: inventory: refused: invalid command" || got.Sensors.Problem != "" || len(got.Sensors.Value) != 1 {
			t.Errorf("%+v", got)
		}
		if orders := bmc.orders(); !reflect.DeepEqual(orders, asked) {
			t.Errorf("the BMC was asked %q, want %q", orders, asked)
		}
	}
	f.advance(30 * time.Second) // it may have been busy
	bmc.mu.Lock()
	bmc.fruErr = nil
	bmc.mu.Unlock()
	got, err := f.Inventory(t.Context(), f.ada, "web-01", lab.InventoryFRU)
	f.must(err)
	if got.FRU.Problem != "" || got.FRU.Value.Product.Serial == "" {
		t.Errorf("%+v", got.FRU)
	}
}

func TestInventoryOfABMCThatIsGone(t *testing.T) {
	f := newFixture(t)
	bmc := f.bmcs["bmc-web-01"]
	before, err := f.Inventory(t.Context(), f.ada, "web-01")
	f.must(err)
	bmc.orders()
	bmc.fail(&ipmi.Error{Op: "sensors", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	f.advance(time.Minute)
	got, err := f.Inventory(t.Context(), f.ada, "web-01")
	f.refused(err, lab.Unavailable, "inventory of web-01", "no answer")
	if orders := bmc.orders(); !reflect.DeepEqual(orders, []string{"sensors"}) {
		t.Errorf("the BMC was asked %q", orders)
	}
	if !reflect.DeepEqual(got.Sensors.Value, before.Sensors.Value) || !got.Sensors.At.Equal(before.Sensors.At) || got.Sensors.Problem == "" || got.FRU.Problem != "" {
		t.Errorf("%+v", got)
	}
	_, err = f.Inventory(t.Context(), f.ada, "no-such")
	f.refused(err, lab.NotFound)
	f.must(f.AddMachine(t.Context(), lab.Local, lab.NewMachine{Name: "bare-01", Arch: "amd64", Subarch: "uefi"}))
	_, err = f.Inventory(t.Context(), f.ada, "bare-01")
	f.refused(err, lab.Invalid, "has no BMC")
}

func TestOnePersonReadsAndTheOthersGetTheSame(t *testing.T) {
	f := newFixture(t)
	bmc := f.bmcs["bmc-web-01"]
	bmc.reading = make(chan struct{})
	const people = 5
	answers := make(chan error, people)
	ask := func() {
		got, err := f.Inventory(t.Context(), f.ada, "web-01", lab.InventorySensors)
		if err == nil && len(got.Sensors.Value) != 1 {
			err = fmt.Errorf("%+v", got)
		}
		answers <- err
	}
	go ask() // ends with its answer, like those below
	<-bmc.reading
	for range people - 1 {
		go ask()
	}
	hasty, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Inventory(hasty, f.ada, "web-01", lab.InventorySensors); !errors.Is(err, context.Canceled) {
		t.Errorf("who is gone: %v", err)
	}
	bmc.reading <- struct{}{}
	for range people {
		f.must(<-answers)
	}
	if orders := bmc.orders(); !reflect.DeepEqual(orders, []string{"sensors"}) {
		t.Errorf("the BMC was asked %q", orders)
	}
}

func TestEventLog(t *testing.T) {
	f := newFixture(t)
	bmc := f.bmcs["bmc-web-01"]
	for _, tt := range []struct {
		last  int
		asked []string
	}{
		{50, []string{"sensors", "events 100"}}, // the sensors for their names
		{100, nil},
		{101, []string{"events 101"}},
		{4096, []string{"events 4096"}},
	} {
		got, err := f.EventLog(t.Context(), f.ada, "web-01", tt.last)
		f.must(err)
		if asked := bmc.orders(); len(got.Value) != 1 || !reflect.DeepEqual(asked, tt.asked) {
			t.Errorf("%d: %+v, the BMC was asked %q, want %q", tt.last, got, asked, tt.asked)
		}
	}
	for _, last := range []int{-1, 0, 4097} {
		_, err := f.EventLog(t.Context(), f.ada, "web-01", last)
		f.refused(err, lab.Invalid, "1 to 4096")
	}
}
