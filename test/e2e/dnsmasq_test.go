package e2e

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"provisioner/boot"
)

func TestDnsmasqReadsWhatIsGenerated(t *testing.T) {
	require(t, "ip", "dnsmasq")
	newCable(t)
	machines := &knownMachines{}
	guard := boot.DHCPGuard{Secret: hookSecret}
	handler := guard.Guard(boot.DHCPHandler(machines, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	hook := httptest.NewServer(http.StripPrefix("/dhcp", handler))
	t.Cleanup(hook.Close)

	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mac := func(s string) net.HardwareAddr {
		address, err := net.ParseMAC(s)
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	next := netip.MustParseAddr("10.77.0.8")
	uefi := boot.DHCPClient{Arch: "amd64", Firmware: boot.UEFI}
	boots := []boot.DnsmasqBoot{
		{MAC: mac(netbootMAC), Client: uefi, Answer: boot.DHCPAnswer{BootFile: "grub, the 2nd.efi", NextServer: next}},
		{MAC: mac(netbootMAC), Answer: boot.DHCPAnswer{BootFile: "unsaid", NextServer: next}},
		{MAC: mac(netbootMAC), Client: boot.DHCPClient{Loader: boot.LoaderIPXE}, Answer: boot.DHCPAnswer{BootFile: "script.ipxe", NextServer: next}},
		{MAC: mac(netbootMAC), Client: boot.DHCPClient{Arch: "amd64", Firmware: boot.UEFI, HTTP: true},
			Answer: boot.DHCPAnswer{BootFile: "http://10.77.0.8:8080/grub.efi", NextServer: next, HTTP: true}},
	}
	options, err := boot.DnsmasqOptions(boots)
	if err != nil {
		t.Fatal(err)
	}
	hosts := []boot.DnsmasqHost{
		{MAC: mac(netbootMAC), IPv4: netip.MustParseAddr("10.77.0.55"), Name: "ignore"},
		{MAC: mac(diskMAC), Name: "disk-01"},
	}
	conf, err := boot.DnsmasqConf(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(boot.DnsmasqOptionsFile, options, 0o644)
	write(boot.DnsmasqHostsFile, boot.DnsmasqHosts(hosts), 0o644)
	script := write("script", fmt.Sprintf("#!/bin/sh\nexec %s dhcp-hook dnsmasq --dhcp-hook-url %s --dhcp-hook-secret-file %s \"$@\"\n",
		os.Getenv(binaryEnv), hook.URL+"/dhcp", secretFile(t)), 0o755)
	server, _ := start(t, dir, "dnsmasq.log", "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--log-dhcp",
		"--conf-file="+write(boot.DnsmasqConfFile, conf, 0o644), "--user=root", "--port=0",
		"--interface="+dhcpPort, "--bind-interfaces", "--dhcp-leasefile="+filepath.Join(dir, "leases"), "--no-ping",
		"--dhcp-range=10.77.0.100,10.77.0.150,1h", "--dhcp-script="+script)
	eventually(t, soon, "dnsmasq has read its files", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "dnsmasq.log"))
		return err == nil && strings.Contains(string(text), "read "+filepath.Join(dir, boot.DnsmasqOptionsFile))
	})

	lists := dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName, dhcpv4.OptionClassIdentifier)
	arch := func(a iana.Arch) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptClientArch(a)) }
	userClass := func(class string) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte(class)))
	}
	for _, test := range []struct {
		name, mac string
		options   []dhcpv4.Modifier
		next      string
		file      string
	}{
		{"UEFI", netbootMAC, []dhcpv4.Modifier{lists, arch(iana.EFI_X86_64)}, "10.77.0.8", "grub, the 2nd.efi"},
		{"UEFI over HTTP", netbootMAC, []dhcpv4.Modifier{lists, arch(iana.EFI_X86_64_HTTP)}, "10.77.0.8", "http://10.77.0.8:8080/grub.efi"},
		{"iPXE on UEFI", netbootMAC, []dhcpv4.Modifier{lists, arch(iana.EFI_X86_64), userClass("iPXE")}, "10.77.0.8", "script.ipxe"},
		{"iPXE, as RFC 3004 writes it", netbootMAC, []dhcpv4.Modifier{lists, userClass("\x04iPXE")}, "10.77.0.8", "script.ipxe"},
		{"nothing said", netbootMAC, []dhcpv4.Modifier{lists}, "10.77.0.8", "unsaid"},
		{"arm64, which cannot run it", netbootMAC, []dhcpv4.Modifier{lists, arch(iana.EFI_ARM64)}, serverIP, ""},
		{"netboot off", diskMAC, []dhcpv4.Modifier{lists, arch(iana.EFI_X86_64)}, serverIP, ""},
		{"unknown", unknownMAC, []dhcpv4.Modifier{lists, arch(iana.EFI_X86_64)}, serverIP, ""},
	} {
		client := newDHCPClient(t, test.mac, test.options...)
		ack := client.request(t, client.discover(t))
		next, file, option := sentTo(ack)
		if got := max(file, option); next != test.next || got != test.file {
			t.Errorf("%s: sent to %q, %q, option %q; want %q, %q", test.name, next, file, option, test.next, test.file)
		}
		if reserved := ack.YourIPAddr.String() == "10.77.0.55"; reserved != (test.mac == netbootMAC) {
			t.Errorf("%s: address %s", test.name, ack.YourIPAddr)
		}
		if class := ack.ClassIdentifier(); (class == "HTTPClient") != strings.HasPrefix(test.file, "http:") {
			t.Errorf("%s: vendor class %q", test.name, class)
		}
	}
	eventually(t, soon, "the script tells of the lease", func() bool { return machines.leased(netbootMAC, "10.77.0.55") })

	// The run ends: the host boots from disk once dnsmasq has read the files again, which it survives.
	write(boot.DnsmasqOptionsFile, "", 0o644)
	if err := server.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	client := newDHCPClient(t, netbootMAC, lists, arch(iana.EFI_X86_64))
	eventually(t, soon, "dnsmasq sends the machine nowhere", func() bool {
		_, file, option := sentTo(client.discover(t))
		return file == "" && option == ""
	})
}
