package boot

import (
	"net"
	"testing"
)

func TestDHCPClient(t *testing.T) {
	for _, test := range []struct {
		name     string
		request  SeenRequest
		want     DHCPClient
		text     string
		netboots bool
	}{
		{"BIOS", SeenRequest{Arch: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001"}, DHCPClient{Arch: "amd64", Firmware: BIOS}, "BIOS amd64", true},
		{"UEFI, as IANA has it", SeenRequest{Arch: 7, VendorClass: "PXEClient:Arch:00007:UNDI:003016"}, DHCPClient{Arch: "amd64", Firmware: UEFI}, "UEFI amd64", true},
		{"UEFI, as the RFC has it", SeenRequest{Arch: 9, VendorClass: "PXEClient"}, DHCPClient{Arch: "amd64", Firmware: UEFI}, "UEFI amd64", true},
		{"32 bits of UEFI", SeenRequest{Arch: 6, VendorClass: "PXEClient"}, DHCPClient{Arch: "amd64", Firmware: UEFI}, "UEFI amd64", true},
		{"arm32", SeenRequest{Arch: 10, VendorClass: "PXEClient"}, DHCPClient{Arch: "armhf", Firmware: UEFI}, "UEFI armhf", true},
		{"arm64", SeenRequest{Arch: 11, VendorClass: "PXEClient"}, DHCPClient{Arch: "arm64", Firmware: UEFI}, "UEFI arm64", true},
		{"arm64 with U-Boot", SeenRequest{Arch: 22, VendorClass: "PXEClient"}, DHCPClient{Arch: "arm64"}, "arm64", true},
		{"riscv64", SeenRequest{Arch: 27, VendorClass: "PXEClient"}, DHCPClient{Arch: "riscv64", Firmware: UEFI}, "UEFI riscv64", true},
		{"UEFI HTTP boot", SeenRequest{Arch: 16, VendorClass: "HTTPClient:Arch:00016:UNDI:003001"}, DHCPClient{Arch: "amd64", Firmware: UEFI, HTTP: true}, "UEFI amd64 over HTTP", true},
		{"arm64 HTTP boot", SeenRequest{Arch: 19, VendorClass: "HTTPClient"}, DHCPClient{Arch: "arm64", Firmware: UEFI, HTTP: true}, "UEFI arm64 over HTTP", true},
		{"HTTP boot that says so by its class only", SeenRequest{Arch: 11, VendorClass: "HTTPClient"}, DHCPClient{Arch: "arm64", Firmware: UEFI, HTTP: true}, "UEFI arm64 over HTTP", true},
		{"a hook that passes no vendor class", SeenRequest{Arch: 16}, DHCPClient{Arch: "amd64", Firmware: UEFI, HTTP: true}, "UEFI amd64 over HTTP", false},
		{"PXE of a firmware that could do HTTP", SeenRequest{Arch: 16, VendorClass: "PXEClient"}, DHCPClient{Arch: "amd64", Firmware: UEFI}, "UEFI amd64", true},
		{"the vendor class alone", SeenRequest{Arch: -1, VendorClass: "PXEClient:Arch:00011:UNDI:003000"}, DHCPClient{Arch: "arm64", Firmware: UEFI}, "UEFI arm64", true},
		{"a vendor class without a number", SeenRequest{Arch: -1, VendorClass: "PXEClient:Arch:x:UNDI"}, DHCPClient{}, "", true},
		{"a number too large", SeenRequest{Arch: -1, VendorClass: "PXEClient:Arch:65543"}, DHCPClient{}, "", true},
		{"iPXE", SeenRequest{Arch: 0, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClass: "iPXE"}, DHCPClient{Arch: "amd64", Firmware: BIOS, Loader: "iPXE"}, "iPXE on BIOS amd64", true},
		{"iPXE, as RFC 3004 writes it", SeenRequest{Arch: -1, UserClass: "\x04iPXE"}, DHCPClient{Loader: "iPXE"}, "iPXE", false},
		{"GRUB", SeenRequest{Arch: 7, UserClass: "grub"}, DHCPClient{Arch: "amd64", Firmware: UEFI, Loader: "GRUB"}, "GRUB on UEFI amd64", false},
		{"an operating system", SeenRequest{Arch: -1, VendorClass: "MSFT 5.0"}, DHCPClient{}, "", false},
		{"a number of no registry", SeenRequest{Arch: 9999, VendorClass: "PXEClient"}, DHCPClient{}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.request.Client()
			if got != test.want || got.String() != test.text || test.request.Netboots() != test.netboots {
				t.Errorf("got %+v %q %t, want %+v %q %t", got, got, test.request.Netboots(), test.want, test.text, test.netboots)
			}
		})
	}
}

func TestVendor(t *testing.T) {
	for mac, want := range map[string]string{
		"00:25:90:12:34:56": "Supermicro",
		"EC:F4:BB:00:00:01": "Dell",
		"52:54:00:00:00:01": "QEMU",
		"00:15:5d:00:00:01": "Microsoft Hyper-V",
		"02:00:00:00:00:01": "",
		"de:ad:be:ef:00:00": "",
	} {
		parsed, err := net.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		if got := Vendor(parsed); got != want {
			t.Errorf("%s is of %q, want %q", mac, got, want)
		}
	}
	if got := Vendor(net.HardwareAddr{1, 2}); got != "" {
		t.Errorf("half an address is of %q", got)
	}
}

func TestEFIFileArch(t *testing.T) {
	for name, want := range map[string]string{
		"grubx64.efi": "amd64", "MMX64.EFI": "amd64", "shimaa64.efi": "arm64", "bootriscv64.efi": "riscv64", "bootarm.efi": "armhf",
		"grubx64": "", "snponly.efi": "", ".efi": "", "": "", "x64.efi/a": "",
	} {
		if got := EFIFileArch(name); got != want {
			t.Errorf("%q is for %q, want %q", name, got, want)
		}
	}
}
