package ipmi

import (
	"context"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"
)

// PowerState is whether the machine runs.
type PowerState uint8

// The two states that a BMC tells apart.
const (
	PowerOff PowerState = iota
	PowerOn
)

// String returns "off" or "on".
func (s PowerState) String() string {
	if s == PowerOn {
		return "on"
	}
	return "off"
}

// PowerAction is what Chassis Control can do to a machine (IPMI v2.0 §28.3).
type PowerAction uint8

// The first four need no help from the operating system.
const (
	PowerUp    = PowerAction(chassis.ChassisControlPowerUp)
	PowerDown  = PowerAction(chassis.ChassisControlPowerDown) // at once, without a shutdown
	PowerCycle = PowerAction(chassis.ChassisControlPowerCycle)
	PowerReset = PowerAction(chassis.ChassisControlHardReset)
	PowerDiag  = PowerAction(chassis.ChassisControlDiagnosticInterrupt) // an NMI, mostly
	PowerSoft  = PowerAction(chassis.ChassisControlSoftShutdown)        // the system is asked, by ACPI
)

// String returns what follows "power": on, off, cycle, reset, diag or soft.
func (a PowerAction) String() string {
	switch a {
	case PowerUp:
		return "on"
	case PowerDown:
		return "off"
	case PowerCycle:
		return "cycle"
	case PowerReset:
		return "reset"
	case PowerDiag:
		return "diag"
	case PowerSoft:
		return "soft"
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// Power asks the BMC for the machine's power state (IPMI v2.0 §28.2). It
// blocks until the answer, the end of ctx, or the Client's timeout.
func (c *Client) Power(ctx context.Context) (PowerState, error) {
	req := &chassis.GetChassisStatusRequest{}
	r, err := c.ask(ctx, req, true)
	if err != nil {
		return PowerOff, c.fail("chassis status", err)
	}
	var res chassis.GetChassisStatusResponse
	if err := res.Unpack(r.data); err != nil {
		return PowerOff, c.fail("chassis status", fmt.Errorf("%w: %w", ErrProtocol, err))
	}
	if res.PowerIsOn {
		return PowerOn, nil
	}
	return PowerOff, nil
}

// SetPower does something to the machine's power (IPMI v2.0 §28.3). It blocks
// until the BMC has agreed, which may be before the machine has obeyed, or
// without its ever obeying: a system that hangs takes no notice of soft. A BMC
// refuses what makes no sense, such as the reset of a machine that is off, and
// may lack cycle, diag and soft (Table 28-4: they are optional).
//
// When the session proves lost, on, off and soft are tried again on a fresh
// one, the others are not: nobody knows whether the BMC has done them.
//
// A Moonshot cartridge refuses reset (80h), and is power-cycled instead.
func (c *Client) SetPower(ctx context.Context, a PowerAction) error {
	if a == PowerReset && c.cfg.Cartridge != 0 {
		a = PowerCycle
	}
	idempotent := a == PowerUp || a == PowerDown || a == PowerSoft
	_, err := c.ask(ctx, &chassis.ChassisControlRequest{ChassisControl: chassis.ChassisControl(a)}, idempotent)
	return c.fail("power "+a.String(), err)
}

// ask is do for a command that is expected to succeed.
func (c *Client) ask(ctx context.Context, req request, idempotent bool) (reply, error) {
	r, err := c.do(ctx, req, idempotent)
	if err == nil && r.code != uint8(types.CodeOK) {
		err = refused(req.Command(), r.code)
	}
	return r, err
}
