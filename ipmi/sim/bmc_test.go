package sim_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

// machine is Hardware that remembers what it was told and echoes what is typed.
type machine struct {
	mu         sync.Mutex
	on         bool
	resets     int
	dev        ipmi.BootDevice
	persistent bool
	efi        bool
	out        []byte
}

func (m *machine) PoweredOn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

func (m *machine) SetPower(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = on
}

func (m *machine) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets++
}

func (m *machine) SetBootDevice(dev ipmi.BootDevice, persistent, efi bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dev, m.persistent, m.efi = dev, persistent, efi
}

func (m *machine) bootDevice() (dev ipmi.BootDevice, persistent, efi bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dev, m.persistent, m.efi
}

func (m *machine) ReadSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n
}

func (m *machine) WriteSerial(p []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = append(m.out, bytes.ToUpper(p)...)
	return len(p)
}

// serve runs b on a loopback UDP port until the test ends.
func serve(t testing.TB, b *sim.BMC) *net.UDPAddr {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr)
}

// program finds a Debian program, and skips the test without it unless CI is set.
func program(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the Debian package %s", name, debianPackage)
	}
	t.Skipf("%s is missing: install the Debian package %s", name, debianPackage)
	return ""
}

func TestIpmitoolDrivesTheSimulatedBMC(t *testing.T) {
	tool := program(t, "ipmitool", "ipmitool")
	for _, suite := range []string{"17", "3"} {
		t.Run("suite "+suite, func(t *testing.T) {
			t.Parallel()
			hw := &machine{}
			addr := serve(t, sim.New("ADMIN", "secret", hw))
			run := func(args ...string) string {
				t.Helper()
				_, port, _ := strings.Cut(addr.String(), ":")
				args = append([]string{"-I", "lanplus", "-C", suite, "-H", "127.0.0.1", "-p", port, "-U", "ADMIN", "-E", "-N", "2"}, args...)
				cmd := exec.CommandContext(t.Context(), tool, args...)
				cmd.Env = append(os.Environ(), "IPMI_PASSWORD=secret", "IPMITOOL_PASSWORD=secret")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("ipmitool %v: %v\n%s", args, err, out)
				}
				return string(out)
			}

			if out := run("chassis", "power", "status"); !strings.Contains(out, "is off") {
				t.Errorf("power status of a machine that is off: %s", out)
			}
			run("chassis", "power", "on")
			if !hw.PoweredOn() {
				t.Error("the machine is off after power on")
			}
			run("chassis", "bootdev", "pxe", "options=efiboot")
			if dev, persistent, efi := hw.bootDevice(); dev != ipmi.BootPXE || !efi || persistent {
				t.Errorf("boot device %v, efi %v, persistent %v; want pxe once by EFI", dev, efi, persistent)
			}
			if out := run("chassis", "bootparam", "get", "5"); !strings.Contains(out, "Force PXE") {
				t.Errorf("boot flags read back: %s", out)
			}
			for _, args := range [][]string{{"power", "diag"}, {"power", "soft"}, {"identify"}, {"identify", "force"}, {"identify", "0"}} {
				run(append([]string{"chassis"}, args...)...)
			}
			if hw.PoweredOn() {
				t.Error("the machine is on after power soft")
			}
			if out := run("mc", "info"); !strings.Contains(out, "IPMI Version              : 2.0") {
				t.Errorf("mc info: %s", out)
			}
		})
	}
}

// BenchmarkIdleBMCMemory reports what one simulated BMC costs while nobody
// talks to it: heap and goroutine stacks, without the kernel's socket.
func BenchmarkIdleBMCMemory(b *testing.B) {
	const many = 200
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	for b.Loop() {
		before := inUse()
		ctx, cancel := context.WithCancel(context.Background())
		var reading, served sync.WaitGroup
		reading.Add(many)
		for range many {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			served.Go(func() {
				bmc := sim.New("ADMIN", "ADMIN", &machine{})
				if err := bmc.Serve(ctx, &firstRead{PacketConn: conn, reached: reading.Done}); err != nil {
					b.Error(err)
				}
			})
		}
		reading.Wait()
		after := inUse()
		b.ReportMetric(float64(after-before)/many, "B/BMC")
		cancel()
		served.Wait()
	}
}

// firstRead tells when its connection is read for the first time.
type firstRead struct {
	net.PacketConn
	once    sync.Once
	reached func()
}

func (c *firstRead) ReadFrom(p []byte) (int, net.Addr, error) {
	c.once.Do(c.reached)
	return c.PacketConn.ReadFrom(p)
}
