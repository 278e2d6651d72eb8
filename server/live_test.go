package server_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"provisioner/lab"
)

// program is a program that follows what happens on the server.
type program struct {
	t     *testing.T
	lines *bufio.Scanner
	cmd   *exec.Cmd
}

// follow starts a program. It ends with the test at the latest.
func follow(t *testing.T, env string, name string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return &program{t, bufio.NewScanner(out), cmd}
}

// says waits for a line with a text.
func (p *program) says(text string) {
	p.t.Helper()
	var before []string
	for p.lines.Scan() {
		if line := p.lines.Text(); strings.Contains(line, text) {
			return
		}
		before = append(before, p.lines.Text())
	}
	p.t.Fatalf("it does not say %q, but\n%s", text, strings.Join(before, "\n"))
}

// TestAConsoleOverAWebSocketOfAnotherLibrary has Python's sit there, type, and
// be sent away when the server ends.
func TestAConsoleOverAWebSocketOfAnotherLibrary(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has the library
	needs(t, python, "python3 and python3-websockets")
	if err := exec.CommandContext(t.Context(), python, "-c", "import websockets").Run(); err != nil {
		needs(t, "python3-websockets", "python3-websockets")
	}
	p := start(t)
	p.enrolled("ada", false)
	if err := p.lab.Assign(t.Context(), lab.Local, "web-01", "ada", ""); err != nil {
		t.Fatal(err)
	}
	visitor := follow(t, "TOKEN="+p.token("ada"), python, "testdata/console.py",
		"ws://"+p.HTTPAddr().String()+"/api/v1/machine/web-01/console?mode=ask", "uname\r")
	visitor.says(`"mode":"writing"`)
	machine := <-p.bmc.opened
	typed := make([]byte, len("uname\r"))
	if _, err := io.ReadFull(machine, typed); err != nil || string(typed) != "uname\r" {
		t.Fatalf("the machine has read %q, %v", typed, err)
	}
	visitor.says(`"guests":[{"name":"ada","mode":"writing"`)
	if _, err := machine.Write([]byte("Linux\r\n\x00\xff")); err != nil {
		t.Fatal(err)
	}
	visitor.says("bytes " + hex.EncodeToString([]byte("Linux\r\n\x00\xff")))
	p.stop()
	visitor.says("stopping")
	visitor.says("closed 1001")
}

// TestEventsForCurl has curl follow what happens, until the server ends.
func TestEventsForCurl(t *testing.T) {
	needs(t, "curl", "curl")
	p := start(t)
	p.enrolled("ada", false)
	reader := follow(t, "", "curl", "--silent", "--show-error", "--no-buffer", "--header", "Authorization: Bearer "+p.token("ada"),
		"http://"+p.HTTPAddr().String()+"/api/v1/events?stream&kind=reserved")
	reader.says("id: ")
	if err := p.lab.Assign(t.Context(), lab.Local, "web-01", "ada", "to try it"); err != nil {
		t.Fatal(err)
	}
	reader.says(`"kind":"reserved","machine":"web-01"`)
	p.stop()
	reader.says("event: end")
	reader.says("stopping")
	if err := reader.cmd.Wait(); err != nil {
		t.Errorf("curl, whose stream has ended: %v", err)
	}
}
