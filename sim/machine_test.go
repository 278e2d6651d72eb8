package sim

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
)

func TestInstallFromNetworkThenBootFromDisk(t *testing.T) {
	s := newSite(t)
	m := newMachine(t, Config{Network: s.network()})
	m.SetBootDevice(ipmi.BootPXE, false, true)
	m.SetPower(true)
	got := output(m)
	wantInOrder(t, got,
		"Boot override: network\r\n",
		">>Start PXE over IPv4.\r\n",
		"Station IP address is 10.9.8.7\r\n",
		"Server IP address is 127.0.0.1\r\n",
		"NBP filename is amd64/grubx64.efi\r\n",
		"NBP filesize is 5000 Bytes\r\n",
		"Downloading NBP file...\r\n",
		"GNU GRUB",
		"Booting `Install'\r\n",
		"Loading kernel\r\n",
		"[    0.000000] Linux version ",
		`Command line: BOOT_IMAGE=/k/vmlinuz BOOTIF=01-52:54:00:12:34:56 auto=true url=`+s.http.URL+`/preseed "quiet=a b"`,
		"Freeing initrd memory: 3K",
		"Debian GNU/Linux installer",
		"Retrieving preconfiguration file "+s.http.URL+"/preseed\r\n",
		"200 OK, ",
		"Partitioning",
		"100%  Setting up openssh-server",
		"Running: wget POST "+s.http.URL+"/done\r\n  200 OK\r\n",
		"reboot: Restarting system\r\n",
		"Boot order: network, disk\r\n",
		"PXE-E53: No boot filename received.\r\n",
		"GRUB loading.\r\n",
		"Hostname set to <installed-01>",
	)
	wantEnd(t, got, "Debian GNU/Linux 12 (bookworm) installed-01 ttyS0\r\n\r\ninstalled-01 login: ")
	wantRequests(t, s.asked("TFTP"), []string{
		"TFTP amd64/grubx64.efi",
		"TFTP /grub/grub.cfg-01-52-54-00-12-34-56",
		"TFTP /k/vmlinuz",
		"TFTP /k/initrd.gz",
	})
	seen := `"mac":"52:54:00:12:34:56","options":[{"option":12,"value":"node-01"},{"option":93,"value":7},{"option":60,"value":"PXEClient:Arch:00007:UNDI:003016"}]}`
	wantRequests(t, s.asked("/dhcp/")[:5], []string{
		`POST /dhcp/ipv4/seen {"discover":true,` + seen,
		"GET /dhcp/ipv4?hwaddr=52%3A54%3A00%3A12%3A34%3A56",
		`POST /dhcp/ipv4/seen {"discover":false,` + seen,
		"GET /dhcp/ipv4?hwaddr=52%3A54%3A00%3A12%3A34%3A56",
		`POST /dhcp/ipv4/lease {"mac":"52:54:00:12:34:56","ipv4":"10.9.8.7","duration":3600}`,
	})
	if lines := strings.Count(got, "\n"); lines*150 < 15_000 || lines*150 > 25_000 {
		t.Errorf("an install prints %d lines: not 15 to 25 s at a pace of 150 ms", lines)
	}

	m.SetBootDevice(ipmi.BootDisk, false, true)
	m.Reset()
	got = output(m)
	if strings.Contains(got, "PXE") {
		t.Errorf("the boot device disk did not skip the network:\n%s", got)
	}
	wantEnd(t, got, "installed-01 login: ")
}

func TestArm64SaysSo(t *testing.T) {
	s := newSite(t)
	m := newMachine(t, Config{Network: s.network(), Arch: ARM64, Installed: true})
	s.change(func() { s.bootFile = "" })
	m.SetPower(true)
	wantEnd(t, output(m), "node-01 ttyAMA0\r\n\r\nnode-01 login: ")
	if len(s.asked(`{"option":93,"value":11}`)) != 2 {
		t.Errorf("option 93 is not 11: %q", s.asked("seen"))
	}
}

func TestWhatGoesWrongIsShownAsOnARealMachine(t *testing.T) {
	silent := silentServer(t)
	tests := []struct {
		name  string
		spoil func(s *site, cfg *Config)
		want  []string
		end   string
	}{
		{"no DHCP server", func(_ *site, cfg *Config) { cfg.Network.DHCPHook = "" },
			[]string{">>Start PXE over IPv4.", "PXE-E51: No DHCP or proxyDHCP offers were received."}, "No bootable device.\r\n"},
		{"hook unreachable", func(_ *site, cfg *Config) { cfg.Network.DHCPHook = "http://127.0.0.1:1/dhcp" },
			[]string{"PXE-E51: "}, "No bootable device.\r\n"},
		{"hook address that is none", func(_ *site, cfg *Config) { cfg.Network.DHCPHook = "::/" },
			[]string{"PXE-E51: "}, "No bootable device.\r\n"},
		{"machine unknown to the hook", func(s *site, _ *Config) { s.known = false },
			[]string{"Station IP address is 10.18.52.86", "PXE-E53: No boot filename received."}, "No bootable device.\r\n"},
		{"netboot off", func(s *site, _ *Config) { s.bootFile = "" },
			[]string{"Station IP address is 10.9.8.7", "PXE-E53: "}, "No bootable device.\r\n"},
		{"no boot server", func(s *site, _ *Config) { s.next = "" },
			[]string{"PXE-E32: TFTP open timeout"}, "No bootable device.\r\n"},
		{"boot server by name", func(s *site, _ *Config) { s.next = "localhost" },
			[]string{"PXE-E32: TFTP open timeout"}, "No bootable device.\r\n"},
		{"TFTP server silent", func(_ *site, cfg *Config) {
			cfg.Network.TFTPPort, cfg.Network.TFTPTimeout = silent.LocalAddr().(*net.UDPAddr).Port, time.Millisecond
		}, []string{"PXE-E32: TFTP open timeout"}, "No bootable device.\r\n"},
		{"bootloader missing", func(s *site, _ *Config) { delete(s.files, "amd64/grubx64.efi") },
			[]string{"PXE-E23: ", "TFTP error 1: File not found"}, "No bootable device.\r\n"},
		{"bootloader empty", func(s *site, _ *Config) { s.files["amd64/grubx64.efi"] = nil },
			[]string{"NBP filename is amd64", "failed to load Boot0001"}, "No bootable device.\r\n"},
		{"PXE fails, a system is on the disk", func(s *site, cfg *Config) { s.bootFile, cfg.Installed = "", true },
			[]string{"PXE-E53: "}, "node-01 login: "},
		{"configuration missing", func(s *site, _ *Config) { delete(s.files, "grub/grub.cfg-01-52-54-00-12-34-56") },
			[]string{"GNU GRUB", "Minimal BASH-like line editing"}, "grub> "},
		{"configuration for all", func(s *site, _ *Config) {
			delete(s.files, "grub/grub.cfg-01-52-54-00-12-34-56")
			s.files["grub/grub.cfg"] = []byte("exit\n")
		}, []string{"GNU GRUB"}, "No bootable device.\r\n"},
		{"configuration with a syntax error", func(s *site, _ *Config) {
			s.files["grub/grub.cfg-01-52-54-00-12-34-56"] = []byte("menuentry 'a' {\n linux /k/vmlinuz a&b\n}\n")
		}, []string{"error: syntax error.\r\nerror: Incorrect command.\r\n"}, "grub> "},
		{"configuration too large", func(s *site, _ *Config) {
			s.files["grub/grub.cfg-01-52-54-00-12-34-56"] = make([]byte, grubConfigMax+1)
		}, []string{"error: out of memory."}, "grub> "},
		{"kernel missing", func(s *site, _ *Config) { delete(s.files, "k/vmlinuz") },
			[]string{"error: file `/k/vmlinuz' not found.", "error: you need to load the kernel first."}, "grub> "},
		{"kernel empty", func(s *site, _ *Config) { s.files["k/vmlinuz"] = nil },
			[]string{"error: premature end of file /k/vmlinuz."}, "grub> "},
		{"initrd missing", func(s *site, _ *Config) { delete(s.files, "k/initrd.gz") },
			[]string{"error: file `/k/initrd.gz' not found.", "Linux version"}, "installed-01 login: "},
		{"no preseed", func(s *site, _ *Config) {
			s.files["grub/grub.cfg-01-52-54-00-12-34-56"] = []byte("linux /k/vmlinuz console=ttyS0\nboot\n")
		}, []string{"Command line: BOOT_IMAGE=/k/vmlinuz console=ttyS0\r\n", "BusyBox"}, "(initramfs) "},
		{"preseed missing", func(s *site, _ *Config) {
			s.files["grub/grub.cfg-01-52-54-00-12-34-56"] = []byte("linux /k/vmlinuz url=" + s.http.URL + "/other\nboot\n")
		}, []string{"404 Not Found", "could not be retrieved"}, "(initramfs) "},
		{"preseed server down", func(s *site, _ *Config) {
			s.files["grub/grub.cfg-01-52-54-00-12-34-56"] = []byte("linux /k/vmlinuz url=127.0.0.1:1/x\nboot\n")
		}, []string{"Retrieving preconfiguration file http://127.0.0.1:1/x", "can't connect to the server: connect: connection refused"}, "(initramfs) "},
		{"phone-home refused", func(s *site, _ *Config) { s.late = http.StatusInternalServerError },
			[]string{"500 Internal Server Error", "Failed to run the preseeded command."}, "(initramfs) "},
		{"phone-home refused, which curl does not mind", func(s *site, _ *Config) {
			s.late, s.preseed = http.StatusInternalServerError, "x curl "+s.http.URL+"/done\npoweroff"
			s.files["grub/grub.cfg-01-52-54-00-12-34-56"] = []byte(
				"if [ -f /again ]; then exit; fi\nlinux /k/vmlinuz ks=" + s.http.URL + "/preseed\nboot\n")
			s.files["again"] = nil
		}, []string{"GNU GRUB"}, "No bootable device.\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			cfg := Config{Network: s.network()}
			s.change(func() { tt.spoil(s, &cfg) })
			m := newMachine(t, cfg)
			m.SetBootDevice(ipmi.BootPXE, false, true)
			m.SetPower(true)
			got := output(m)
			wantInOrder(t, got, tt.want...)
			wantEnd(t, got, tt.end)
		})
	}
}

// silentServer is a UDP port that nobody reads.
func silentServer(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestBootDeviceServesOnceUnlessPersistent(t *testing.T) {
	m := newMachine(t, Config{Installed: true})
	boot := func() string {
		m.SetPower(false)
		m.SetPower(true)
		return output(m)
	}
	m.SetBootDevice(ipmi.BootDisk, false, true)
	if got := boot(); !strings.Contains(got, "Boot override: disk") {
		t.Errorf("not from disk:\n%s", got)
	}
	if got := boot(); !strings.Contains(got, "Boot order: network, disk") {
		t.Errorf("not in the firmware's order:\n%s", got)
	}
	m.SetBootDevice(ipmi.BootDisk, true, true)
	for range 2 {
		if got := boot(); !strings.Contains(got, "Boot override: disk") {
			t.Errorf("not from disk:\n%s", got)
		}
	}
	m.SetBootDevice(ipmi.BootCDROM, false, true)
	wantInOrder(t, boot(), "No medium in the drive.", ">>Start PXE", "login: ")
	m.SetBootDevice(ipmi.BootBIOS, false, true)
	wantEnd(t, boot(), "Press Enter to leave it and restart.\r\n")
	m.WriteSerial([]byte("x\r"))
	wantEnd(t, output(m), "login: ")
}

func TestPowerOffEndsABootAtOnce(t *testing.T) {
	t.Run("between two lines", func(t *testing.T) {
		m := newMachine(t, Config{Pace: time.Hour})
		m.SetPower(true)
		m.SetPower(false)
		if got := output(m); got != "" {
			t.Errorf("printed after power-off: %q", got)
		}
	})
	t.Run("during a download", func(t *testing.T) {
		s := newSite(t)
		server := silentServer(t)
		cfg := Config{Network: s.network()}
		cfg.Network.TFTPPort = server.LocalAddr().(*net.UDPAddr).Port
		cfg.Network.TFTPTimeout = time.Hour
		m := newMachine(t, cfg)
		m.SetPower(true)
		packet := make([]byte, 600)
		if _, _, err := server.ReadFrom(packet); err != nil {
			t.Fatal(err)
		}
		m.SetPower(false)
		wantEnd(t, output(m), "NBP filename is amd64/grubx64.efi\r\n")
		if m.PoweredOn() {
			t.Error("on")
		}
	})
	t.Run("during a request", func(t *testing.T) {
		arrived := make(chan struct{})
		hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the end of the client goes unnoticed
			close(arrived)
			<-r.Context().Done()
		}))
		t.Cleanup(hook.Close)
		m := newMachine(t, Config{Network: Network{DHCPHook: hook.URL}, Installed: true})
		m.SetPower(true)
		<-arrived
		m.SetPower(false)
		wantEnd(t, output(m), ">>Start PXE over IPv4.\r\n")
	})
}

func TestResetInterruptsAndBootsAnew(t *testing.T) {
	s := newSite(t)
	server := silentServer(t)
	cfg := Config{Network: s.network(), Installed: true}
	cfg.Network.TFTPPort = server.LocalAddr().(*net.UDPAddr).Port
	cfg.Network.TFTPTimeout = time.Hour
	m := newMachine(t, cfg)
	m.SetPower(true)
	packet := make([]byte, 600)
	if _, _, err := server.ReadFrom(packet); err != nil {
		t.Fatal(err)
	}
	m.SetBootDevice(ipmi.BootDisk, false, true)
	m.Reset()
	wantInOrder(t, output(m), ">>Start PXE", "UEFI firmware", "Boot override: disk", "login: ")
}

func TestInterruptedInstallLeavesNothingToBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, Config{Installed: true, Pace: time.Second})
		m.SetPower(true)
		m.mu.Lock()
		m.start(func(r *run) { r.fillDisk(disk{system: "new"}) })
		m.mu.Unlock()
		synctest.Wait() // for the first line's turn
		m.Reset()
		wantEnd(t, output(m), "No bootable device.\r\n")
	})
}

func TestDiskBootsFromThePhoneHomeCallOn(t *testing.T) {
	arrived := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(stuck.Close)
	s := newSite(t)
	s.change(func() { s.preseed = "curl -X POST " + stuck.URL + "\n" })
	m := newMachine(t, Config{Network: s.network()})
	m.SetPower(true)
	<-arrived
	m.SetBootDevice(ipmi.BootDisk, false, true)
	m.Reset()
	wantEnd(t, output(m), "node-01 login: ")
}

func TestResetOfAMachineThatIsOffDoesNothing(t *testing.T) {
	m := newMachine(t, Config{Installed: true})
	m.Reset()
	m.WriteSerial([]byte("\r\r"))
	if got := output(m); got != "" || m.PoweredOn() {
		t.Errorf("on %v, printed %q", m.PoweredOn(), got)
	}
}

func TestPaceIsTheTimeBetweenLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, Config{Installed: true, Pace: 150 * time.Millisecond})
		start := time.Now()
		m.SetPower(true)
		m.wg.Wait()
		lines := strings.Count(printed(m), "\n") - 2 // the prompt's two are free
		if took, want := time.Since(start), time.Duration(lines)*150*time.Millisecond; took < want-time.Second || took > want {
			t.Errorf("%d lines took %v, want about %v", lines, took, want)
		}
	})
}

func TestEndOfMainsEndsEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m, err := NewMachine(ctx, Config{Name: "n", MAC: testMAC, Arch: AMD64, Pace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	m.SetPower(true)
	cancel()
	m.Wait()
	m.SetPower(false)
	m.SetPower(true)
	if m.current != nil {
		t.Error("a machine without mains started")
	}
}

func TestConcurrentUse(t *testing.T) {
	m := newMachine(t, Config{Installed: true})
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			p := make([]byte, 100)
			for range 50 {
				m.SetPower(i%2 == 0)
				m.Reset()
				m.WriteSerial([]byte("root\rx\rreboot\r"))
				m.ReadSerial(p)
				m.SetBootDevice(ipmi.BootDisk, i%3 == 0, true)
				m.PoweredOn()
			}
		})
	}
	users.Wait()
	m.SetPower(true)
	m.Reset()
	wantEnd(t, output(m), "login: ")
}

func TestNewMachineRefusesWhatCannotExist(t *testing.T) {
	for want, cfg := range map[string]Config{
		"it needs a name": {MAC: testMAC, Arch: AMD64},
		"is not 6 bytes":  {Name: "n", Arch: AMD64},
		"neither amd64":   {Name: "n", MAC: testMAC, Arch: "sparc"},
	} {
		if _, err := NewMachine(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
}
