package sim

import (
	"context"
	"sync"

	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"

	"provisioner/ipmi"
)

// board is the reference server's view of the hardware: a chassis, a serial
// port, and the stores of Equipped hardware. Sensors are read by handlers of
// our own.
type board struct {
	chassis chassis
	serial  *serialPort
}

func (b *board) Chassis() hal.ChassisHAL { return &b.chassis }
func (b *board) Console() hal.ConsoleHAL { return b.serial }
func (*board) Sensors() hal.SensorHAL    { return nil }
func (*board) Network() hal.NetworkHAL   { return nil }
func (*board) GPIO() hal.GPIOHAL         { return nil }
func (*board) I2C() hal.I2CHAL           { return nil }
func (*board) Close() error              { return nil }

func (b *board) Storage() hal.StorageHAL {
	if hw, ok := b.chassis.hw.(Equipped); ok {
		return store{hw}
	}
	return nil
}

type chassis struct {
	hw Hardware

	mu    sync.Mutex
	flags *types.BootOptionParam_BootFlags // nil until they are set
	ack   types.BootOptionParam_BootInfoAcknowledge
}

func (c *chassis) PowerState(context.Context) (bool, error) { return c.hw.PoweredOn(), nil }

func (c *chassis) SetPower(_ context.Context, on bool) error {
	c.hw.SetPower(on)
	return nil
}

// PowerCycle does nothing to a machine that is off (IPMI v2.0 §28.3).
func (c *chassis) PowerCycle(context.Context) error {
	if c.hw.PoweredOn() {
		c.hw.SetPower(false)
		c.hw.SetPower(true)
	}
	return nil
}

func (c *chassis) ColdReset(context.Context) error {
	c.hw.Reset()
	return nil
}

// WarmReset is what the reference server calls for a soft shutdown.
func (c *chassis) WarmReset(context.Context) error {
	c.hw.SetPower(false)
	return nil
}

// Identify is given 255 seconds for a light that stays on.
func (c *chassis) Identify(_ context.Context, seconds uint8) error {
	light := ipmi.LightBrief
	switch seconds {
	case 0:
		light = ipmi.LightOff
	case 0xff:
		light = ipmi.LightOn
	}
	if hw, ok := c.hw.(Lit); ok {
		hw.Identify(light)
	}
	return nil
}

// control is the reference server's Chassis Control, which refuses the
// diagnostic interrupt, and the diagnostic interrupt.
func control(reference *handlers.Registry) handlers.HandlerFunc {
	cmd := types.CommandChassisControl
	return func(ctx context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		if len(req) == 0 || ipmi.PowerAction(req[0]&0x0f) != ipmi.PowerDiag {
			return reference.Dispatch(ctx, call, uint8(cmd.NetFn), cmd.ID, req)
		}
		if c, ok := call.BMC.HAL().Chassis().(*chassis); ok {
			if hw, ok := c.hw.(Interrupted); ok {
				hw.Interrupt()
			}
		}
		return nil, types.CodeOK, nil
	}
}

func (*chassis) IntrusionState(context.Context) (bool, error) { return false, hal.ErrNotSupported }

func (c *chassis) SetBootFlags(_ context.Context, flags *types.BootOptionParam_BootFlags) error {
	dev := ipmi.BootDevice(flags.BootDeviceSelector)
	if !flags.BootFlagsValid {
		dev = ipmi.BootNone
	}
	c.mu.Lock()
	kept := *flags
	c.flags = &kept
	c.mu.Unlock()
	c.hw.SetBootDevice(dev, flags.Persist, bool(flags.BIOSBootType))
	return nil
}

func (c *chassis) GetBootFlags(context.Context) (*types.BootOptionParam_BootFlags, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flags == nil {
		return &types.BootOptionParam_BootFlags{}, nil
	}
	kept := *c.flags
	return &kept, nil
}

func (c *chassis) SetBootInfoAcknowledge(_ context.Context, ack *types.BootOptionParam_BootInfoAcknowledge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ack = *ack
	return nil
}

func (c *chassis) GetBootInfoAcknowledge(context.Context) (*types.BootOptionParam_BootInfoAcknowledge, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ack := c.ack
	return &ack, nil
}
