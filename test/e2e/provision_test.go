package e2e

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The keys that a person presses, by tmux's names for them.
const (
	keyDown      = "j"     // to the next machine
	keyTake      = "t"     // the machine becomes theirs, and its page opens
	keyProvision = "p"     // the form
	keyNext      = "Enter" // field of the form
	keyStart     = "Enter" // what the form says
	keyType      = "c"     // into the console
	keyLeave     = "C-]"   // the console
	keyReset     = "x"
	keyYes       = "y"
)

const (
	soon    = 30 * time.Second // for what takes a moment where nothing else runs
	booting = 4 * time.Minute  // for what takes half a minute there
)

// TestProvision takes a bare machine, boots it from the network, works on its console, and boots it from disk, all in the
// dashboard.
func TestProvision(t *testing.T) {
	require(t, "busybox", "cpio", "dnsmasq", "ip", "ipmi_sim", "qemu-system-x86_64", "ssh", "ssh-keygen", "tmux",
		bootloader, uefiCode, uefiVars, kernelDir())
	const mac = "52:54:00:00:00:01"
	newNetwork(t)
	bare := newMachine(t, uefi, plainCard, mac)
	bmc := newBMC(t, bare, 9001)
	server := startProduct(t)
	key := sshKey(t)
	server.command(t, "user", "add", "ada", "--admin", "--key", key+".pub")
	server.command(t, "image", "add", "grub", "--type", "bootloader", "--arch", "amd64", bootloader)
	busyboxInstaller(t).add(t, server, "amd64")
	server.command(t, "machine", "add", "attic-1", "--arch", "arm64")
	server.command(t, "machine", "add", "bare-1", "--arch", "amd64", "--mac", mac,
		"--bmc", bmc.addr, "--bmc-user", bmc.user, "--bmc-password-file", bmc.passwordFile(t))

	ada := newPerson(t, sshCommand(key, "ada")...)
	ada.sees(soon, "attic-1", "bare-1", "off")
	ada.press(keyDown, keyTake)
	ada.sees(soon, "Held by   you", mac)
	ada.provision("console=ttyS0")
	startDHCP(t, server.awaitNetboot(t, mac))

	ada.sees(booting, "initrd: phoned home", "initrd#")
	if device := bmc.bootDevice(t); device != "pxe" {
		t.Errorf("the BMC was told to boot from %q, want pxe", device)
	}
	ada.press(keyType)
	ada.write("echo hello-$((40+2))")
	ada.press("Enter")
	ada.sees(soon, "hello-42")
	ada.press(keyLeave)

	if m := list(t, key)["bare-1"]; m.State != "ready" || m.Power != "on" || m.Netboot || !slices.Equal(m.Holders, []string{"ada"}) {
		t.Errorf("after its installation the machine is %+v, want it ready, on, held by ada, and booting from disk", m)
	}
	if answer := server.askHook(t, mac); answer.bootFile != "" {
		t.Errorf("after its installation the machine still boots %s from the network", answer.bootFile)
	}

	// This DHCP server has not heard of it, and sends the machine to GRUB again.
	ada.press(keyReset)
	ada.sees(soon, "Reset bare-1")
	ada.press(keyYes)
	eventually(t, booting, "GRUB leaves the second boot to the disk", func() bool {
		serial, err := os.ReadFile(bare.serial)
		return err == nil && strings.Contains(string(serial), "Booting from disk")
	})

	server.stop(t)
	ada.sees(soon, "the server is stopping")
}

// provision fills in the form of a machine's page, bare-1's.
func (p *person) provision(options string) {
	p.t.Helper()
	p.press(keyProvision)
	for _, field := range []struct{ label, answer, shown string }{
		{"› Kernel", "debian-kernel", "› debian-kernel"},
		{"› Initrd", "debian-initrd", "› debian-initrd"},
		{"› Options", options, options},
		{"› Preseed", "installer", "› installer"},
	} {
		p.sees(soon, field.label)
		p.write(field.answer)
		p.sees(soon, field.shown)
		p.press(keyNext)
	}
	p.sees(soon, "boot bare-1 from the network now")
	p.press(keyStart)
}

type listed struct {
	Name, Arch, Power, State string
	Netboot                  bool
	Holders                  []string
}

// list asks for all machines as a script does.
func list(t *testing.T, key string) map[string]listed {
	t.Helper()
	command := sshCommand(key, "ada", "list", "--json")
	var machines []listed
	if err := json.Unmarshal([]byte(run(t, command[0], command[1:]...)), &machines); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]listed)
	for _, m := range machines {
		byName[m.Name] = m
	}
	return byName
}
