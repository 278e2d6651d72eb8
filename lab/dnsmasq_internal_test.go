package lab

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func TestOnlyDnsmasqIsSignalled(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	// Where the tests were told to ignore SIGHUP (nohup), their children would, too.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	start := func(name string) *exec.Cmd {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, program, 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), path, "60") // ends with the test
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return cmd
	}

	other := start("other")
	if err := reloadDnsmasq(pidFile); err == nil {
		t.Error("another program was signalled")
	}
	if err := other.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	if by := other.ProcessState.Sys().(syscall.WaitStatus).Signal(); by != syscall.SIGTERM {
		t.Errorf("another program was ended by %s", by)
	}

	dnsmasq := start("dnsmasq")
	if err := reloadDnsmasq(pidFile); err != nil {
		t.Fatal(err)
	}
	_ = dnsmasq.Wait()
	if by := dnsmasq.ProcessState.Sys().(syscall.WaitStatus).Signal(); by != syscall.SIGHUP {
		t.Errorf("dnsmasq got %s", by)
	}

	for _, text := range []string{"", "1\n", "0", "-1", "x", strconv.Itoa(1 << 30)} {
		if err := os.WriteFile(pidFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := reloadDnsmasq(pidFile); err == nil {
			t.Errorf("PID file %q: no error", text)
		}
	}
}
