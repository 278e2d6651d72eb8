package lab

import (
	"context"
	"errors"
	"fmt"
	"io"

	"provisioner/ipmi"
	"provisioner/store"
)

// BMC is what the lab asks of a management controller. All calls may be made
// at the same time and end with their context.
type BMC interface {
	Power(ctx context.Context) (ipmi.PowerState, error)
	SetPower(ctx context.Context, action ipmi.PowerAction) error
	Identify(ctx context.Context, light ipmi.Light) error
	SetBootDevice(ctx context.Context, device ipmi.BootDevice, options ipmi.BootOptions) error
	// OpenSOL opens the machine's console. One that somebody else has open is
	// taken from them with takeOver, and [ipmi.ErrSOLActive] without.
	OpenSOL(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error)
	// DeviceInfo, Sensors, SEL (the newest entries first, limit at most), FRU
	// and SOLSettings are the parts of the [Inventory].
	DeviceInfo(ctx context.Context) (ipmi.DeviceInfo, error)
	Sensors(ctx context.Context) ([]ipmi.Sensor, error)
	SEL(ctx context.Context, limit int) ([]ipmi.SELEntry, error)
	FRU(ctx context.Context) (ipmi.FRU, error)
	SOLSettings(ctx context.Context) (ipmi.SOLSettings, error)
	// Close ends the session, so that the BMC keeps no room for it.
	Close(ctx context.Context) error
}

// dialRMCP is the BMC of a real machine.
func dialRMCP(b store.BMC) (BMC, error) {
	cfg, err := rmcpConfig(b)
	if err != nil {
		return nil, err
	}
	return rmcpBMC{ipmi.NewClient(cfg)}, nil
}

func rmcpConfig(b store.BMC) (cfg ipmi.Config, err error) {
	switch {
	case b.Type == store.BMCMoonshot && b.Slot == 0:
		return cfg, errors.New("a machine in a Moonshot needs the number of its cartridge (--bmc-slot)")
	case b.Type != store.BMCMoonshot && b.Slot != 0:
		return cfg, errors.New("only a machine in a Moonshot has a slot (--bmc-type moonshot)")
	}
	cfg = ipmi.Config{Addr: b.Address, Username: b.Username, Password: b.Password, Cartridge: b.Slot}
	if cfg.CipherSuites, err = ipmi.ParseCipherSuites(b.CipherSuites); err != nil {
		return cfg, err
	}
	if cfg.KG, err = ipmi.ParseKG(b.KG); err != nil {
		return cfg, err
	}
	if cfg.Privilege, err = ipmi.ParsePrivilege(b.Privilege); err != nil {
		return cfg, err
	}
	return cfg, cfg.Check()
}

// rmcpBMC is a BMC that is reached over the network.
type rmcpBMC struct{ *ipmi.Client }

func (b rmcpBMC) OpenSOL(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	open := b.OpenFreeSOL
	if takeOver {
		open = b.Client.OpenSOL
	}
	sol, err := open(ctx)
	if err != nil {
		return nil, err // a nil *ipmi.SOL in the interface would not be nil
	}
	return sol, nil
}

// advised adds to what a BMC refuses what a person can do about it.
type advised struct{ BMC }

var bmcAdvice = []struct {
	kind   error
	advice string
}{
	{ipmi.ErrNoAnswer, "check that it has power and network, and that its address is right"},
	{ipmi.ErrBadCredentials, "an admin can correct them: provisioner machine add NAME --bmc ADDRESS --bmc-user USER --bmc-password-file FILE"},
	{ipmi.ErrProtocol, "check that a BMC has this address; its firmware may need an update"},
}

func advise(err error) error {
	for _, a := range bmcAdvice {
		if errors.Is(err, a.kind) {
			return fmt.Errorf("%w; %s", err, a.advice)
		}
	}
	return err
}

func (a advised) Power(ctx context.Context) (ipmi.PowerState, error) {
	state, err := a.BMC.Power(ctx)
	return state, advise(err)
}

func (a advised) SetPower(ctx context.Context, action ipmi.PowerAction) error {
	return advise(a.BMC.SetPower(ctx, action))
}

func (a advised) Identify(ctx context.Context, light ipmi.Light) error {
	return advise(a.BMC.Identify(ctx, light))
}

func (a advised) SetBootDevice(ctx context.Context, device ipmi.BootDevice, options ipmi.BootOptions) error {
	return advise(a.BMC.SetBootDevice(ctx, device, options))
}

func (a advised) OpenSOL(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	stream, err := a.BMC.OpenSOL(ctx, takeOver)
	return stream, advise(err)
}

func (a advised) DeviceInfo(ctx context.Context) (ipmi.DeviceInfo, error) {
	info, err := a.BMC.DeviceInfo(ctx)
	return info, advise(err)
}

func (a advised) Sensors(ctx context.Context) ([]ipmi.Sensor, error) {
	sensors, err := a.BMC.Sensors(ctx)
	return sensors, advise(err)
}

func (a advised) SEL(ctx context.Context, limit int) ([]ipmi.SELEntry, error) {
	entries, err := a.BMC.SEL(ctx, limit)
	return entries, advise(err)
}

func (a advised) FRU(ctx context.Context) (ipmi.FRU, error) {
	fru, err := a.BMC.FRU(ctx)
	return fru, advise(err)
}

func (a advised) SOLSettings(ctx context.Context) (ipmi.SOLSettings, error) {
	settings, err := a.BMC.SOLSettings(ctx)
	return settings, advise(err)
}
