package e2e

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A netbootCase is a machine, its site, and its way from the firmware to the kernel.
type netbootCase struct {
	arch     string // amd64, where nothing is said
	firmware firmware
	card     string
	mac      string   // of its own: GRUB uses the same TCP ports again, and the kernel remembers those of the case before
	needs    []string // programs and files, besides those of every case

	bootloader []string                                      // arguments of bootloader import
	machine    []string                                      // of machine add
	installer  func(*testing.T) installer                    // busyboxInstaller, where nothing is said
	disk       func(t *testing.T, dir string) (drive string) // prints fromDisk

	site  func(t *testing.T, server *product) // starts the site's DHCP server; nil: dnsmasq, told once what the hook answers
	seen  string                              // of dnsmasq: what the hook is told of the client, as JSON; empty: nothing
	rules func(dhcpAnswer) []string           // of dnsmasq: arguments besides, or for, the boot file

	logged [][]string // words that stand together in a line of the server's log; nil: kernel and initrd over HTTP
}

// A netboot is a case on its way.
type netboot struct {
	netbootCase
	installer installer
	bare      *machine
	server    *product
	key       string
	ada       *person
}

// run boots the machine from the network until it phones home, and then again: from its disk.
func (c netbootCase) run(t *testing.T) {
	n := c.start(t)
	n.phonesHome(t)
	n.bootsFromDisk(t, booting)
	n.server.stop(t)
}

// start has a person boot the machine in the dashboard.
func (c netbootCase) start(t *testing.T) *netboot {
	t.Helper()
	require(t, slices.Concat(c.needs, []string{"busybox", "cpio", "dnsmasq", "ip", "ipmi_sim", "qemu-system-x86_64",
		"grub-mkimage", "ssh", "ssh-keygen", "tmux", kernelDir()})...)
	if c.arch == "" {
		c.arch = "amd64"
	}
	if c.installer == nil {
		c.installer = busyboxInstaller
	}
	newNetwork(t)
	n := &netboot{netbootCase: c, installer: c.installer(t), bare: newMachine(t, c.firmware, c.card, c.mac), key: sshKey(t)}
	n.bare.addDisk(c.disk(t, n.bare.dir))
	bmc := newBMC(t, n.bare, 9001)
	t.Setenv("PROVISIONER_LOG_LEVEL", "debug")
	n.server = startProduct(t)
	n.server.command(t, "user", "add", "ada", "--admin", "--key", n.key+".pub")
	n.server.command(t, append([]string{"bootloader", "import"}, c.bootloader...)...)
	n.installer.add(t, n.server, c.arch)
	n.server.command(t, append([]string{"machine", "add", "bare-1", "--arch", c.arch, "--mac", c.mac,
		"--bmc", bmc.addr, "--bmc-user", bmc.user, "--bmc-password-file", bmc.passwordFile(t)}, c.machine...)...)
	if c.site != nil {
		c.site(t, n.server)
	}

	n.ada = newPerson(t, sshCommand(n.key, "ada")...)
	n.ada.sees(soon, "bare-1", "off")
	n.ada.press(keyTake)
	n.ada.sees(soon, "Held by   you", c.mac)
	n.ada.provision(n.installer.options)
	answer := n.server.awaitNetboot(t, c.mac)
	if c.seen != "" {
		answer = n.server.askHookAs(t, c.mac, c.seen)
	}
	switch {
	case c.site != nil:
	case c.rules != nil:
		startDnsmasq(t, c.rules(answer)...)
	default:
		startDHCP(t, answer)
	}
	return n
}

// phonesHome waits until the machine has reported back, and checks by which way it has come.
func (n *netboot) phonesHome(t *testing.T) {
	t.Helper()
	n.ada.sees(n.installer.limit, n.installer.shows...)
	eventually(t, soon, "the machine is ready", func() bool {
		m := list(t, n.key)["bare-1"]
		return m.State == "ready" && !m.Netboot
	})
	lines := n.logged
	if lines == nil {
		lines = [][]string{{"HTTP boot file", "method=GET", "file=/boot/.../kernel/"}, {"HTTP boot file", "method=GET", "file=/boot/.../initrd/"}}
	}
	for _, words := range lines {
		if !n.server.logs(t, words...) {
			t.Errorf("no line of the server's log has %q", words)
		}
	}
}

// bootsFromDisk resets the machine. A dnsmasq that was told once has not heard that it is not to boot from the network, and
// sends it the same way again.
func (n *netboot) bootsFromDisk(t *testing.T, limit time.Duration) {
	t.Helper()
	n.reset(t)
	n.prints(t, limit, fromDisk)
}

func (n *netboot) reset(t *testing.T) {
	t.Helper()
	n.ada.press(keyReset)
	n.ada.sees(soon, "Reset bare-1")
	n.ada.press(keyYes)
}

// prints waits until the text has come out of the serial port.
func (n *netboot) prints(t *testing.T, limit time.Duration, text string) {
	t.Helper()
	eventually(t, limit, "from the serial port: "+text, func() bool {
		serial, err := os.ReadFile(n.bare.serial)
		return err == nil && strings.Contains(string(serial), text)
	})
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
