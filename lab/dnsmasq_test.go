package lab_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
)

func TestDnsmasqIsToldWhatMachinesBoot(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Join(t.TempDir(), "dnsmasq")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.KeepDnsmasq(ctx, lab.DnsmasqConfig{Dir: dir}) }() // ends with cancel, below
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	holds := func(name, text string, want bool) {
		t.Helper()
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		late := time.After(10 * time.Second)
		for {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && strings.Contains(string(content), text) == want {
				return
			}
			select {
			case <-again.C:
			case <-late:
				t.Fatalf("%s: %q is there: %t wanted\n%s%v", name, text, want, content, err)
			}
		}
	}
	holds("hosts", "52:54:00:00:00:01,web-01\n", true)
	holds("provisioner.conf", "dhcp-hostsfile=\""+dir+"/hosts\"", true)
	const web = ",tag:provisioner-mac0-52,tag:provisioner-mac1-54,tag:provisioner-mac2-00,tag:provisioner-mac3-00" +
		",tag:provisioner-mac4-00,tag:provisioner-mac5-01,option:"
	holds("options", web, false)

	f.inNetwork()
	_, err := f.setInterface(f.admin, "web-01", lab.ConfigReserved, lab.AutoIPv4)
	f.must(err)
	holds("hosts", "52:54:00:00:00:01,10.0.0.64,web-01\n", true)

	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	const file = "bootloaders/amd64/uefi/grubx64.efi\"\n"
	holds("options", "tag:provisioner-arch-amd64-uefi"+web+"bootfile-name,\""+file, true)
	holds("options", "tag:!provisioner-arch"+web+"server-ip-address,127.0.0.1\n", true)
	holds("options", "tag:provisioner-arch-amd64-uefi-http"+web+"bootfile-name,\"http://127.0.0.1:8080/"+file, true)
	holds("options", "tag:provisioner-ipxe"+web+"bootfile-name,\"http://127.0.0.1:8080/", true)
	holds("options", "arm64", false)

	config, err := f.fetch(webConfig)
	f.must(err)
	f.must(f.PhoneHome(t.Context(), strings.Split(word(t, config, "/boot/"), "/")[2], "10.0.0.9"))
	holds("options", web, false)
}
