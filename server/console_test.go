package server_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
)

// consoleSession is somebody at the console of web-01.
type consoleSession struct {
	*gossh.Session
	in    io.WriteCloser
	out   io.Reader
	notes *lockedBuffer
}

func (p *product) console(user string, key gossh.Signer, terminal bool) consoleSession {
	p.t.Helper()
	return p.start(user, key, "console web-01", terminal)
}

// start starts a command that goes on.
func (p *product) start(user string, key gossh.Signer, command string, terminal bool) consoleSession {
	p.t.Helper()
	client, _, err := p.dial(user, key)
	if err != nil {
		p.t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		p.t.Fatal(err)
	}
	c := consoleSession{Session: session, notes: &lockedBuffer{}}
	session.Stderr = c.notes
	if c.in, err = session.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if c.out, err = session.StdoutPipe(); err != nil {
		p.t.Fatal(err)
	}
	if terminal {
		if err := session.RequestPty("xterm", 24, 80, gossh.TerminalModes{}); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := session.Start(command); err != nil {
		p.t.Fatal(err)
	}
	return c
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestConsoleIsEightBitCleanBothWays(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	every = append(every, "\n\r\n\r\r\n~~~\r\n"...)
	for _, terminal := range []bool{false, true} {
		p := start(t)
		c := p.console("ada", p.enrolled("ada", true), terminal)
		machine := <-p.bmc.opened
		if _, err := machine.Write(every); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(every))
		if _, err := io.ReadFull(c.out, got); err != nil || !bytes.Equal(got, every) {
			t.Errorf("terminal %t: the person got %q, %v", terminal, got, err)
		}
		typed := append([]byte("x"), every[:256]...) // no tilde at the start of a line
		if _, err := c.in.Write(typed); err != nil {
			t.Fatal(err)
		}
		got = make([]byte, len(typed))
		if _, err := io.ReadFull(machine, got); err != nil || !bytes.Equal(got, typed) {
			t.Errorf("terminal %t: the machine got %q, %v", terminal, got, err)
		}
	}
}

func TestConsoleIsLeftWithTildeDot(t *testing.T) {
	p := start(t)
	c := p.console("ada", p.enrolled("ada", true), true)
	machine := <-p.bmc.opened
	if _, err := io.WriteString(c.in, "~?ls ~.\r~~\r~."); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("ls ~.\r~\r"))
	if _, err := io.ReadFull(machine, got); err != nil || string(got) != "ls ~.\r~\r" {
		t.Errorf("the machine got %q, %v", got, err)
	}
	if code := exitCode(t, c.Wait()); code != 0 {
		t.Errorf("exit %d", code)
	}
	if notes := c.notes.String(); !strings.Contains(notes, "left the console of web-01") || !strings.Contains(notes, "this list") {
		t.Errorf("notes %q", notes)
	}
}

func TestConsoleGoesOnWithoutInput(t *testing.T) {
	p := start(t)
	c := p.console("ada", p.enrolled("ada", true), false)
	machine := <-p.bmc.opened
	if err := c.in.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(machine, "still here"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("still here"))
	if _, err := io.ReadFull(c.out, got); err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestConsoleOfAReleasedMachineEnds(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", false)
	p.run("ada", key, "reserve web-01", "")
	c := p.console("ada", key, true)
	joined(t, <-p.bmc.opened, c.out)
	if err := p.lab.Release(t.Context(), lab.Local, "web-01"); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, c.Wait()); code != 4 || !strings.Contains(c.notes.String(), "you hold web-01 no more") {
		t.Errorf("exit %d, notes %q", code, c.notes.String())
	}
}

// expect reads as many bytes as are wanted, and compares them.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got[:n], err, want)
	}
}

func TestReplayBeginsWithTheLastLinesAndGoesOnLive(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	machine := <-p.bmc.opened
	first := p.console("ada", key, false)
	const printed = "one\r\ntwo\r\nthree\r\n"
	if _, err := io.WriteString(machine, printed); err != nil {
		t.Fatal(err)
	}
	expect(t, first.out, printed) // so that it is in the log
	replayed := p.start("ada", key, "console web-01 --replay 2 --watch", false)
	expect(t, replayed.out, "two\r\nthree\r\n")
	fresh := p.start("ada", key, "console web-01 --replay 0", false)
	if err := fresh.in.Close(); err != nil {
		t.Fatal(err)
	}
	untilNoted(t, fresh, "console of web-01")
	if _, err := io.WriteString(machine, "live"); err != nil {
		t.Fatal(err)
	}
	expect(t, replayed.out, "live")
	expect(t, fresh.out, "live")
	if r := p.run("ada", key, "console web-01 --replay=-1", ""); r.code != 2 || !strings.Contains(r.notes, "0 or more") {
		t.Errorf("%+v", r)
	}
}

// untilNoted waits until a person has read something on standard error.
func untilNoted(t *testing.T, c consoleSession, want string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !strings.Contains(c.notes.String(), want) {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%q is not in the notes %q", want, c.notes.String())
		}
	}
}

func TestWhoOnlyWatchesTypesNothingAndLeavesWithTildeDot(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", true)
	machine := <-p.bmc.opened
	watching := p.start("ada", key, "console web-01 --watch", true)
	if _, err := io.WriteString(watching.in, "rm -rf /\r~."); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, watching.Wait()); code != 0 || strings.Count(watching.notes.String(), "you only watch") != 1 {
		t.Errorf("exit %d, notes %q", code, watching.notes.String())
	}
	typing := p.console("ada", key, false)
	if _, err := io.WriteString(typing.in, "ls\r"); err != nil {
		t.Fatal(err)
	}
	expect(t, machine, "ls\r")
}

func TestLogIsPrintedAsItCame(t *testing.T) {
	p := start(t)
	ada, grace := p.enrolled("ada", true), p.enrolled("grace", false)
	machine := <-p.bmc.opened
	c := p.console("ada", ada, false)
	const printed = "\x00\xff\x1b[31mred\n\r\n"
	if _, err := io.WriteString(machine, printed); err != nil {
		t.Fatal(err)
	}
	expect(t, c.out, printed)
	for command, want := range map[string]string{"log web-01": printed, "log web-01 --since 1h": printed, "log web-02": ""} {
		if r := p.run("ada", ada, command, ""); r.code != 0 || r.out != want {
			t.Errorf("%s: %+v", command, r)
		}
	}
	for command, code := range map[string]int{"log web-01 --since=-1h": 2, "log web-01 --since x": 2, "log no-such": 3} {
		if r := p.run("ada", ada, command, ""); r.code != code {
			t.Errorf("%s: %+v", command, r)
		}
	}
	if r := p.run("grace", grace, "log web-01", ""); r.code != 4 || r.out != "" {
		t.Errorf("a stranger: %+v", r)
	}
}
