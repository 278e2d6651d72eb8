//go:build matrix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const runScript = "/usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so"

// TestKeaTellsLeasesByRunScript has a site whose Kea has nothing of ours loaded: its configuration sends every machine to the
// same bootloader, and its own library calls a script that tells us of leases.
func TestKeaTellsLeasesByRunScript(t *testing.T) {
	n := netbootCase{
		firmware: uefi, mac: "52:54:00:00:00:17", card: plainCard, needs: append([]string{"kea-dhcp4", runScript}, uefiNeeds...),
		bootloader: []string{"grub-efi"},
		disk:       efiDisk,
		site: func(t *testing.T, _ *product) {
			t.Helper()
			script := filepath.Join(t.TempDir(), "provisioner")
			text := fmt.Sprintf("#!/bin/sh\nexec %s dhcp-hook run-script --dhcp-hook-url http://%s:8080/dhcp \"$@\"\n", os.Getenv(binaryEnv), serverIP)
			if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			keaSite{
				iface: bridge, nextServer: serverIP, bootFile: "bootloaders/amd64/uefi/grubx64.efi",
				libraries: []keaLibrary{{runScript, map[string]any{"name": script, "sync": false}}},
			}.start(t)
		},
	}.start(t)
	n.phonesHome(t)
	eventually(t, soon, "the machine's lease is known", func() bool {
		return strings.Contains(n.server.command(t, "machine", "interface", "bare-1"), "10.77.0.10")
	})
	n.bootsFromDisk(t, booting)
	n.server.stop(t)
}
