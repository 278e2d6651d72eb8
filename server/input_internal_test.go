package server

import (
	"context"
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

func TestOutputEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	var text strings.Builder
	out := output{ctx, &text}
	_, before := io.WriteString(out, "before")
	cancel(errStopping)
	_, after := io.WriteString(out, "after")
	if before != nil || !errors.Is(after, errStopping) || text.String() != "before" {
		t.Errorf("%v, %v, %q", before, after, text.String())
	}
}
