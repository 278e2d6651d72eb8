package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
)

const (
	slowest = 1.0 / 16
	fastest = 1024
)

type replayCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	logSpan
	Speed float64       `default:"1" help:"How many times as fast as it was."`
	Idle  time.Duration `default:"2s" help:"No pause of the machine is longer than this, before --speed."`
}

// Run plays what a machine has printed, in the time that it took.
func (c replayCommand) Run(in *invocation) error {
	switch {
	case !(c.Speed >= slowest && c.Speed <= fastest):
		return &lab.Error{Code: lab.Invalid, Message: fmt.Sprintf("replay --speed: a number from %g to %d", slowest, fastest)}
	case c.Idle < 0:
		return &lab.Error{Code: lab.Invalid, Message: "replay --idle: a duration is 0 or more, such as 2s"}
	}
	log, from, err := c.open(in, c.Name)
	if err != nil {
		return err
	}
	ctx, leave := context.WithCancel(in.ctx)
	defer leave()
	p := player{speed: c.Speed, idle: c.Idle, out: in.stdout}
	if in.terminal != nil {
		keys := make(chan byte)
		p.keys = keys
		go readKeys(ctx, in.stdin, keys) // ends with ctx and the session's input; nobody waits for a person who does not type
		began, err := log.TimeAt(from)
		if err != nil {
			return err
		}
		in.note(fmt.Sprintf("%s from %s; space pauses, + and - change the speed, q quits", log.Machine, began.Local().Format(time.DateTime)))
	}
	end := "end of the log of " + log.Machine
	switch err = p.play(ctx, log.Chunks(ctx, from)); {
	case errors.Is(err, errLeft):
		end = "left the log of " + log.Machine
	case errors.Is(err, io.EOF), in.ctx.Err() != nil:
		return nil // the client has gone, or is told why the session ends
	case err != nil:
		return err
	}
	if in.terminal != nil { // as the machine found it: attributes, cursor, character sets (DECSTR)
		_, _ = io.WriteString(in.stdout, "\x1b[!p\x1b[0m\x1b[?25h\r\n")
		in.note(end)
	}
	return nil
}

// readKeys passes on what a person types, key by key. What a terminal sends by
// itself, such as the answer to a question that the machine once asked, is not
// for us.
func readKeys(ctx context.Context, typed io.Reader, keys chan<- byte) {
	buffer := make([]byte, 256)
	for {
		n, err := typed.Read(buffer)
		for _, key := range buffer[:n] {
			if key == '\x1b' {
				break // it begins an answer, or the sequence of a key that means nothing here
			}
			select {
			case keys <- key:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// player shows a log in the time that it took.
type player struct {
	out   io.Writer
	keys  <-chan byte // what the person types; nil: nothing
	speed float64
	idle  time.Duration

	paused bool
	last   time.Time // of what was shown
}

// play blocks until everything was shown, ctx has ended, or the person has
// quit, which is errLeft.
func (p *player) play(ctx context.Context, chunks iter.Seq2[transcript.Chunk, error]) error {
	for c, err := range chunks {
		if err != nil {
			return err
		}
		var pause time.Duration
		if !c.At.IsZero() {
			if !p.last.IsZero() { // a clock may have been set back
				pause = min(max(0, c.At.Sub(p.last)), p.idle)
			}
			p.last = c.At
		}
		if err := p.wait(ctx, pause); err != nil {
			return err
		}
		if _, err := p.out.Write(c.Bytes); err != nil {
			return io.EOF
		}
	}
	return nil
}

// wait lets a pause of the machine pass, and heeds the keys meanwhile.
func (p *player) wait(ctx context.Context, pause time.Duration) error {
	for {
		var over <-chan time.Time
		began := time.Now()
		if !p.paused {
			over = time.After(time.Duration(float64(pause) / p.speed))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return nil
		case key := <-p.keys:
			if !p.paused {
				pause -= min(pause, time.Duration(float64(time.Since(began))*p.speed))
			}
			if err := p.press(key); err != nil {
				return err
			}
		}
	}
}

func (p *player) press(key byte) error {
	switch key {
	case ' ':
		p.paused = !p.paused
	case '+':
		p.speed = min(fastest, 2*p.speed)
	case '-':
		p.speed = max(slowest, p.speed/2)
	case 'q', 0x03, 0x04: // and Ctrl-C, Ctrl-D
		return errLeft
	}
	return nil
}
