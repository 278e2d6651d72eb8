package ipmi

import (
	"errors"
	"testing"
)

func FuzzDeviceInfo(f *testing.F) {
	f.Add([]byte{0x20, 0x81, 0x02, 0x81, 0x02, 0xdf, 0xa2, 0x02, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x15})
	f.Add(make([]byte, 11))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := parseDeviceInfo(data)
		if (err != nil) != (len(data) < 11) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if info.Manufacturer > 0xfffff || plain(info.Firmware) != info.Firmware {
			t.Errorf("%+v", info)
		}
	})
}

// Answers as the BMCs of real machines give them.
func TestDeviceInfoOfRealBMCs(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     []byte
		want     DeviceInfo
		maker    string
		supports DeviceSupport
	}{
		{
			"iDRAC", []byte{0x20, 0x81, 0x02, 0x81, 0x02, 0xdf, 0xa2, 0x02, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x15},
			DeviceInfo{DeviceID: 0x20, Revision: 1, Firmware: "2.81", IPMIVersion: "2.0", Manufacturer: 674, Product: 0x0100, Supports: 0xdf, Auxiliary: [4]byte{0, 0, 0, 0x15}},
			"Dell", SupportsChassis | SupportsSensors | SupportsSDRs | SupportsSEL | SupportsFRU,
		},
		{
			"Supermicro", []byte{0x20, 0x01, 0x03, 0x88, 0x02, 0xbf, 0x7c, 0x2a, 0x00, 0x2a, 0x08, 0x00, 0x00, 0x00, 0x00},
			DeviceInfo{DeviceID: 0x20, Revision: 1, Firmware: "3.88", IPMIVersion: "2.0", Manufacturer: 10876, Product: 0x082a, Supports: 0xbf},
			"Supermicro", SupportsChassis,
		},
		{
			"iLO without an auxiliary revision, updating", []byte{0x13, 0x01, 0x82, 0x05, 0x51, 0x8f, 0x0b, 0x00, 0xf0, 0x00, 0x20},
			DeviceInfo{DeviceID: 0x13, Revision: 1, Firmware: "2.05", IPMIVersion: "1.5", Manufacturer: 11, Product: 0x2000, Supports: 0x8f, Updating: true},
			"HPE", SupportsSEL,
		},
		{
			"nobody in particular", []byte{0, 0, 0, 0, 0x02, 0, 0x39, 0x30, 0x00, 0, 0, 1},
			DeviceInfo{Firmware: "0.00", IPMIVersion: "2.0", Manufacturer: 12345, Auxiliary: [4]byte{1}},
			"enterprise 12345", 0,
		},
	} {
		got, err := parseDeviceInfo(tt.data)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
		if got.Manufacturer.String() != tt.maker || !got.Supports.Has(tt.supports) {
			t.Errorf("%s: made by %v, supports %08b", tt.name, got.Manufacturer, got.Supports)
		}
	}
	for n := range 11 {
		if _, err := parseDeviceInfo(make([]byte, n)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if got := Manufacturer(0).String(); got != "unspecified" {
		t.Errorf("manufacturer 0 is %q", got)
	}
}
