package boot

import (
	"slices"
	"testing"
)

func TestConfigRequest(t *testing.T) {
	const mac = "52:54:00:ab:cd:ef"
	for name, want := range map[string]struct {
		kind Bootloader
		mac  string
	}{
		"/grub/grub.cfg-01-52-54-00-ab-cd-ef":               {GRUB, mac},
		"grub.cfg-01-52-54-00-AB-CD-EF":                     {GRUB, mac},
		"/01-52-54-00-ab-cd-ef":                             {GRUB, mac},
		"grub/x86_64-efi/01-52-54-00-ab-cd-ef":              {GRUB, mac},
		"/boot/01-52-54-00-ab-cd-ef/grub.cfg":               {GRUB, mac},
		"/grub/grub.cfg-01-52:54:00:ab:cd:ef":               {GRUB, mac},
		"pxelinux.cfg/01-52-54-00-ab-cd-ef":                 {PXELINUX, mac},
		"/boot/pxelinux.cfg/01-52-54-00-AB-cd-EF":           {PXELINUX, mac},
		`\pxelinux.cfg\01-52-54-00-ab-cd-ef`:                {PXELINUX, mac},
		"pxelinux.cfg/default":                              {PXELINUX, ""},
		"/boot/pxelinux.cfg/default":                        {PXELINUX, ""},
		"/grub/efidefault":                                  {GRUB, ""},
		"efi/grub/efidefault":                               {GRUB, ""},
		"pxelinux.cfg/44454c4c-3000-1044-8031-b1c04f4d4b31": {},
		"pxelinux.cfg/0A000203":                             {},
		"/grub/grub.cfg":                                    {},
		"/grub/grub.cfg-0A000203":                           {},
		"/grub/grub.cfg-02-52-54-00-ab-cd-ef":               {},
		"/grub/grub.cfg-01-52-54-00-ab-cd":                  {},
		"/grub/grub.cfg-01-52-54-00-ab-cd-ef-01":            {},
		"/grub/grub.cfg-01-52-54-00-ab-cd-eg":               {},
		"/grub/grub.cfg101-52-54-00-ab-cd-ef":               {},
		"default":                                           {},
		"ipxe/52-54-00-ab-cd-ef":                            {IPXE, mac},
		"/ipxe/52:54:00:AB:CD:EF":                           {IPXE, mac},
		"x/ipxe/525400abcdef":                               {IPXE, mac},
		"ipxe/boot.ipxe":                                    {},
		"ipxe/":                                             {},
		"ipxe/52-54-00-ab-cd":                               {},
		"ipxe/01-52-54-00-ab-cd-ef":                         {},
		"ipxe/ff-ff-ff-ff-ff-ff":                            {},
		"xgrub/efidefault":                                  {},
		"grub/../01-52-54-00-ab-cd-ef":                      {},
		"vmlinuz":                                           {},
		"":                                                  {},
	} {
		kind, got, ok := ConfigRequest(name)
		if kind != want.kind || got.String() != want.mac || ok != (want.kind != "") {
			t.Errorf("ConfigRequest(%q) = %q, %v, %v", name, kind, got, ok)
		}
	}
}

func TestRedirectMakesABootloaderAskForItsMAC(t *testing.T) {
	for _, name := range []string{"/grub/grub.cfg", "grub/grub.cfg", "/boot/grub/grub.cfg"} {
		config, ok := Redirect(name)
		if !ok {
			t.Errorf("no answer for %s", name)
		}
		golden(t, "grub-redirect", config)
	}
	for _, name := range []string{"autoexec.ipxe", "/bootloaders/amd64/uefi/autoexec.ipxe", "ipxe/boot.ipxe"} {
		config, ok := Redirect(name)
		if !ok {
			t.Errorf("no answer for %s", name)
		}
		golden(t, "ipxe-redirect", config)
	}
	for _, name := range []string{"boot.ipxe", "xautoexec.ipxe", "grub.cfg", "/grub/x86_64-efi/grub.cfg", "xgrub/grub.cfg", "../grub/grub.cfg", "grub/grub.cfg-01", ""} {
		if config, ok := Redirect(name); ok {
			t.Errorf("%q gets %q", name, config)
		}
	}
}

func FuzzConfigRequest(f *testing.F) {
	for _, name := range []string{
		"/grub/grub.cfg-01-52-54-00-ab-cd-ef", `pxelinux.cfg\01-52-54-00-ab-cd-ef`, "pxelinux.cfg/default", "grub/efidefault", "ipxe/52-54-00-ab-cd-ef",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		kind, mac, ok := ConfigRequest(name)
		if ok != slices.Contains(Bootloaders, kind) || !ok && mac != nil || mac != nil && len(mac) != 6 {
			t.Fatalf("ConfigRequest(%q) = %q, %v, %v", name, kind, mac, ok)
		}
	})
}
