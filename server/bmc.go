package server

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"provisioner/lab"
)

type bmcCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"As JSON."`
}

// jsonController is a machine's BMC as scripts see it.
type jsonController struct {
	Name    string       `json:"name"`
	BMC     *jsonBMC     `json:"bmc"`     // null: it did not say
	Console *jsonConsole `json:"console"` // null: likewise
}

// jsonConsole is how a BMC is set up for consoles. What it did not tell is
// zero, and named in unknown.
type jsonConsole struct {
	Enabled              bool     `json:"enabled"`
	ForceEncryption      bool     `json:"force_encryption"`
	ForceAuthentication  bool     `json:"force_authentication"`
	Privilege            string   `json:"privilege"`
	AccumulateIntervalMS int64    `json:"accumulate_interval_ms"`
	SendThreshold        int      `json:"send_threshold"`
	RetryCount           int      `json:"retry_count"`
	RetryIntervalMS      int64    `json:"retry_interval_ms"`
	BitRate              int      `json:"bit_rate"` // per second; 0: as the port is set up
	NonVolatileBitRate   int      `json:"non_volatile_bit_rate"`
	Port                 int      `json:"port"` // UDP
	Unknown              []string `json:"unknown"`
}

func (c bmcCommand) Run(in *invocation) error {
	inventory, err := in.lab.Inventory(in.ctx, in.actor, c.Name, lab.InventoryDevice, lab.InventoryConsole)
	if err != nil {
		return err
	}
	j := jsonController{Name: c.Name}
	if d := inventory.Device; d.Problem == "" {
		j.BMC = toJSONBMC(d.Value)
	} else {
		in.note(c.Name + ": who the BMC is: " + printable(d.Problem))
	}
	if s := inventory.Console; s.Problem == "" {
		v := s.Value
		j.Console = &jsonConsole{
			Enabled: v.Enabled, ForceEncryption: v.ForceEncryption, ForceAuthentication: v.ForceAuthentication,
			Privilege: v.Privilege.String(), AccumulateIntervalMS: v.AccumulateInterval.Milliseconds(), SendThreshold: v.SendThreshold,
			RetryCount: v.RetryCount, RetryIntervalMS: v.RetryInterval.Milliseconds(),
			BitRate: v.BitRate, NonVolatileBitRate: v.NonVolatileBitRate, Port: v.Port, Unknown: append([]string{}, v.Unknown...),
		}
	} else {
		in.note(c.Name + ": console settings: " + printable(s.Problem))
	}
	if c.JSON {
		return in.print(true, j, "")
	}
	return j.write(in)
}

func toJSONBMC(d lab.DeviceInfo) *jsonBMC {
	return &jsonBMC{d.Manufacturer.String(), int(d.Manufacturer), int(d.Product), d.Firmware, d.IPMIVersion}
}

// String is one line for people.
func (b *jsonBMC) String() string {
	return fmt.Sprintf("%s, product %04Xh, firmware %s, IPMI %s", b.Manufacturer, b.ProductID, b.Firmware, b.IPMI)
}

// write lists what is known, a line each.
func (j jsonController) write(in *invocation) error {
	table := in.table("")
	if j.BMC != nil {
		table.row("BMC", j.BMC.String())
	}
	if s := j.Console; s != nil {
		unknown := make(map[string]bool, len(s.Unknown))
		for _, name := range s.Unknown {
			unknown[name] = true
		}
		row := func(label, unknownAs, value string) {
			if !unknown[unknownAs] {
				table.row(label, value)
			}
		}
		row("Console", "enabled", choose(s.Enabled, "enabled", "disabled"))
		row("Bit rate", "volatile bit rate", bitRate(s.BitRate))
		row("Bit rate after a restart", "non-volatile bit rate", bitRate(s.NonVolatileBitRate))
		row("Collects output for", "accumulate interval and threshold",
			fmt.Sprintf("%s, or %d characters", time.Duration(s.AccumulateIntervalMS)*time.Millisecond, s.SendThreshold))
		row("Sends again", "retry", fmt.Sprintf("%d times, every %s", s.RetryCount, time.Duration(s.RetryIntervalMS)*time.Millisecond))
		row("Takes", "protection and privilege", cmp.Or(strings.Join(present(
			choose(s.ForceEncryption, "encryption", ""), choose(s.ForceAuthentication, "authentication", ""),
			"privilege "+s.Privilege), ", "), "nothing"))
		row("UDP port", "payload port", fmt.Sprint(s.Port))
		if len(s.Unknown) > 0 {
			table.row("Not told", strings.Join(s.Unknown, ", "))
		}
	}
	return table.Flush()
}

func bitRate(rate int) string {
	if rate == 0 {
		return "as the serial port has it"
	}
	return fmt.Sprintf("%d bit/s", rate)
}

func choose(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}

// present returns the texts that are not empty.
func present(texts ...string) (all []string) {
	for _, t := range texts {
		if t != "" {
			all = append(all, t)
		}
	}
	return all
}
