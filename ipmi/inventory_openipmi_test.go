package ipmi_test

import (
	"math"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"provisioner/ipmi"
)

// ipmitool runs Debian's ipmitool on the BMC and returns the columns of what
// it prints.
func (o *openIPMI) ipmitool(t *testing.T, separator string, args ...string) [][]string {
	t.Helper()
	program, err := exec.LookPath("ipmitool")
	if err != nil {
		t.Fatal("ipmitool is missing: install the Debian package ipmitool")
	}
	host, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-I", "lanplus", "-C", "3", "-H", host, "-p", port, "-U", "ipmiusr", "-E"}, args...)...)
	cmd.Env = append(os.Environ(), "IPMI_PASSWORD=test", "IPMITOOL_PASSWORD=test")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ipmitool %v: %v", args, err)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		row := strings.Split(line, separator)
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		rows = append(rows, row)
	}
	return rows
}

func TestOpenIPMIInventory(t *testing.T) {
	o := startOpenIPMI(t)
	c := o.client(t, "ipmiusr")

	t.Run("device", func(t *testing.T) {
		got, err := c.DeviceInfo(t.Context())
		want := ipmi.DeviceInfo{
			Manufacturer: 0x1291, Product: 0xf02, Firmware: "9.08", IPMIVersion: "2.0", DeviceID: 0, Revision: 3, Supports: 0x9f,
		}
		if err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if maker := o.ipmitool(t, ":", "mc", "info")[4]; maker[1] != "4753" {
			t.Errorf("ipmitool: %q", maker)
		}
	})

	t.Run("sensors", func(t *testing.T) {
		got, err := c.Sensors(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byName := make(map[string]ipmi.Sensor)
		for _, s := range got {
			byName[s.Name] = s
		}
		for _, row := range o.ipmitool(t, "|", "sensor") {
			value, err := strconv.ParseFloat(row[1], 64)
			s, ok := byName[row[0]]
			if err != nil || row[2] == "discrete" || !ok {
				continue
			}
			delete(byName, row[0])
			if !s.HasValue || math.Abs(s.Value-value) > 0.0006 {
				t.Errorf("%s is %v %s; ipmitool says %v %s", s.Name, s.Value, s.Unit, value, row[2])
			}
		}
		var rest []string // what ipmitool has no number for, or no name
		for _, s := range got {
			if _, left := byName[s.Name]; left {
				rest = append(rest, strings.TrimSpace(strings.Join([]string{s.Name, s.Status.String(), strings.Join(s.States, ", ")}, ": ")))
			}
		}
		want := []string{
			"CPU1 LOAD: ok:", "Off Temp: unavailable:", "PS1 Status: critical: present, input lost", "Fan Redundancy: ok: fully redundant",
			"Chassis: ok:", "DIMMA: ok: present", "DIMMB: ok: present", "DIMMC: critical: uncorrectable error", "12-5: ok: present",
		}
		if !reflect.DeepEqual(rest, want) {
			t.Errorf("besides:\n%q, want\n%q", rest, want)
		}
		if fan := got[1]; fan.Status != ipmi.SensorWarning || *fan.Thresholds.LowerNonCritical != 600 || *fan.Thresholds.LowerCritical != 300 ||
			fan.Thresholds.UpperCritical != nil || fan.Unit != "RPM" || fan.Value != 450 {
			t.Errorf("a slow fan: %+v", fan)
		}
	})

	t.Run("sensors again cost no walk through the repository", func(t *testing.T) {
		before := c.Stats().Sent
		got, err := c.Sensors(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sent := c.Stats().Sent - before; sent != uint64(len(got))+1 {
			t.Errorf("%d packets for %d sensors", sent, len(got))
		}
	})

	t.Run("event log", func(t *testing.T) {
		rows := o.ipmitool(t, "|", "sel", "elist")
		got, err := c.SEL(t.Context(), 100)
		if err != nil || len(got) != len(rows) {
			t.Fatalf("%d entries, %v; ipmitool says %d", len(got), err, len(rows))
		}
		want := []string{
			"sensor 78h: event 70h, state 3, data AA BB",
			"sensor 77h: redundancy lost",
			"sensor 83h: boot event",
			": OEM record E0h: 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D",
			": OEM record C1h of Supermicro: 01 02 03 04 05 06",
			"Inlet Temp: upper critical, going high: 40 °C, threshold 47 °C",
			"Inlet Temp: upper critical, going high: 48 °C, threshold 47 °C",
			"PS1 Status: input lost",
			"PS1 Status: input lost",
			"PS1 Status: present",
			"sensor 99h: log cleared",
		}
		for i, e := range got {
			row := rows[len(rows)-1-i]
			if id, _ := strconv.ParseUint(row[0], 16, 16); uint64(e.ID) != id {
				t.Errorf("entry %d is %d; ipmitool says %s", i, e.ID, row[0])
			}
			if text := e.Sensor + ": " + e.Event; text != want[i] {
				t.Errorf("entry %d: %q, want %q", e.ID, text, want[i])
			}
			if e.Type != 0 && e.Asserted != (row[len(row)-1] != "Deasserted" && row[len(row)-2] != "Deasserted") {
				t.Errorf("entry %d asserted: %v; ipmitool says %q", e.ID, e.Asserted, row)
			}
			if !e.Time.IsZero() || (e.SinceStart >= time.Second) != (e.Type != 0 || e.Raw[2] == 0xc1) {
				t.Errorf("entry %d at %v, %v after the start; ipmitool says %q", e.ID, e.Time, e.SinceStart, row)
			}
		}
		three, err := c.SEL(t.Context(), 3)
		if err != nil || !reflect.DeepEqual(three, got[:3]) {
			t.Errorf("the newest three: %+v, %v", three, err)
		}
	})

	t.Run("inventory", func(t *testing.T) {
		got, err := c.FRU(t.Context())
		want := ipmi.FRU{
			Chassis: ipmi.FRUChassis{PartNumber: "CSE-815", Serial: "C815AB"},
			Board: ipmi.FRUBoard{
				Manufacturer: "Supermicro", Name: "X11DPH-T", Serial: "ZM18A", PartNumber: "12-5",
				Made: time.Date(2021, time.March, 4, 5, 6, 0, 0, time.UTC),
			},
			Product: ipmi.FRUProduct{
				Manufacturer: "Super Micro Computer", Name: "SYS-1029", PartNumber: "PN-77", Version: "0123", Serial: "S2 9X", AssetTag: "BEEF",
			},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		printed := make(map[string]string)
		for _, row := range o.ipmitool(t, ":", "fru", "print", "0") {
			printed[row[0]] = strings.Join(row[1:], ":")
		}
		for name, text := range map[string]string{
			"Chassis Part Number": got.Chassis.PartNumber, "Chassis Serial": got.Chassis.Serial,
			"Board Mfg": got.Board.Manufacturer, "Board Product": got.Board.Name, "Board Serial": got.Board.Serial,
			"Board Part Number": got.Board.PartNumber, "Board Mfg Date": got.Board.Made.Format("Mon Jan _2 15:04:05 2006 MST"),
			"Product Manufacturer": got.Product.Manufacturer, "Product Name": got.Product.Name, "Product Part Number": got.Product.PartNumber,
			"Product Version": got.Product.Version, "Product Serial": got.Product.Serial, "Product Asset Tag": strings.ToLower(got.Product.AssetTag),
		} {
			if printed[name] != text {
				t.Errorf("%s is %q; ipmitool says %q", name, text, printed[name])
			}
		}
	})
}
