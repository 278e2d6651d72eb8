package lab

import (
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// ParsePublicKey reads an ssh public key, as ssh-keygen writes it into a file
// that ends in .pub. Options before it are refused: they would be lost.
func ParsePublicKey(text []byte) (PublicKey, error) {
	parsed, comment, options, _, err := ssh.ParseAuthorizedKey(text)
	switch {
	case err != nil && strings.Contains(string(text), "PRIVATE KEY"):
		return PublicKey{}, fail(Invalid, "this is a private key, which is nobody's but yours: give the file that ends in .pub")
	case err != nil:
		return PublicKey{}, fail(Invalid, "this is no ssh public key: give what the file holds that ends in .pub")
	case len(options) > 0:
		return PublicKey{}, fail(Invalid, "options such as %.64q have no effect here: give the key without them", options[0])
	}
	return PublicKey{
		Fingerprint: ssh.FingerprintSHA256(parsed),
		Authorized:  strings.TrimSpace(string(ssh.MarshalAuthorizedKey(parsed))),
		Comment:     printable(comment),
	}, nil
}

// printable returns a comment with a question mark for whatever would not show
// as it is, on terminals and in preseeds.
func printable(comment string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, comment)
}
