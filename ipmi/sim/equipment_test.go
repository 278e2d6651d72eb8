package sim_test

import (
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// equipped is a machine with sensors, events and an inventory.
type equipped struct{ machine }

func (*equipped) Sensors() []sim.Sensor {
	return []sim.Sensor{
		{Number: 1, Name: "Inlet Temp", Type: ipmi.SensorTemperature, Unit: 1, Multiplier: 1, LowerCritical: 3, UpperNonCritical: 42, UpperCritical: 47},
		{Number: 2, Name: "FAN1", Type: ipmi.SensorFan, Unit: 18, Multiplier: 75, LowerCritical: 8},
		{Number: 3, Name: "12V", Type: ipmi.SensorVoltage, Unit: 4, Multiplier: 60, Exponent: -3},
		{Number: 4, Name: "A name of 16 let", Type: ipmi.SensorTemperature, Unit: 1, Multiplier: -2, Exponent: -1},
		{Number: 5, Name: "PS1 Status", Type: ipmi.SensorPowerSupply},
		{Number: 6, Name: "CPU Temp", Type: ipmi.SensorTemperature, Unit: 1, Multiplier: 1},
	}
}

func (*equipped) ReadSensor(number uint8) sim.Reading {
	return map[uint8]sim.Reading{
		1: {Raw: 44}, 2: {Raw: 8}, 3: {Raw: 201}, 4: {Raw: 50}, 5: {States: 1<<0 | 1<<3}, 6: {Unavailable: true},
	}[number]
}

var started = time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC)

func (*equipped) Events() []sim.Event {
	return []sim.Event{
		{Sensor: 0x99, Type: 0x10, State: 2},
		{At: started, Sensor: 5, Type: ipmi.SensorPowerSupply, State: 3},
		{At: started.Add(time.Minute), Sensor: 5, Type: ipmi.SensorPowerSupply, State: 3, Ended: true},
	}
}

func (*equipped) Inventory() sim.Inventory {
	return sim.Inventory{Manufacturer: "Maker", Product: "Product", PartNumber: "PN", Version: "2", Serial: "S1", Board: "Board", BoardSerial: "B1"}
}

func TestEquipmentAsIpmitoolSeesIt(t *testing.T) {
	tool := program(t, "ipmitool", "ipmitool")
	addr := serve(t, sim.New("ADMIN", "secret", &equipped{}))
	run := func(args ...string) []string {
		t.Helper()
		_, port, _ := net.SplitHostPort(addr.String())
		cmd := exec.CommandContext(t.Context(), tool, append([]string{"-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", port, "-U", "ADMIN", "-E", "-N", "2"}, args...)...)
		cmd.Env = append(os.Environ(), "IPMI_PASSWORD=secret", "IPMITOOL_PASSWORD=secret", "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("ipmitool %v: %v\n%s", args, err, out)
		}
		var lines []string
		for line := range strings.Lines(string(out)) {
			cells := strings.Split(line, "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
		return lines
	}
	if got, want := run("sdr", "list"), []string{
		"Inlet Temp|44 degrees C|nc", "FAN1|600 RPM|cr", "12V|12.06 Volts|ok", "A name of 16 let|-10 degrees C|ok", "PS1 Status|0x09|ok", "CPU Temp|no reading|ns",
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("sdr: %q", got)
	}
	if got, want := run("sel", "elist"), []string{
		"1|Unspecified|Unspecified|Event Logging Disabled #0x99|Log area reset/cleared|Asserted",
		"2|11/20/26|12:00:00 UTC|Power Supply PS1 Status|Power Supply AC lost|Asserted",
		"3|11/20/26|12:01:00 UTC|Power Supply PS1 Status|Power Supply AC lost|Deasserted",
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("sel: %q", got)
	}
	fru := strings.Join(run("fru", "print", "0"), "\n")
	for _, want := range []string{"Chassis Serial        : S1", "Board Mfg             : Maker", "Board Product         : Board", "Board Serial          : B1", "Product Name          : Product", "Product Serial        : S1"} {
		if !strings.Contains(fru, want) {
			t.Errorf("fru lacks %q:\n%s", want, fru)
		}
	}
}

func TestEquipmentAsWeSeeIt(t *testing.T) {
	bmcs := map[string]*sim.BMC{
		"plain":    sim.New("ADMIN", "secret", &equipped{}),
		"moonshot": sim.NewMoonshot("ADMIN", "secret", 3, &equipped{}),
	}
	for name, bmc := range bmcs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := ipmi.Config{Addr: serve(t, bmc).String(), Username: "ADMIN", Password: "secret"}
			if name == "moonshot" {
				cfg.Cartridge = 3
			}
			c := ipmi.NewClient(cfg)
			defer func() { _ = c.Close(t.Context()) }()

			sensors, err := c.Sensors(t.Context())
			if err != nil || len(sensors) != 6 {
				t.Fatalf("sensors: %+v, %v", sensors, err)
			}
			inlet, fan, volts, odd, supply, cpu := sensors[0], sensors[1], sensors[2], sensors[3], sensors[4], sensors[5]
			if inlet.Value != 44 || inlet.Status != ipmi.SensorWarning || *inlet.Thresholds.UpperCritical != 47 || fan.Value != 600 || fan.Status != ipmi.SensorCritical ||
				volts.Value != 12.06 || odd.Value != -10 || cpu.Status != ipmi.SensorUnavailable || !reflect.DeepEqual(supply.States, []string{"present", "input lost"}) {
				t.Errorf("sensors: %+v", sensors)
			}
			sent := c.Stats().Sent
			if _, err := c.Sensors(t.Context()); err != nil || c.Stats().Sent-sent != 7 {
				t.Errorf("again: %d packets, %v", c.Stats().Sent-sent, err)
			}
			events, err := c.SEL(t.Context(), 2)
			if err != nil || len(events) != 2 || events[0].Asserted || events[1].Event != "input lost" || events[1].Sensor != "PS1 Status" || !events[1].Time.Equal(started) {
				t.Errorf("events: %+v, %v", events, err)
			}
			fru, err := c.FRU(t.Context())
			if err != nil || fru.Product.Serial != "S1" || fru.Board.Name != "Board" || fru.Board.Made.Year() != 2024 || fru.Problems != nil {
				t.Errorf("inventory: %+v, %v", fru, err)
			}
			info, err := c.DeviceInfo(t.Context())
			if err != nil || info.IPMIVersion != "2.0" || !info.Supports.Has(ipmi.SupportsSDRs|ipmi.SupportsFRU) {
				t.Errorf("device: %+v, %v", info, err)
			}
		})
	}
}

func TestPlainHardwareHasNoEquipment(t *testing.T) {
	c := ipmi.NewClient(ipmi.Config{Addr: serve(t, sim.New("ADMIN", "secret", &machine{})).String(), Username: "ADMIN", Password: "secret"})
	defer func() { _ = c.Close(t.Context()) }()
	_, sensors := c.Sensors(t.Context())
	_, events := c.SEL(t.Context(), 10)
	_, fru := c.FRU(t.Context())
	for what, err := range map[string]error{"sensors": sensors, "events": events, "inventory": fru} {
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
