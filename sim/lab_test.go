package sim

import (
	"context"
	"errors"

	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"provisioner/ipmi"
)

// startLab starts a lab that ends with the test.
func startLab(t testing.TB, cfg LabConfig) *Lab {
	t.Helper()
	cfg.BMCUsername, cfg.BMCPassword = "admin", "secret"
	ctx, cancel := context.WithCancel(context.Background())
	lab, err := StartLab(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := lab.Wait(); err != nil {
			t.Error(err)
		}
	})
	return lab
}

func TestLabHasTwoArchitecturesAndUniqueNames(t *testing.T) {
	lab := startLab(t, LabConfig{Machines: 12})
	var names []string
	seen := map[string]bool{}
	arches := map[string]int{}
	for _, m := range lab.Machines() {
		names = append(names, m.Name)
		arches[m.Arch]++
		for _, id := range []string{m.Name, m.MAC.String(), m.BMCAddr} {
			if seen[id] {
				t.Errorf("%s twice", id)
			}
			seen[id] = true
		}
		if m.PoweredOn() {
			t.Errorf("%s is on", m.Name)
		}
	}
	want := "amd-rome-01 ampere-01 xeon-gold-01 thunderx2-01 amd-milan-01 kunpeng-01 " +
		"amd-rome-02 ampere-02 xeon-gold-02 thunderx2-02 amd-milan-02 kunpeng-02"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("names %q, want %q", got, want)
	}
	if arches[AMD64] != 6 || arches[ARM64] != 6 {
		t.Errorf("architectures %v", arches)
	}
}

func TestLabMACsAreUniqueUpToItsLargestSize(t *testing.T) {
	seen := make(map[string]bool)
	for i := range labMachinesMax {
		seen[string(labMAC(i))] = true
	}
	if len(seen) != labMachinesMax {
		t.Errorf("%d MACs for %d machines", len(seen), labMachinesMax)
	}
}

func TestLabRefusesAnImpossibleSize(t *testing.T) {
	for _, n := range []int{-1, 0, labMachinesMax + 1} {
		if _, err := StartLab(t.Context(), LabConfig{Machines: n}); err == nil {
			t.Errorf("%d machines: no error", n)
		}
	}
}

func TestLabThatCannotStartLeavesNothingRunning(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 60
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	_, err := StartLab(t.Context(), LabConfig{Machines: 100, Installed: 100})
	if restored := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "start the BMC of simulated machine ") {
		t.Fatalf("error %v", err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "(*Lab).add") {
		t.Errorf("still running:\n%s", stacks)
	}
}

func TestDeadBMCAnswersNothing(t *testing.T) {
	lab := startLab(t, LabConfig{Machines: 3, Dead: []int{1}})
	c := ipmi.NewClient(ipmi.Config{
		Addr: lab.Machines()[1].BMCAddr, Username: "admin", Password: "secret", Timeout: 100 * time.Millisecond,
	})
	defer func() { _ = c.Close(t.Context()) }()
	if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) {
		t.Errorf("error %v, want no answer", err)
	}
}

func TestPowerBootDeviceAndConsoleOverRMCP(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := newSite(t)
	s.change(func() {
		s.files["grub/grub.cfg-01-52-54-00-4d-00-01"] = s.files["grub/grub.cfg-01-52-54-00-12-34-56"]
	})
	lab := startLab(t, LabConfig{Machines: 1, Network: s.network()})
	c := ipmi.NewClient(ipmi.Config{Addr: lab.Machines()[0].BMCAddr, Username: "admin", Password: "secret"})
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()

	console, err := c.OpenSOL(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = console.Close() }()
	context.AfterFunc(ctx, func() { _ = console.Close() })
	var screen strings.Builder
	readUntil := func(text string) {
		t.Helper()
		p := make([]byte, 1024)
		for !strings.Contains(screen.String(), text) {
			n, err := console.Read(p)
			screen.Write(p[:n])
			if err != nil {
				t.Fatalf("waiting for %q: %v; so far:\n%s", text, err, screen.String())
			}
		}
		screen.Reset()
	}

	if state, err := c.Power(ctx); err != nil || state != ipmi.PowerOff {
		t.Fatalf("power %v, %v", state, err)
	}
	if err := c.SetBootDevice(ctx, ipmi.BootPXE, ipmi.BootOptions{EFI: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetPower(ctx, ipmi.PowerUp); err != nil {
		t.Fatal(err)
	}
	readUntil("installed-01 login: ")
	for _, step := range []struct{ keys, shows string }{
		{"root\r", "Password: "},
		{"hunter2\r", "root@installed-01:~$ "},
		{"echo $HOME is 'two  words'\r", "\r\n$HOME is two  words\r\n"},
		{"poweroff\r", "reboot: Power down"},
	} {
		if _, err := console.Write([]byte(step.keys)); err != nil {
			t.Fatal(err)
		}
		readUntil(step.shows)
	}
	lab.Machines()[0].wg.Wait()
	if state, err := c.Power(ctx); err != nil || state != ipmi.PowerOff {
		t.Fatalf("power after poweroff: %v, %v", state, err)
	}
}

// BenchmarkIdleMachineMemory reports what a machine at its login prompt costs,
// its BMC and its UDP port included.
func BenchmarkIdleMachineMemory(b *testing.B) {
	const machines = 1000
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	for b.Loop() {
		before := used()
		ctx, cancel := context.WithCancel(context.Background())
		lab, err := StartLab(ctx, LabConfig{
			Machines: machines, Installed: machines, BMCUsername: "admin", BMCPassword: "secret",
		})
		if err != nil {
			cancel()
			b.Skipf("%v (raise the limit of open files)", err)
		}
		for _, m := range lab.machines {
			m.wg.Wait()
		}
		b.ReportMetric(float64(used()-before)/machines, "B/machine")
		if m := lab.machines[0]; m.terminal.mode != modeLogin {
			b.Error("not at the login prompt")
		}
		cancel()
		if err := lab.Wait(); err != nil {
			b.Error(err)
		}
	}
}
