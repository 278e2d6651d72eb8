package sim

import (
	"context"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
)

// furnished is Equipped hardware with little in it.
type furnished struct{ nothing }

func (furnished) Sensors() []Sensor {
	return []Sensor{{Number: 1, Name: "Temp", Unit: 1, Multiplier: 1}}
}
func (furnished) ReadSensor(uint8) Reading { return Reading{Raw: 20} }
func (furnished) Events() []Event          { return []Event{{At: time.Unix(1700000000, 0)}} }
func (furnished) Inventory() Inventory     { return Inventory{Serial: "S1"} }

// FuzzEquipment is a client that sends anything in the commands that read
// sensors, event log and inventory.
func FuzzEquipment(f *testing.F) {
	f.Add(uint8(0), []byte{1})
	f.Add(uint8(2), []byte{0, 0, 1, 0, 0, 0xff})
	f.Add(uint8(3), []byte{1, 0, 1, 0, 4, 3})
	f.Add(uint8(4), []byte{0, 4, 0, 8})
	core := bmc.New(bmc.DeviceInfo{}, [16]byte{}, &board{chassis: chassis{hw: furnished{}}})
	reference := handlers.NewRegistry()
	handlers.RegisterStorageHandlers(reference)
	reg := handlers.NewRegistry()
	reg.Merge(reference)
	registerEquipment(reg, reference)
	call := &handlers.HandlerContext{BMC: core, Session: &bmc.Session{PrivilegeLevel: bmc.PrivilegeLevelAdministrator}}
	cmds := []types.Command{
		types.CommandGetSensorReading, types.CommandGetSELInfo, types.CommandGetSELEntry, types.CommandGetSDR, types.CommandReadFRUData, types.CommandGetSDRRepoInfo,
	}
	f.Fuzz(func(t *testing.T, which uint8, req []byte) {
		cmd := cmds[int(which)%len(cmds)]
		res, code, err := reg.Dispatch(context.Background(), call, uint8(cmd.NetFn), cmd.ID, req)
		if err != nil || code == types.CodeInvalidCommand || code == types.CodeInsufficientPrivilege || len(res) > 255 {
			t.Errorf("%s: %d bytes, %v, %v", cmd.Name, len(res), code, err)
		}
	})
}
