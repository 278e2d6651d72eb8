package server_test

import (
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestFirstAdminClaimsTheServerOnce(t *testing.T) {
	p := start(t)
	key := newKey(t)
	r := p.run("admin", key, "whoami", "WRON-GONE\n"+strings.ToLower(p.lab.ClaimCode())+"\n")
	if r.code != 0 || !strings.Contains(r.notes, "this is not the claim code") || !strings.HasPrefix(r.out, "admin (admin)") {
		t.Errorf("claim: %+v", r)
	}
	if r := p.run("admin", key, "whoami", ""); r.code != 0 || strings.Contains(r.notes, "claim code") {
		t.Errorf("later log-in: %+v", r)
	}
	_, said, err := p.dial("admin", newKey(t))
	if err == nil || !strings.Contains(said, "is not enrolled for admin") {
		t.Errorf("somebody else's log-in: %v, %q", err, said)
	}
}

func TestWrongClaimCodesAreRefusedAndLimited(t *testing.T) {
	p := start(t)
	key := newKey(t)
	wrong := strings.Repeat("AAAA-AAAA\n", 5)
	if r := p.run("admin", key, "whoami", wrong); r.code != 4 || r.out != "" || strings.Count(r.notes, "this is not the claim code") != 3 {
		t.Errorf("three wrong codes: %+v", r)
	}
	p.run("admin", key, "whoami", wrong)
	r := p.run("admin", key, "whoami", p.lab.ClaimCode()+"\n")
	if r.code != 4 || !strings.Contains(r.notes, "too many wrong codes") {
		t.Errorf("the right code after many wrong ones: %+v", r)
	}
}

func TestWhoCannotComeInIsToldWhy(t *testing.T) {
	p := start(t)
	_, said, err := p.dial("admin")
	if err == nil || !strings.Contains(said, "without an ssh key") || !strings.Contains(said, "ssh-keygen -t ed25519") || strings.Contains(said, "to an admin") {
		t.Errorf("without a key, on a fresh server: %v, %q", err, said)
	}
	p.enrolled("ada", true)
	_, said, err = p.dial("bob")
	if err == nil || !strings.Contains(said, "ssh-keygen") || !strings.Contains(said, "to an admin, for the account bob") {
		t.Errorf("without a key: %v, %q", err, said)
	}
	_, said, err = p.dial("bob\x1b[2J", newKey(t))
	if err == nil || !strings.Contains(said, "is not enrolled for bob[2J") || strings.Contains(said, "\x1b") {
		t.Errorf("unknown user: %v, %q", err, said)
	}
	many := make([]gossh.Signer, 12) // as an agent may hold them
	for i := range many {
		many[i] = newKey(t)
	}
	if _, said, err := p.dial("ada", many...); err == nil || !strings.Contains(said, "is not enrolled for ada") {
		t.Errorf("with many keys: %v, %q", err, said)
	}
	if strings.Count(said, "not enrolled") != 1 {
		t.Errorf("it is said more than once: %q", said)
	}
}
