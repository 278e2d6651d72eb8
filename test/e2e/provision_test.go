package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
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
)

// TestProvision takes a bare machine, boots it from the network and works on its console, all from the TUI.
func TestProvision(t *testing.T) {
	require(t, "busybox", "cpio", "dnsmasq", "ip", "ipmi_sim", "qemu-system-x86_64", "ssh", "ssh-keygen", "tmux",
		bootloader, uefiCode, uefiVars, kernelDir())
	const mac = "52:54:00:00:00:01"
	newNetwork(t)
	bare := newMachine(t, uefi, mac)
	bmc := newBMC(t, bare, 9001)
	server := startProduct(t)

	key := sshKey(t)
	password := filepath.Join(t.TempDir(), "bmc-password")
	if err := os.WriteFile(password, []byte(bmc.password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server.command(t, "user", "add", "ada", "--admin", "--key", key+".pub")
	server.command(t, "image", "add", "grub", "--type", "bootloader", "--arch", "amd64", bootloader)
	server.command(t, "image", "add", "debian-kernel", "--type", "kernel", "--arch", "amd64", kernelImage(t))
	server.command(t, "image", "add", "debian-initrd", "--type", "initrd", "--arch", "amd64", newInitrd(t))
	server.command(t, "preseed", "add", "installer", "--type", "preseed", "testdata/preseed")
	server.command(t, "machine", "add", "bare-1", "--arch", "amd64", "--mac", mac,
		"--bmc", bmc.addr, "--bmc-user", bmc.user, "--bmc-password-file", password)
	server.command(t, "machine", "add", "attic-1", "--arch", "arm64")

	ada := newPerson(t, sshCommand(key, "ada")...)
	ada.sees(10*time.Second, "attic-1", "bare-1", "off")
	ada.press(keyDown, keyTake)
	ada.sees(5*time.Second, "Held by   you", mac)
	ada.press(keyProvision)
	for _, field := range []struct{ title, answer string }{
		{"Kernel", "debian-kernel"},
		{"Initrd", "debian-initrd"},
		{"Options", "console=ttyS0"},
		{"Preseed", "installer"},
	} {
		ada.sees(5*time.Second, field.title)
		ada.write(field.answer)
		ada.sees(5*time.Second, field.answer)
		ada.press(keyNext)
	}
	ada.press(keyStart)

	var answer dhcpAnswer
	eventually(t, 10*time.Second, "the DHCP hook names a boot file", func() bool {
		answer = server.askHook(t, mac)
		return answer.bootFile != ""
	})
	startDHCP(t, answer)

	ada.sees(3*time.Minute, "initrd: phoned home", "initrd#")
	ada.press(keyType)
	ada.write("echo hello-$((40+2))")
	ada.press("Enter")
	ada.sees(10*time.Second, "hello-42")
	ada.press(keyLeave)

	if m := list(t, key)["bare-1"]; m.State != "ready" || m.Power != "on" || m.Netboot || !slices.Equal(m.Holders, []string{"ada"}) {
		t.Errorf("after its installation the machine is %+v, want it ready, on, held by ada, and booting from disk", m)
	}
	if answer := server.askHook(t, mac); answer.bootFile != "" {
		t.Errorf("after its installation the machine still boots %s from the network", answer.bootFile)
	}
	server.stop(t)
	ada.sees(5*time.Second, "the server is stopping")
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
