package server

import (
	"context"
	"errors"
	"io"

	"charm.land/ssh"
)

// errTorn is what reading from a client ends with that has gone in the middle.
var errTorn = errors.New("the connection ended before all of it had come")

// sessionInput is the standard input of a session. To the ssh library, a client
// that is gone looks like one that has nothing more to send: half of a file
// would be taken for all of it.
type sessionInput struct{ ssh.Session }

// Read returns [io.EOF] only where the client has said that there is no more,
// and errTorn where it is gone. It waits for the client's answer to tell.
func (i sessionInput) Read(p []byte) (int, error) {
	n, err := i.Session.Read(p)
	if errors.Is(err, io.EOF) {
		// Whoever is there answers, if only that they do not know it.
		if _, gone := i.SendRequest("keepalive@openssh.com", true, nil); gone != nil {
			err = errTorn
		}
	}
	return n, err
}

// input is the standard input for a command that waits for nothing else: it
// ends with the command's context, too. Not beside other reads of stdin.
func (in *invocation) input() io.Reader {
	return &input{ctx: in.ctx, from: in.stdin, buffer: make([]byte, 32<<10)}
}

type input struct {
	ctx    context.Context //nolint:containedctx // lives for one command
	from   io.Reader
	buffer []byte // of the read that goes on
	unread []byte // of the last one
}

// Read is that of [io.Reader].
func (i *input) Read(p []byte) (int, error) {
	if len(i.unread) > 0 {
		n := copy(p, i.unread)
		i.unread = i.unread[n:]
		return n, nil
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() { // ends with the connection at the latest; after ctx, nobody looks at the buffer
		n, err := i.from.Read(i.buffer)
		done <- result{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	case r := <-done:
		n := copy(p, i.buffer[:r.n])
		i.unread = i.buffer[n:r.n]
		if len(i.unread) > 0 {
			return n, nil // an error comes again
		}
		return n, r.err
	}
}
