package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"provisioner/lab"
)

// commandLine is one command of one person, and what it talks to. An ssh
// session is one way to bring it; it knows nothing of that.
type commandLine struct {
	actor lab.Actor
	args  []string // without a program's name

	// stdin is what the person types, or a file, which ends with io.EOF; errTorn
	// where the connection has ended before that. A Read that nobody waits for
	// any more may stay behind: whoever brings the line makes it end with its
	// connection.
	stdin  io.Reader
	stdout io.Writer // bytes as they are, such as what a machine prints
	stderr io.Writer

	// terminal is where all three are shown, in raw mode; nil: there is none.
	terminal *terminal

	// breaks has each BREAK that the client asks for sent to a channel, until it is
	// called with nil; nil: the client has no way to ask.
	breaks func(chan<- bool)
}

// exitRunFailed is the exit code of whoever has waited for an installation that
// was in vain.
const exitRunFailed = 7

// runCommandLine runs a command until it is done, ctx has ended, the server
// stops, or the actor's way in is no more. Its error is on stderr, then; what
// it returns is the exit code, as docs/commands.md lists them.
func (s *Server) runCommandLine(ctx context.Context, line commandLine) (code int) {
	ctx, leave := s.stay(ctx, line.actor)
	defer leave()
	return s.tell(line.stderr, line.terminal, line.actor.User.Name, ended(ctx, s.command(ctx, line)))
}

// stay returns a context for what an actor does who has come in: it ends with
// ctx, with the server, and with the actor's way in. The returned function
// gives it back.
func (s *Server) stay(ctx context.Context, actor lab.Actor) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unstop := context.AfterFunc(s.stopping, func() { cancel(context.Cause(s.stopping)) })
	ctx, leave := s.lab.Session(ctx, actor)
	return ctx, func() {
		leave()
		unstop()
		cancel(nil)
	}
}

// ended is err, or why ctx has ended where that is what a person must know.
func ended(ctx context.Context, err error) error {
	var why *lab.Error
	if errors.As(context.Cause(ctx), &why) {
		return why // the actor's way in is no more
	}
	if context.Cause(ctx) == errStopping { //nolint:errorlint // the very value
		return &lab.Error{Code: lab.Unavailable, Message: errStopping.Error()}
	}
	return err
}

// tell says err to a person, and returns its exit code.
func (s *Server) tell(stderr io.Writer, t *terminal, user string, err error) (code int) {
	if err == nil {
		return 0
	}
	if lab.CodeOf(err) == lab.Internal && !errors.As(err, new(runFailed)) {
		s.log.Error("command failed", "user", user, "error", err)
	}
	if t != nil && context.Cause(s.stopping) != nil {
		_, _ = io.WriteString(stderr, "\r\n") // it came in the middle of a line
	}
	_, _ = fmt.Fprintf(t.text(stderr), "provisioner: %s\n", err)
	if errors.As(err, new(runFailed)) {
		return exitRunFailed
	}
	return exitCode[lab.CodeOf(err)]
}

// invocation is a command that runs. What it prints for programs goes to out,
// everything else to notes; both take lines that end with \n. What must stay as
// it is, such as the bytes of a console, goes to the line's stdout.
type invocation struct {
	commandLine
	ctx   context.Context //nolint:containedctx // lives for one command
	lab   *lab.Lab
	out   io.Writer
	notes io.Writer
}

// command runs a command. Its errors are of lab.
func (s *Server) command(ctx context.Context, line commandLine) error {
	in := &invocation{
		commandLine: line, ctx: ctx, lab: s.lab,
		out: line.terminal.text(line.stdout), notes: line.terminal.text(line.stderr),
	}
	helped := false
	parser, err := newParser(&commands{}, kong.Writers(in.out, in.notes), kong.Exit(func(int) { helped = true }), kong.Bind(in))
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(line.args)
	if helped {
		return nil
	}
	if err != nil {
		return &lab.Error{Code: lab.Invalid, Message: printable(err.Error()) + "; `help` lists the commands", Err: err}
	}
	return parsed.Run(in)
}

// newParser reads command lines into a grammar.
func newParser(grammar *commands, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(grammar, append([]kong.Option{
		kong.Name("ssh HOST"), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Description("provisioner: machines, taken, installed, watched and given back. Without a command: the dashboard."),
	}, options...)...)
}

// note says something on a line of its own.
func (in *invocation) note(text string) {
	_, _ = fmt.Fprintf(in.notes, "[%s]\n", text)
}
