package tui

import (
	"fmt"
	"testing"
	"time"

	"provisioner/ipmi"
)

// equipped is a BMC with sensors, an event log and an inventory, in which not
// all is well.
func equipped(b *fakeBMC) {
	limit := func(v float64) *float64 { return &v }
	b.device = ipmi.DeviceInfo{Manufacturer: 674, Product: 0x100, Firmware: "2.81", IPMIVersion: "2.0"}
	b.fru = ipmi.FRU{
		Board:    ipmi.FRUBoard{Manufacturer: "Dell Inc.", Name: "0H3K7P", Serial: "CNFCP0019", Made: time.Date(2023, 5, 1, 0, 0, 0, 0, time.UTC)},
		Product:  ipmi.FRUProduct{Manufacturer: "Dell Inc.", Name: "PowerEdge R7525", Serial: "7GQ2XK3", AssetTag: "LAB-0042"},
		Problems: []string{"the chassis area's checksum does not agree"},
	}
	b.sensors = []ipmi.Sensor{
		{
			Name: "Inlet Temp", HasValue: true, Value: 23, Unit: "°C",
			Thresholds: ipmi.Thresholds{LowerCritical: limit(3), UpperNonCritical: limit(38), UpperCritical: limit(42)},
		},
		{
			Name: "CPU1 Temp", HasValue: true, Value: 97, Unit: "°C", Status: ipmi.SensorCritical,
			Thresholds: ipmi.Thresholds{LowerCritical: limit(3), UpperCritical: limit(95)},
		},
		{Name: "Fan1A", HasValue: true, Value: 480, Unit: "RPM", Status: ipmi.SensorWarning, Thresholds: ipmi.Thresholds{LowerCritical: limit(360)}},
		{Name: "Fan1B", Status: ipmi.SensorUnavailable},
		{Name: "PS1 Status", States: []string{"present", "input lost"}, Status: ipmi.SensorCritical},
		{Name: "PS2 Status", States: []string{"present"}},
	}
	for i := range 12 {
		b.sensors = append(b.sensors, ipmi.Sensor{Name: fmt.Sprintf("DIMM A%d", i+1), HasValue: true, Value: float64(30 + i), Unit: "°C"})
	}
	b.events = []ipmi.SELEntry{
		{Time: pi(), Sensor: "CPU1 Temp", Event: "upper critical, going high", Asserted: true, Status: ipmi.SensorCritical},
		{Time: pi().Add(-time.Hour), Sensor: "PS1 Status", Event: "input lost", Asserted: true, Status: ipmi.SensorCritical},
		{SinceStart: 90 * time.Second, Sensor: "Intrusion", Event: "general chassis intrusion", Status: ipmi.SensorOK},
	}
	b.settings = ipmi.SOLSettings{Enabled: true, BitRate: 115200, Unknown: []string{"payload port"}}
}

func TestInventoryOfAMachine(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace, _ := westLab(t)
		b := s.bmc("amd-rome-01")
		b.change(equipped)
		slow := make(chan struct{})
		b.change(func(b *fakeBMC) { b.slow = slow })
		p := s.atMachine(grace, w, "amd-rome-01")
		p.press("i")
		p.awaits("amd-rome-01: hardware", "PowerEdge R7525", "reading ...")
		p.golden("inventory-reading-" + w.name) // what is quick is there while the rest comes
		close(slow)
		p.awaits("as of 09:26:53", "Sensors: 18, 3 of them amiss", "97 °C")
		p.golden("inventory-" + w.name)
		p.press("G")
		p.awaits("115200 bit/s", "general chass")
		p.golden("inventory-end-" + w.name)
		p.press("g", "r")
		p.awaits("✓ this is what the BMC said a moment ago", "PowerEdge")
		s.advance(time.Minute)
		b.change(func(b *fakeBMC) { b.sensors[1].Value, b.sensors[1].Status = 60, ipmi.SensorOK })
		p.press("r")
		p.awaits("as of 09:27:53", "60 °C", "2 of them amiss")
		p.press(escapeKey)
		p.awaits("● live")
	})
}

func TestInventoryOfABMCThatLacksSome(t *testing.T) {
	s, grace, _ := westLab(t)
	b := s.bmc("ampere-01") // which ada holds: anybody may look
	b.change(equipped)
	b.change(func(b *fakeBMC) {
		b.lacks = &ipmi.Error{Op: "sensors", Addr: "10.0.3.7:623", Err: fmt.Errorf("%w: \x1b[2Jinvalid command (completion code C1h)", ipmi.ErrRefused)}
		b.events = nil
	})
	p := s.atMachine(grace, small, "ampere-01")
	p.press("i")
	p.awaits("refused: [2Jinvalid command", "none")
	p.golden("inventory-lacks-80x24")
}

func TestInventoryOfADeadBMCSaysWhatIsKnown(t *testing.T) {
	s, grace, _ := westLab(t)
	b := s.bmc("amd-rome-01")
	b.change(equipped)
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("i")
	p.awaits("hardware", "↑↓ more  as of 09:26:53")
	s.advance(2 * time.Hour)
	b.change(deadBMC)
	p.press("r")
	p.awaits("inventory of amd-rome-01: BMC 10.0.3.7: no answer in 5s", "PowerEdge R7525")
	p.golden("inventory-dead-80x24")
}
