package server_test

import (
	"io"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
	"provisioner/store"
)

// A program whose connection ends in the middle leaves nothing behind, though
// what came of its file looks like a whole one.
func TestHalfOfAFileIsNotKept(t *testing.T) {
	for _, command := range []string{"image put half --type kernel", "preseed put half"} {
		t.Run(command, func(t *testing.T) {
			p := start(t)
			client, _, err := p.dial("ada", p.enrolled("ada", false))
			if err != nil {
				t.Fatal(err)
			}
			session, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			input, err := session.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := session.Start(command); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(input, "half of a file"); err != nil {
				t.Fatal(err)
			}
			_ = client.Close()
			p.stop() // which waits for the command
			for _, action := range []string{"image added", "preseed added"} {
				entries, err := p.lab.Audit(t.Context(), lab.Local, store.AuditFilter{Action: action, Limit: 1})
				if err != nil || len(entries) > 0 {
					t.Errorf("%+v, %v", entries, err)
				}
			}
		})
	}
}

// A key that is taken away ends a command that waits for its input.
func TestInputEndsWithTheWayIn(t *testing.T) {
	p := start(t)
	key := p.enrolled("ada", false)
	client, _, err := p.dial("ada", key)
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	input, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var notes strings.Builder
	session.Stderr = &notes
	if err := session.Start("image put endless --type kernel"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(input, "the beginning"); err != nil {
		t.Fatal(err)
	}
	if r := p.run("root", p.enrolled("root", true), "key rm --user ada "+gossh.FingerprintSHA256(key.PublicKey()), ""); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if code := exitCode(t, session.Wait()); code != 4 || !strings.Contains(notes.String(), "was taken from ada") {
		t.Errorf("exit code %d: %s", code, notes.String())
	}
}

// On a terminal, Ctrl-C ends what only waits.
func TestWaitIsInterrupted(t *testing.T) {
	p := start(t)
	ada, grace := p.enrolled("ada", false), p.enrolled("grace", false)
	if r := p.run("ada", ada, "reserve web-01", ""); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for command, want := range map[string]struct {
		seen, note string
		code       int
	}{
		"reserve web-01 --wait":                      {"", "interrupted: your place is kept", 6},
		"events --follow --since 1h --kind reserved": {"reserved", "", 0},
	} {
		c := p.start("grace", grace, command, true)
		if want.seen != "" {
			c.sees(t, want.seen)
		}
		c.types(t, "x\x1b[A\x03")
		if code := exitCode(t, c.Wait()); code != want.code || !strings.Contains(c.notes.String(), want.note) {
			t.Errorf("%s: exit code %d, %q", command, code, c.notes.String())
		}
	}
}
