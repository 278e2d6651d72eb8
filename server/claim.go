package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"charm.land/ssh"
	"golang.org/x/term"

	"provisioner/lab"
)

const (
	claimTries   = 3
	maxClaimLine = 256 // bytes
)

// claim asks the first admin for the code that the server printed at its start.
func (s *Server) claim(ctx context.Context, sess ssh.Session, t *terminal, key lab.PublicKey, remote string) (lab.Actor, error) {
	out := t.text(sess.Stderr())
	if t != nil {
		out = t.text(sess) // where the prompt goes: an ssh client may mix up the order of the two
	}
	_, _ = fmt.Fprintf(out, "Welcome to provisioner. Nobody has claimed this server yet.\n"+
		"Your key %s will be its first admin key.\nThe claim code is in the output of the server's start.\n\n", key.Fingerprint)
	// A reader that is asked for a line does not know of ctx.
	defer context.AfterFunc(ctx, func() { _ = sess.Close() })()
	ask := lineReader(sess, t, out)
	for try := 1; ; try++ {
		code, err := ask("claim code: ")
		if err != nil {
			return lab.Actor{}, &lab.Error{Code: lab.Denied, Message: "no claim code was given", Err: err}
		}
		actor, err := s.lab.Claim(ctx, code, key, remote)
		if err == nil {
			_, _ = fmt.Fprintf(out, "This server is yours now. Later log-ins with this key go straight in.\n\n")
			return actor, nil
		}
		if try == claimTries {
			return lab.Actor{}, err
		}
		_, _ = fmt.Fprintf(out, "%s\n", err)
	}
}

// lineReader asks for lines: with an echo of its own where the client has put
// a terminal into raw mode, else as they come.
func lineReader(sess ssh.Session, t *terminal, out io.Writer) func(prompt string) (string, error) {
	if t != nil {
		terminal := term.NewTerminal(sess, "")
		return func(prompt string) (string, error) {
			terminal.SetPrompt(prompt)
			return terminal.ReadLine()
		}
	}
	lines := bufio.NewReaderSize(sess, maxClaimLine)
	return func(prompt string) (string, error) {
		_, _ = io.WriteString(out, prompt)
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = nil
		}
		return string(line), err
	}
}

// printable drops what a terminal might obey from text of a stranger.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
