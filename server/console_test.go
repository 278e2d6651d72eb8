package server_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

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
	if err := session.Start("console web-01"); err != nil {
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
