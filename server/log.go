package server

import (
	"errors"
	"io"
	"time"

	"provisioner/lab"
)

type logCommand struct {
	Name  string        `arg:"" help:"Name of the machine."`
	Since time.Duration `help:"Only what was printed in the last 90s, 15m, 24h."`
}

// Run writes what a machine has printed to standard output, as it came.
func (c logCommand) Run(in *invocation) error {
	var since time.Time
	switch {
	case c.Since < 0:
		return &lab.Error{Code: lab.Invalid, Message: "log --since: a duration reaches back, such as 15m"}
	case c.Since > 0:
		since = time.Now().Add(-c.Since)
	}
	log, err := in.lab.ConsoleLog(in.ctx, in.actor, c.Name, since)
	if err != nil {
		return err
	}
	if _, err = io.Copy(in.sess, log); errors.Is(err, io.EOF) {
		return nil // the client has gone
	}
	return err
}
