package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"provisioner/server/remote"
)

const (
	// tokenVariable holds a token: an argument could be read by anybody on the host.
	tokenVariable = "PROVISIONER_TOKEN"

	exitClient      = 255 // there was no command's exit code, as ssh has it
	exitInterrupted = 130 // 128 and SIGINT, as shells have it
)

// client is what the program understands after --server: a command of that server.
type client struct {
	Server    *url.URL `required:"" env:"-" placeholder:"URL" help:"The server, such as https://lab.example.org."`
	TokenFile string   `type:"path" placeholder:"FILE" help:"File that holds the token. Left out: the variable PROVISIONER_TOKEN does."`
	CAFile    string   `name:"ca-file" type:"path" placeholder:"FILE" help:"Certificates (PEM) of who signed the server's. Left out: whom the system trusts."`
	TTY       bool     `name:"tty" short:"t" env:"-" help:"Run the command on this terminal, key by key. console, replay and preseed edit are, anyway."`
	Command   []string `arg:"" optional:"" passthrough:"" help:"A command of the server; help lists them."`
}

// forServer reports whether arguments are for a server: --server stands before
// the command.
func forServer(args []string) bool {
	for i := 0; i < len(args) && strings.HasPrefix(args[i], "-"); i++ {
		switch name, _, whole := strings.Cut(args[i], "="); {
		case name == "--server":
			return true
		case !whole && (name == "--token-file" || name == "--ca-file"):
			i++ // its value
		}
	}
	return false
}

// runClient runs a command on a server, and returns the exit code.
func runClient(ctx context.Context, args []string) int {
	var c client
	parser := kong.Must(&c, kong.Name("provisioner"), kong.Description("Run a command on a server, as ssh does with a key, by a token."),
		kong.DefaultEnvars("PROVISIONER"), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	_, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	code, err := c.command(ctx)
	switch {
	case err == nil:
		return code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	fmt.Fprintf(os.Stderr, "provisioner: %s\n", err)
	return exitClient
}

func (c client) command(ctx context.Context) (code int, err error) {
	if len(c.Command) == 0 {
		return 0, errors.New("say a command; `help` lists them. The dashboard is there over ssh")
	}
	command := remote.Command{Server: c.Server, Args: c.Command, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if command.Token, err = c.token(); err != nil {
		return 0, err
	}
	if c.CAFile != "" {
		text, err := readFile(c.CAFile, 1<<20)
		if err != nil {
			return 0, fmt.Errorf("read the certificate authority: %w", err)
		}
		command.Roots = x509.NewCertPool()
		if !command.Roots.AppendCertsFromPEM(text) {
			return 0, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
		}
	}
	in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	here := term.IsTerminal(in) && term.IsTerminal(out)
	switch {
	case c.TTY && !here:
		return 0, errors.New("--tty: standard input and output are no terminal")
	case !here || !c.TTY && !readsKeys(c.Command):
		return command.Run(ctx)
	}
	before, err := term.MakeRaw(in)
	if err != nil {
		return 0, fmt.Errorf("use this terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(in, before)) }()
	command.Terminal = &remote.Terminal{Name: cmp.Or(os.Getenv("TERM"), "xterm"), Size: sizeOf(out)}
	resized, stop := sizesOf(out)
	defer stop()
	command.Resized = resized
	return command.Run(ctx)
}

// token finds the token.
func (c client) token() (string, error) {
	token := os.Getenv(tokenVariable)
	if c.TokenFile != "" {
		var err error
		if token, err = readSecret(c.TokenFile, "the token"); err != nil {
			return "", err
		}
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return "", errors.New("a token is needed: set PROVISIONER_TOKEN, or give --token-file. `ssh SERVER token create` makes one")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("this is no token: it has characters that none has")
	}
	return token, nil
}

// readsKeys reports whether a command is of use on a terminal only, key by key.
func readsKeys(command []string) bool {
	words := slices.DeleteFunc(slices.Clone(command), func(word string) bool { return strings.HasPrefix(word, "-") })
	return len(words) > 0 && (words[0] == "console" || words[0] == "replay") ||
		len(words) > 1 && words[0] == "preseed" && words[1] == "edit"
}

func sizeOf(fd int) remote.Size {
	width, height, err := term.GetSize(fd)
	if err != nil {
		return remote.Size{Width: 80, Height: 24}
	}
	return remote.Size{Width: width, Height: height}
}

// sizesOf tells each size that the terminal gets, the newest only, until it is
// stopped.
func sizesOf(fd int) (sizes <-chan remote.Size, stop func()) {
	newest, changed, done := make(chan remote.Size, 1), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() { // ends with stop
		for {
			select {
			case <-done:
				return
			case <-changed:
				select {
				case <-newest:
				default:
				}
				newest <- sizeOf(fd) // there is room: nobody else sends
			}
		}
	}()
	return newest, func() {
		signal.Stop(changed)
		close(done)
	}
}
