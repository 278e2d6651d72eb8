package lab_test

import (
	"strings"
	"testing"

	"provisioner/lab"
)

const edKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

func TestPublicKeyIsReadAsSSHKeygenWritesIt(t *testing.T) {
	key, err := lab.ParsePublicKey([]byte("\n" + edKey + " ada@laptop\r\n"))
	if err != nil || key.Authorized != edKey || key.Comment != "ada@laptop" || !strings.HasPrefix(key.Fingerprint, "SHA256:") {
		t.Errorf("%+v, %v", key, err)
	}
	if key, err := lab.ParsePublicKey([]byte(edKey + " ada\x1b[2J \xff\u202ez\u00e9")); err != nil || key.Comment != "ada?[2J ??z\u00e9" {
		t.Errorf("%q, %v", key.Comment, err)
	}
	for text, words := range map[string]string{
		"":                 "no ssh public key",
		"ssh-ed25519 AAAA": "no ssh public key",
		"no-pty " + edKey:  `options such as "no-pty"`,
		"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n": "a private key",
	} {
		if _, err := lab.ParsePublicKey([]byte(text)); lab.CodeOf(err) != lab.Invalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(edKey + " ada@laptop")
	f.Add(`from="10.0.0.1",no-pty ` + edKey)
	f.Fuzz(func(t *testing.T, text string) {
		key, err := lab.ParsePublicKey([]byte(text))
		if err != nil {
			return
		}
		again, err := lab.ParsePublicKey([]byte(key.Authorized))
		if err != nil || again.Fingerprint != key.Fingerprint {
			t.Errorf("%q was kept as %q: %v", text, key.Authorized, err)
		}
	})
}
