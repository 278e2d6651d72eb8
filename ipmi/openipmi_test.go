package ipmi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"provisioner/ipmi"
)

// openIPMI is OpenIPMI's ipmi_sim: a BMC that has nothing of ours, nor of the
// library that we have our codecs from.
type openIPMI struct {
	addr   string
	dir    string
	serial net.Conn // the machine's end of the serial line
}

func startOpenIPMI(t *testing.T) *openIPMI { return startOpenIPMIOn(t, "127.0.0.1") }

func startOpenIPMIOn(t *testing.T, host string) *openIPMI {
	t.Helper()
	program, err := exec.LookPath("ipmi_sim")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ipmi_sim is missing: install the Debian package openipmi")
		}
		t.Skip("ipmi_sim is missing: install the Debian package openipmi")
	}
	serial, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer serial.Close()
	lan, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	addr := lan.LocalAddr().String()
	_ = lan.Close() // for ipmi_sim, which cannot choose a port by itself

	dir := t.TempDir()
	port := func(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }
	fill := strings.NewReplacer("@HOST@", host, "@LAN@", port(addr), "@SOL@", port(serial.Addr().String()), "@DIR@", dir)
	for _, file := range []string{"lan.conf", "cmd.emu", "chassis.sh"} {
		text, err := os.ReadFile(filepath.Join("testdata", "openipmi", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(fill.Replace(string(text))), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-n", "-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "cmd.emu"), "-s", state)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, dir
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("ipmi_sim: %s", out.Bytes())
		}
	})
	if err := serial.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := serial.Accept() // it connects once it is up
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	return &openIPMI{addr: addr, dir: dir, serial: line}
}

func (o *openIPMI) client(t *testing.T, user string) *ipmi.Client {
	t.Helper()
	return connect(t, ipmi.Config{Addr: o.addr, Username: user, Password: "test"})
}

// set returns what ipmi_sim told the machine so far.
func (o *openIPMI) set(t *testing.T) []string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(o.dir, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(log)), "\n")
}

func TestOpenIPMI(t *testing.T) {
	o := startOpenIPMI(t)
	c := o.client(t, "ipmiusr")

	t.Run("power", func(t *testing.T) {
		for _, step := range []struct {
			do   ipmi.PowerAction
			want ipmi.PowerState
		}{{ipmi.PowerUp, ipmi.PowerOn}, {ipmi.PowerReset, ipmi.PowerOn}, {ipmi.PowerDown, ipmi.PowerOff}} {
			if err := c.SetPower(t.Context(), step.do); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Power(t.Context()); err != nil || got != step.want {
				t.Fatalf("power %v after %v: %v", got, step.do, err)
			}
		}
	})

	t.Run("shutdown by the system, and no diagnostic interrupt", func(t *testing.T) {
		if err := c.SetPower(t.Context(), ipmi.PowerSoft); err != nil {
			t.Fatal(err)
		}
		if got := o.set(t); got[len(got)-1] != "shutdown 1" {
			t.Errorf("the machine was told %q", got)
		}
		if err := c.SetPower(t.Context(), ipmi.PowerDiag); !errors.Is(err, ipmi.ErrRefused) {
			t.Errorf("diag, which ipmi_sim lacks: %v", err)
		}
	})

	t.Run("light", func(t *testing.T) {
		for light, want := range map[ipmi.Light]string{
			ipmi.LightBrief: "identify 15 0", ipmi.LightOn: "identify 0 1", ipmi.LightOff: "identify 0 0",
		} {
			if err := c.Identify(t.Context(), light); err != nil {
				t.Fatal(err)
			}
			if got := o.set(t); got[len(got)-1] != want {
				t.Errorf("light %v: the machine was told %q", light, got)
			}
		}
	})

	t.Run("boot device by EFI", func(t *testing.T) {
		if err := c.SetBootDevice(t.Context(), ipmi.BootPXE, ipmi.BootOptions{EFI: true}); err != nil {
			t.Fatal(err)
		}
		got := o.set(t)
		if got[len(got)-1] != "boot pxe" {
			t.Errorf("the machine was told %q", got)
		}
	})

	// ipmi_sim tells the machine nothing of the way of booting.
	t.Run("boot device as a PC of old", func(t *testing.T) {
		for dev, want := range map[ipmi.BootDevice]string{
			ipmi.BootPXE: "boot pxe", ipmi.BootDisk: "boot default", ipmi.BootCDROM: "boot cdrom",
			ipmi.BootBIOS: "boot bios", ipmi.BootNone: "boot none",
		} {
			if err := c.SetBootDevice(t.Context(), dev, ipmi.BootOptions{}); err != nil {
				t.Errorf("%v: %v", dev, err)
				continue
			}
			if got := o.set(t); got[len(got)-1] != want {
				t.Errorf("%v: the machine was told %q", dev, got[len(got)-1])
			}
		}
	})

	t.Run("an operator is enough", func(t *testing.T) {
		if err := o.client(t, "operator").SetPower(t.Context(), ipmi.PowerDown); err != nil {
			t.Error(err)
		}
	})

	t.Run("credentials", func(t *testing.T) {
		for _, cfg := range []ipmi.Config{
			{Addr: o.addr, Username: "ipmiusr", Password: "wrong"},
			{Addr: o.addr, Username: "nobody", Password: "test"},
		} {
			_, err := connect(t, cfg).Power(t.Context())
			if !errors.Is(err, ipmi.ErrBadCredentials) {
				t.Errorf("user %s: %v", cfg.Username, err)
			}
		}
	})

	t.Run("console", func(t *testing.T) {
		first := openSOL(t, c)
		speak(t, o, first, 1000)
		if _, err := c.Power(t.Context()); err != nil {
			t.Errorf("power beside the console: %v", err)
		}

		// ipmi_sim does not tell the first one that it was taken over.
		speak(t, o, openSOL(t, o.client(t, "ipmiusr")), 20_000)
	})
	t.Run("console that is read late", func(t *testing.T) {
		sol := openSOL(t, c)
		hung := time.AfterFunc(20*time.Second, func() { _ = sol.Close() })
		defer hung.Stop()
		before := c.Stats().Received
		if _, err := o.serial.Write(text(20_000)); err != nil { // more than we keep
			t.Fatal(err)
		}
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for last := before; ; last = c.Stats().Received { // until ipmi_sim has been told to wait
			<-tick.C
			if now := c.Stats().Received; now > before && now == last {
				break
			}
		}
		if _, err := io.WriteString(o.serial, "the end"); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for buf := make([]byte, 4096); !bytes.HasSuffix(got, []byte("the end")); {
			n, err := sol.Read(buf)
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			got = append(got, buf[:n]...)
		}
	})
}

// speak sends n bytes both ways over a console and the serial line behind it.
func speak(t *testing.T, o *openIPMI, sol *ipmi.SOL, n int) {
	t.Helper()
	hung := time.AfterFunc(20*time.Second, func() { _ = sol.Close() })
	defer hung.Stop()

	// The line has no flow control and ipmi_sim a short buffer: wait for each
	// line to arrive. The mark is where its history of earlier output ends.
	mark := []byte("mark " + strconv.Itoa(n) + ":")
	lead := mark
	printed, typed := text(n), text(n)
	got, buf := []byte(nil), make([]byte, 4096)
	begin := 0
	arrived := func(want int) bool {
		for begin == 0 || len(got) < begin+want {
			k, err := sol.Read(buf)
			if err != nil {
				t.Errorf("read: %v after %d of %d bytes", err, len(got)-begin, want)
				return false
			}
			got = append(got, buf[:k]...)
			if i := bytes.Index(got, mark); begin == 0 && i >= 0 {
				begin = i + len(mark)
			}
		}
		return true
	}
	for i := 0; i < n; i += 500 {
		if _, err := o.serial.Write(append(lead, printed[i:min(n, i+500)]...)); err != nil {
			t.Fatal(err)
		}
		lead = nil
		if !arrived(min(n, i+500)) {
			return
		}
	}
	compare(t, "printed", got[begin:], printed)

	done := make(chan error, 1)
	go func() { done <- second(sol.Write(typed)) }()
	seen := make([]byte, n)
	if err := o.serial.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if k, err := io.ReadFull(o.serial, seen); err != nil {
		t.Errorf("the machine got %d bytes: %v", k, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	compare(t, "typed", seen, typed)
}
