package server

import (
	"errors"
	"io"
	"strings"
	"testing"

	"charm.land/ssh"
)

// clientThat is a session with a client that sends a text, and then is gone or
// is not.
type clientThat struct {
	ssh.Session
	io.Reader
	gone error
}

func (c clientThat) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c clientThat) SendRequest(string, bool, []byte) (bool, error) { return false, c.gone }

func TestTheEndOfAConnectionIsNoEndOfInput(t *testing.T) {
	for gone, want := range map[error]error{nil: nil, io.EOF: errTorn} {
		content, err := io.ReadAll(sessionInput{clientThat{Reader: strings.NewReader("a file"), gone: gone}})
		if string(content) != "a file" || !errors.Is(err, want) {
			t.Errorf("client gone: %v: %q, %v", gone, content, err)
		}
	}
}
