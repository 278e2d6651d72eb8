package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"provisioner/ipmi"
)

func ptr(v float64) *float64 { return &v }

// inventoried is a product whose first BMC has something to say.
func inventoried(t *testing.T) *product {
	t.Helper()
	p := start(t)
	p.bmc.sensors = []ipmi.Sensor{
		{
			Number: 1, Name: "Inlet Temp", Type: ipmi.SensorTemperature, HasValue: true, Value: 23.25, Unit: "°C",
			Thresholds: ipmi.Thresholds{LowerCritical: ptr(3), UpperNonCritical: ptr(42), UpperCritical: ptr(47)},
		},
		{Number: 2, Name: "FAN\x1b[2J1", Type: ipmi.SensorFan, Status: ipmi.SensorWarning, HasValue: true, Value: 450, Unit: "RPM", Thresholds: ipmi.Thresholds{LowerNonCritical: ptr(600)}},
		{Number: 0x30, Name: "PS1 Status", Type: ipmi.SensorPowerSupply, Status: ipmi.SensorCritical, States: []string{"present", "input lost"}},
		{Number: 0x31, Name: "CPU2 Temp", Type: ipmi.SensorTemperature, Status: ipmi.SensorUnavailable, Unit: "°C"},
	}
	at := time.Date(2026, time.November, 20, 12, 30, 1, 0, time.UTC)
	p.bmc.events = []ipmi.SELEntry{
		{ID: 3, Time: at, Sensor: "PS1 Status", Event: "input lost"},
		{ID: 2, Time: at.Add(-time.Minute), Sensor: "PS1 Status", Event: "input lost", Asserted: true, Status: ipmi.SensorCritical},
		{ID: 1, SinceStart: 75 * time.Second, Sensor: "sensor 99h", Event: "log \x07cleared", Asserted: true},
	}
	p.bmc.fru = ipmi.FRU{
		Product:  ipmi.FRUProduct{Manufacturer: "Dell Inc.", Name: "PowerEdge\x1b R640", Serial: "SVCTAG7"},
		Board:    ipmi.FRUBoard{Manufacturer: "DELL", Name: "06NR82", Made: at},
		Problems: []string{"chassis area: its checksum does not agree"},
	}
	p.bmc.settings = ipmi.SOLSettings{
		Enabled: true, ForceEncryption: true, Privilege: ipmi.PrivilegeOperator, AccumulateInterval: 60 * time.Millisecond, SendThreshold: 96,
		RetryCount: 7, RetryInterval: 500 * time.Millisecond, BitRate: 115200, Unknown: []string{"payload port", "non-volatile bit rate"},
	}
	return p
}

func TestInventoryForPeople(t *testing.T) {
	p := inventoried(t)
	grace := p.enrolled("grace", false) // who holds nothing
	for command, want := range map[string]string{
		"sensors web-01": `
SENSOR      READING              STATUS       NORMAL
Inlet Temp  23.25 °C             ok           3 to 47
FAN[2J1     450 RPM              warning      from 600
PS1 Status  present, input lost  critical     -
CPU2 Temp   -                    unavailable  -
`,
		"sel web-01": `
TIME                 SENSOR      EVENT              STATUS
1m15s after start    sensor 99h  log cleared        ok
2026-11-20 12:29:01  PS1 Status  input lost         critical
2026-11-20 12:30:01  PS1 Status  ended: input lost  ok
`,
		"sel web-01 --last 1": `
TIME                 SENSOR      EVENT              STATUS
2026-11-20 12:30:01  PS1 Status  ended: input lost  ok
`,
		"fru web-01": `
Manufacturer  Dell Inc.
Product       PowerEdge R640
Serial        SVCTAG7
Board         DELL 06NR82
Board made    2026-11-20
BMC           unspecified, product 0000h, firmware , IPMI 
`,
		"bmc web-01": `
BMC                  unspecified, product 0000h, firmware , IPMI 
Console              enabled
Bit rate             115200 bit/s
Collects output for  60ms, or 96 characters
Sends again          7 times, every 500ms
Takes                encryption, privilege operator
Not told             payload port, non-volatile bit rate
`,
	} {
		if r := p.run("grace", grace, command, ""); r.code != 0 || "\n"+r.out != want {
			t.Errorf("%s: exit %d, notes %q:\n%swant%s", command, r.code, r.notes, r.out, want)
		}
	}
	if r := p.run("grace", grace, "fru web-01", ""); !strings.Contains(r.notes, "chassis area: its checksum does not agree") {
		t.Errorf("notes: %q", r.notes)
	}
}

func TestInventoryForScripts(t *testing.T) {
	p := inventoried(t)
	ada := p.enrolled("ada", false)
	for command, want := range map[string]string{
		"sensors web-01 --json": `{"name":"web-01","sensors":[
			{"number":1,"name":"Inlet Temp","type":"temperature","status":"ok","value":23.25,"unit":"°C","states":[],"thresholds":{
				"lower_non_recoverable":null,"lower_critical":3,"lower_non_critical":null,"upper_non_critical":42,"upper_critical":47,"upper_non_recoverable":null}},
			{"number":2,"name":"FAN[2J1","type":"fan","status":"warning","value":450,"unit":"RPM","states":[],"thresholds":{
				"lower_non_recoverable":null,"lower_critical":null,"lower_non_critical":600,"upper_non_critical":null,"upper_critical":null,"upper_non_recoverable":null}},
			{"number":48,"name":"PS1 Status","type":"power supply","status":"critical","value":null,"unit":"","states":["present","input lost"],"thresholds":{
				"lower_non_recoverable":null,"lower_critical":null,"lower_non_critical":null,"upper_non_critical":null,"upper_critical":null,"upper_non_recoverable":null}},
			{"number":49,"name":"CPU2 Temp","type":"temperature","status":"unavailable","value":null,"unit":"°C","states":[],"thresholds":{
				"lower_non_recoverable":null,"lower_critical":null,"lower_non_critical":null,"upper_non_critical":null,"upper_critical":null,"upper_non_recoverable":null}}]}`,
		"sel web-01 --last 1 --json": `{"name":"web-01","events":[{"id":3,"time":"2026-11-20T12:30:01Z","uptime":0,"sensor":"PS1 Status","event":"input lost","asserted":false,
			"status":"ok","raw":"00000000000000000000000000000000"}]}`,
		"fru web-01 --json": `{"name":"web-01","product":{"manufacturer":"Dell Inc.","name":"PowerEdge R640","part_number":"","version":"","serial":"SVCTAG7","asset_tag":""},
			"board":{"manufacturer":"DELL","name":"06NR82","serial":"","part_number":"","made":"2026-11-20"},"chassis":{"part_number":"","serial":""},
			"bmc":{"manufacturer":"unspecified","manufacturer_id":0,"product_id":0,"firmware":"","ipmi":""}}`,
	} {
		r := p.run("ada", ada, command, "")
		var got, expected map[string]any
		if err := json.Unmarshal([]byte(r.out), &got); err != nil {
			t.Errorf("%s: %v in %s", command, err, r.out)
			continue
		}
		if err := json.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatal(err)
		}
		if at, ok := got["at"].(string); ok {
			if _, err := time.Parse(time.RFC3339, at); err != nil {
				t.Error(err)
			}
			delete(got, "at")
		}
		have, _ := json.Marshal(got)
		if expected, _ := json.Marshal(expected); string(have) != string(expected) {
			t.Errorf("%s:\n%s\nwant\n%s", command, have, expected)
		}
	}
}

func TestInventoryThatCannotBeRead(t *testing.T) {
	p := inventoried(t)
	p.bmc.lacks = &ipmi.Error{Op: "sensors", Addr: "10.0.0.1:623", Err: fmt.Errorf("%w: invalid command", ipmi.ErrRefused)}
	ada := p.enrolled("ada", false)
	for command, want := range map[string]struct {
		code  int
		notes string
	}{
		"sensors web-02":       {6, "inventory of web-02: BMC 10.0.0.2:623: chassis status: no answer"},
		"sel web-02":           {6, "no answer"},
		"fru web-02 --json":    {6, "no answer"},
		"sensors no-such":      {3, `there is no machine "no-such"`},
		"sel web-01 --last 0":  {2, "1 to 4096"},
		"sel web-01 --last=-3": {2, "1 to 4096"},
		"sensors web-01":       {6, "sensors of web-01: BMC 10.0.0.1:623: sensors: refused: invalid command"},
	} {
		if r := p.run("ada", ada, command, ""); r.code != want.code || !strings.Contains(r.notes, want.notes) || r.out != "" {
			t.Errorf("%s: %+v", command, r)
		}
	}
}
