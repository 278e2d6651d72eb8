package ipmi

import (
	"context"
	"errors"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"
)

// BootDevice is what a machine is asked to start from, in the codes of the
// boot flags parameter (IPMI v2.0 §28.13, Table 28-14, parameter 5, data 2).
type BootDevice uint8

const (
	BootNone  BootDevice = 0x0 // no override: the firmware's own order
	BootPXE   BootDevice = 0x1
	BootDisk  BootDevice = 0x2
	BootCDROM BootDevice = 0x5
	BootBIOS  BootDevice = 0x6 // into the firmware's setup
)

// String returns the name a person uses: none, pxe, disk, cdrom or bios.
func (d BootDevice) String() string {
	switch d {
	case BootNone:
		return "none"
	case BootPXE:
		return "pxe"
	case BootDisk:
		return "disk"
	case BootCDROM:
		return "cdrom"
	case BootBIOS:
		return "bios"
	}
	return "unknown"
}

// BootOptions refine a boot device.
type BootOptions struct {
	EFI        bool // boot by UEFI rather than as a PC of old
	Persistent bool // for all boots, not the next one only
}

// SetBootDevice sets the boot flags (IPMI v2.0 §28.12). Many BMCs clear them
// unless a power on or reset follows within 60 s.
//
// The flags are framed as firmware in the field wants them: the parameters
// marked as being set, the BIOS told that there is something to read, the
// write committed. A BMC without these niceties is forgiven.
func (c *Client) SetBootDevice(ctx context.Context, dev BootDevice, opt BootOptions) error {
	flags := types.BootOptionParam_BootFlags{
		BootFlagsValid:     true,
		Persist:            opt.Persistent,
		BIOSBootType:       types.BIOSBootType(opt.EFI),
		BootDeviceSelector: types.BootDeviceSelector(dev),
	}
	acknowledge := types.BootOptionParam_BootInfoAcknowledge{ByBIOSPOST: true}
	const setComplete, setInProgress, commitWrite = 0, 1, 2

	err := c.setBootParam(ctx, types.BootOptionParamSelector_SetInProgress, []byte{setInProgress}, true)
	if err == nil {
		err = c.setBootParam(ctx, types.BootOptionParamSelector_BootInfoAcknowledge, acknowledge.Pack(), true)
	}
	if err == nil {
		err = c.setBootParam(ctx, types.BootOptionParamSelector_BootFlags, flags.Pack(), false)
	}
	if err == nil { // a BMC with rollback discards what is not committed
		err = c.setBootParam(ctx, types.BootOptionParamSelector_SetInProgress, []byte{commitWrite}, true)
	}
	if err == nil || errors.Is(err, ErrRefused) { // or nobody else could set anything
		err = errors.Join(err, c.setBootParam(ctx, types.BootOptionParamSelector_SetInProgress, []byte{setComplete}, true))
	}
	return c.fail("set boot device "+dev.String(), err)
}

func (c *Client) setBootParam(ctx context.Context, param types.BootOptionParamSelector, data []byte, optional bool) error {
	req := &chassis.SetSystemBootOptionsParamRequest{ParamSelector: param, ParamData: data}
	r, err := c.do(ctx, req, true)
	if err == nil && r.code != uint8(types.CodeOK) && !optional {
		err = refused(req.Command(), r.code)
	}
	return err
}
