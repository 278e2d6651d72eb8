package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A dhcpHost is a computer at the other end of the cable, with network interfaces and addresses of its own, and a shell.
type dhcpHost struct {
	port  string // the network interface that its DHCP client uses
	stdin io.Writer
	lines *bufio.Scanner
	shell *exec.Cmd
}

// endOfOutput comes before a command's exit status.
const endOfOutput = "--- status "

// newDHCPHost plugs the cable's end into a network namespace.
func newDHCPHost(t *testing.T) *dhcpHost {
	t.Helper()
	h := &dhcpHost{port: clientPort, shell: exec.Command("unshare", "--net", "sh")}
	h.shell.Dir = t.TempDir()
	var err error
	if h.stdin, err = h.shell.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := h.shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.lines = bufio.NewScanner(stdout)
	if err := h.shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.shell.Process.Kill() // the kernel takes the namespace with it
		_ = h.shell.Wait()
	})
	h.run(t, "ip link set lo up") // in the namespace by now
	run(t, "ip", "link", "set", clientPort, "netns", strconv.Itoa(h.shell.Process.Pid))
	h.run(t, "ip link set "+clientPort+" up")
	return h
}

// try runs a command and returns what it printed, also to standard error, and whether it has succeeded.
func (h *dhcpHost) try(t *testing.T, command string) (out string, ok bool) {
	t.Helper()
	if _, err := fmt.Fprintf(h.stdin, "(%s) 2>&1; echo '%s'$?\n", command, endOfOutput); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = h.shell.Process.Kill() })
	defer late.Stop()
	var printed strings.Builder
	for h.lines.Scan() {
		if status, end := strings.CutPrefix(h.lines.Text(), endOfOutput); end {
			t.Logf("%s\n%s", command, &printed)
			return printed.String(), status == "0"
		}
		printed.WriteString(h.lines.Text() + "\n")
	}
	t.Fatalf("%s: not within a minute: %v\n%s", command, h.lines.Err(), &printed)
	return "", false
}

// run is try of what has to succeed.
func (h *dhcpHost) run(t *testing.T, command string) string {
	t.Helper()
	out, ok := h.try(t, command)
	if !ok {
		t.Fatalf("%s failed:\n%s", command, out)
	}
	return out
}

// card has the host's network card be another one.
func (h *dhcpHost) card(t *testing.T, mac string) {
	t.Helper()
	h.run(t, "ip link set "+clientPort+" down; ip link set "+clientPort+" address "+mac+" up")
}
