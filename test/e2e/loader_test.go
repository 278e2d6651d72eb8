//go:build matrix

package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A loaderCase is a way from a machine's firmware to its kernel.
type loaderCase struct {
	firmware firmware
	mac      string                                // of its own: GRUB uses the same TCP ports again, and the kernel remembers those of the case before
	card     string                                // QEMU's name of the network card
	needs    []string                              // programs and files, besides those of every case
	loader   []string                              // arguments of bootloader import
	machine  []string                              // of machine add
	seen     string                                // what the DHCP server tells the hook of the client, as JSON
	dhcp     func(dhcpAnswer) []string             // dnsmasq's arguments from the hook's answer; nil: the boot file, no more
	disk     func(t *testing.T, dir string) string // makes a disk that prints fromDisk; QEMU's -drive
}

// fromDisk is what a machine's disk prints once it has booted.
const fromDisk = "THE DISK HAS BOOTED"

// mbrDisk is a disk whose boot sector prints to the first serial port.
func mbrDisk(t *testing.T, dir string) string {
	t.Helper()
	sector := []byte{
		0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x14, 0x7c, // cli; ds = 0; si = the text
		0xac, 0x08, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // each byte to port 0x3f8
		0xf4, // hlt
	}
	sector = append(sector, fromDisk+"\r\n\x00"...)
	sector = append(sector, bytes.Repeat([]byte{0}, 510-len(sector))...)
	sector = append(sector, 0x55, 0xaa)
	path := filepath.Join(dir, "disk")
	if err := os.WriteFile(path, append(sector, make([]byte, 1<<20-512)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return "format=raw,file=" + path
}

// efiDisk is a disk with an EFI system partition, as Debian installs one; its loader is a GRUB that prints.
func efiDisk(t *testing.T, dir string) string {
	t.Helper()
	folder := filepath.Join(dir, "esp/EFI/debian")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "disk.cfg")
	if err := os.WriteFile(config, []byte("echo "+fromDisk+"\nsleep 600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "grub-mkimage", "-O", "x86_64-efi", "-c", config, "-p", "/", "-o", filepath.Join(folder, "shimx64.efi"), "normal", "echo", "sleep")
	return "format=raw,file=fat:rw:" + filepath.Join(dir, "esp")
}

var loaderCases = map[string]loaderCase{
	// A network card's own iPXE is given its script, and no bootloader. The import is what makes netboot possible at all.
	"iPXE on BIOS": {
		firmware: bios, mac: "52:54:00:00:00:11", card: "virtio-net-pci", needs: []string{"/usr/lib/ipxe/qemu/pxe-virtio.rom"},
		loader: []string{"grub-efi"}, machine: []string{"--arch", "amd64"},
		seen: `{"option":93,"value":0},{"option":60,"value":"PXEClient:Arch:00000:UNDI:002001"},{"option":77,"value":"iPXE"}`,
		disk: mbrDisk,
	},
	"GRUB on UEFI": {
		firmware: uefi, mac: "52:54:00:00:00:12", card: "virtio-net-pci,romfile=", needs: []string{"grub-mkimage", uefiCode, uefiVars},
		loader: []string{"grub-efi"}, machine: []string{"--arch", "amd64"},
		seen: `{"option":93,"value":7},{"option":60,"value":"PXEClient:Arch:00007:UNDI:003001"}`,
		disk: efiDisk,
	},
	"UEFI HTTP boot": {
		firmware: uefiHTTP, mac: "52:54:00:00:00:13", card: "virtio-net-pci,romfile=", needs: []string{"grub-mkimage", uefiCode, uefiVars},
		loader: []string{"grub-efi"}, machine: []string{"--arch", "amd64"},
		seen: `{"option":93,"value":16},{"option":60,"value":"HTTPClient:Arch:00016:UNDI:003001"}`,
		dhcp: func(a dhcpAnswer) []string {
			return []string{
				"--dhcp-match=set:http,option:client-arch,16", "--dhcp-boot=tag:http," + a.bootFile + ",," + a.nextServer,
				"--dhcp-option-force=tag:http,60,HTTPClient",
			}
		},
		disk: efiDisk,
	},
}

// uefiHTTP is uefi that does not try TFTP first, which nobody offers it.
func uefiHTTP(t *testing.T, dir string) []string {
	t.Helper()
	return append(uefi(t, dir), "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
}

// TestLoaders boots machines by each bootloader over HTTP, until they phone home, and then again: from their disks.
func TestLoaders(t *testing.T) {
	for name, c := range loaderCases {
		t.Run(name, func(t *testing.T) { c.run(t) })
	}
}

func (c loaderCase) run(t *testing.T) {
	require(t, slices.Concat(c.needs, []string{"busybox", "cpio", "dnsmasq", "ip", "ipmi_sim", "qemu-system-x86_64",
		"grub-mkimage", "ssh", "ssh-keygen", "tmux", kernelDir()})...)
	newNetwork(t)
	mac := c.mac
	bare := newMachineWith(t, c.firmware, c.card, mac)
	bare.argv = append(bare.argv, "-drive", "if=none,id=disk,"+c.disk(t, bare.dir), "-device", "virtio-blk-pci,drive=disk,bootindex=2")
	bmc := newBMC(t, bare, 9001)
	server := startProduct(t)
	key := sshKey(t)
	server.command(t, "user", "add", "ada", "--admin", "--key", key+".pub")
	server.command(t, append([]string{"bootloader", "import"}, c.loader...)...)
	server.command(t, "image", "add", "debian-kernel", "--type", "kernel", "--arch", "amd64", kernelImage(t))
	server.command(t, "image", "add", "debian-initrd", "--type", "initrd", "--arch", "amd64", newInitrd(t))
	server.command(t, "preseed", "add", "installer", "--type", "preseed", "testdata/preseed")
	server.command(t, append([]string{"machine", "add", "bare-1", "--mac", mac,
		"--bmc", bmc.addr, "--bmc-user", bmc.user, "--bmc-password-file", bmc.passwordFile(t)}, c.machine...)...)

	ada := newPerson(t, sshCommand(key, "ada")...)
	ada.sees(soon, "bare-1", "off")
	ada.press(keyTake)
	ada.sees(soon, "Held by   you", mac)
	ada.provision()
	server.awaitNetboot(t, mac)
	c.dhcpServer(t, server.askHookAs(t, mac, c.seen))

	ada.sees(booting, "initrd: phoned home", "initrd#")
	for _, file := range []string{"boot/.../kernel/", "boot/.../initrd/"} {
		if !server.logs(t, "HTTP boot file", "GET", file) {
			t.Errorf("%s did not come over HTTP", file)
		}
	}
	// This DHCP server has not heard of it, and sends the machine the same way again.
	ada.press(keyReset)
	ada.sees(soon, "Reset bare-1")
	ada.press(keyYes)
	eventually(t, booting, "the second boot goes on to the disk", func() bool {
		serial, err := os.ReadFile(bare.serial)
		return err == nil && strings.Contains(string(serial), fromDisk)
	})
	server.stop(t)
}

// dhcpServer is dnsmasq with the hook's answer.
func (c loaderCase) dhcpServer(t *testing.T, answer dhcpAnswer) {
	t.Helper()
	if c.dhcp == nil {
		startDHCP(t, answer)
		return
	}
	start(t, t.TempDir(), "dnsmasq.log", "dnsmasq", append([]string{"--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0",
		"--interface=" + bridge, "--bind-interfaces", "--dhcp-leasefile=leases", "--no-ping",
		"--dhcp-range=10.77.0.100,10.77.0.150,1h"}, c.dhcp(answer)...)...)
}

// askHookAs is askHook for a client that a DHCP server has seen with these options.
func (p *product) askHookAs(t *testing.T, mac, options string) dhcpAnswer {
	t.Helper()
	body := strings.NewReader(`{"discover":true,"mac":"` + mac + `","options":[` + options + `]}`)
	response, err := http.Post("http://"+serverIP+":8080/dhcp/ipv4/seen", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the hook answers %s", response.Status)
	}
	return p.askHook(t, mac)
}

// logs reports whether a line of the server's log has all of the words.
func (p *product) logs(t *testing.T, words ...string) bool {
	t.Helper()
	log, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}
