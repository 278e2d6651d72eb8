package server

import (
	"bytes"
	"context"
	"errors"
	"io"

	"charm.land/ssh"

	"provisioner/lab"
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

// output is a writer that takes nothing more once ctx has ended: whose key was
// taken away does not get the rest of a long log.
type output struct {
	ctx context.Context //nolint:containedctx // lives for one command
	to  io.Writer
}

// Write is that of [io.Writer].
func (o output) Write(p []byte) (int, error) {
	if o.ctx.Err() != nil {
		return 0, context.Cause(o.ctx)
	}
	return o.to.Write(p)
}

// errInterrupted is why a context has ended whose person has pressed Ctrl-C.
var errInterrupted = errors.New("interrupted")

// untilInterrupted is the context of a command that only waits. On a terminal,
// where Ctrl-C is a byte like any other and its ssh client does not end, it
// ends with that, too. The returned function gives it back.
func (in *invocation) untilInterrupted() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(in.ctx)
	if in.terminal != nil {
		go func() { // ends with the connection; nobody waits for a person who does not type
			buffer := make([]byte, 256)
			for {
				n, err := in.stdin.Read(buffer)
				if bytes.ContainsAny(buffer[:n], "\x03\x04") {
					cancel(errInterrupted)
				}
				if err != nil {
					return
				}
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// interrupted is err, or where the person has interrupted a wait, what becomes
// of what they waited for.
func interrupted(ctx context.Context, err error, then string) error {
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return &lab.Error{Code: lab.Unavailable, Message: "interrupted: " + then, Err: errInterrupted}
	}
	return err
}
