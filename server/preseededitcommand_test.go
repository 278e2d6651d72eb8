package server_test

import (
	"io"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
)

// edits types into the editor of a preseed, and leaves it when the screen has
// shown all that it is to.
func (p *product) edits(user string, key gossh.Signer, command, keys, leave string, shows ...string) result {
	p.t.Helper()
	c := p.start(user, key, command, true)
	c.types(p.t, keys)
	for _, text := range shows {
		c.sees(p.t, text)
	}
	c.types(p.t, leave)
	if _, err := io.Copy(io.Discard, c.out); err != nil {
		p.t.Fatal(err)
	}
	return result{code: exitCode(p.t, c.Wait()), notes: c.notes.String()}
}

// sees reads what is drawn until a text is in it.
func (c consoleSession) sees(t *testing.T, text string) {
	t.Helper()
	buffer := make([]byte, 64<<10)
	for screen := ""; !strings.Contains(screen, text); {
		n, err := c.out.Read(buffer)
		if err != nil {
			t.Fatalf("%q never came: %q, %v", text, screen, err)
		}
		screen += string(buffer[:n])
	}
}

func TestPreseedIsEditedInATerminal(t *testing.T) {
	p := start(t)
	ada, grace := p.enrolled("ada", false), p.enrolled("grace", false)
	content := func() string { return p.run("ada", ada, "preseed show debian", "").out }
	const save, leave, end = "\x13", "\x18", "\x1b[F"

	r := p.edits("ada", ada, "preseed edit debian --type kickstart", "install\r", save+leave, "new kickstart debian")
	if r.code != 0 || !strings.Contains(r.notes, "debian is kept") || content() != "install\n" {
		t.Errorf("a new one: %+v, %q", r, content())
	}
	if r := p.edits("ada", ada, "preseed edit debian", end+"!", save+leave); r.code != 0 || content() != "install!\n" {
		t.Errorf("changed: %+v, %q", r, content())
	}
	if r := p.edits("ada", ada, "preseed edit debian", "lost", leave+"y"); !strings.Contains(r.notes, "debian is as it was") || content() != "install!\n" {
		t.Errorf("left without saving: %+v, %q", r, content())
	}
	c := p.start("ada", ada, "preseed edit debian", true)
	c.types(t, "{% if %}\r"+save)
	c.sees(t, "Syntax error")
	c.types(t, leave+"y")
	if code := exitCode(t, c.Wait()); code != 0 || content() != "install!\n" {
		t.Errorf("a mistake: %d, %q", code, content())
	}
	if r := p.edits("grace", grace, "preseed edit debian", "", ""); r.code != 4 || !strings.Contains(r.notes, "preseed debian is private") {
		t.Errorf("a stranger, at a private one: %+v", r)
	}
	yes := true
	if err := p.lab.ChangePreseed(t.Context(), lab.Local, "debian", lab.PreseedChange{Public: &yes}); err != nil {
		t.Fatal(err)
	}
	r = p.edits("grace", grace, "preseed edit debian", "mine"+save, leave, "only ada or an admin may")
	if r.code != 0 || content() != "install!\n" {
		t.Errorf("a stranger: %+v, %q", r, content())
	}
	if r := p.run("ada", ada, "preseed edit debian", ""); r.code != 2 || !strings.Contains(r.notes, "needs a terminal: ssh -t") {
		t.Errorf("without a terminal: %+v", r)
	}
}

func TestTwoWhoEditAPreseedAreToldOfEachOther(t *testing.T) {
	p := start(t)
	ada := p.enrolled("ada", false)
	if r := p.run("ada", ada, "preseed put debian", "one"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	c := p.start("ada", ada, "preseed edit debian", true)
	c.sees(t, "one")
	if r := p.run("ada", ada, "preseed put debian", "two"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	c.types(t, "my \x13")
	c.sees(t, "somebody else has changed it meanwhile")
	c.types(t, "n\x18y")
	if code := exitCode(t, c.Wait()); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if r := p.run("ada", ada, "preseed show debian", ""); r.out != "two" {
		t.Errorf("overwritten: %+v", r)
	}
	// Said yes to, it is saved over what the other has written.
	c = p.start("ada", ada, "preseed edit debian", true)
	c.sees(t, "two")
	if r := p.run("ada", ada, "preseed put debian", "three"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	c.types(t, "my \x13")
	c.sees(t, "Save this text over it?")
	c.types(t, "y\x18")
	if code := exitCode(t, c.Wait()); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if r := p.run("ada", ada, "preseed show debian", ""); r.out != "my two" {
		t.Errorf("%+v", r)
	}
}
