package sim

import (
	"context"
	"testing"
	"time"

	"provisioner/ipmi"
)

func TestHardwareFollowsThePower(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	now := time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC)
	lab, err := StartLab(ctx, LabConfig{
		Machines: 4, Installed: 1, BMCUsername: "admin", BMCPassword: "secret", Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := lab.Wait(); err != nil {
			t.Error(err)
		}
	}()
	m := lab.Machines()[0]
	m.wg.Wait() // it is at its login prompt
	c := ipmi.NewClient(ipmi.Config{Addr: m.BMCAddr, Username: "admin", Password: "secret"})
	defer func() { _ = c.Close(t.Context()) }()
	read := func() map[string]ipmi.Sensor {
		t.Helper()
		sensors, err := c.Sensors(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byName := make(map[string]ipmi.Sensor)
		for _, s := range sensors {
			byName[s.Name] = s
		}
		return byName
	}
	on := read()
	for name, between := range map[string][2]float64{
		"Inlet Temp": {18, 32}, "CPU Temp": {40, 75}, "FAN1": {3000, 9000}, "FAN2": {3000, 9000}, "12V": {11.4, 12.6}, "Power": {100, 400},
	} {
		if s := on[name]; s.Status != ipmi.SensorOK || s.Value < between[0] || s.Value > between[1] {
			t.Errorf("on: %+v, want it between %v", s, between)
		}
	}
	if s := on["PS1 Status"]; s.Status != ipmi.SensorOK || len(s.States) != 1 || s.States[0] != "present" {
		t.Errorf("a power supply: %+v", s)
	}
	m.SetPower(false)
	off := read()
	if off["CPU Temp"].Value >= on["CPU Temp"].Value-15 || off["FAN1"].Status != ipmi.SensorUnavailable || off["Power"].Value > 20 {
		t.Errorf("off: %+v", off)
	}

	events, err := c.SEL(t.Context(), 10)
	if err != nil || len(events) != 6 || events[0].Event != "power up" || !events[0].Time.Equal(now) || events[5].Event != "log cleared" {
		t.Errorf("events: %+v, %v", events, err)
	}
	fru, err := c.FRU(t.Context())
	if err != nil || fru.Product.Name != "amd-rome" || fru.Product.Serial != "SIM5254004D0001" || fru.Board.Name != "AMD EPYC 7742 64-Core Processor" || fru.Problems != nil {
		t.Errorf("inventory: %+v, %v", fru, err)
	}
	if s := lab.Machines()[3].ReadSensor(supply2); s.States != 1<<present|1<<inputLost {
		t.Errorf("a power supply without its cord: %+v", s)
	}
}
