// Package tui is the terminal dashboard: the machines of a lab, and for each
// of them its state, its power, its provisioning and its live console.
//
// [Run] serves one person on one terminal. Everything that is shown comes from
// [lab.Lab] and changes by itself with what the lab publishes; everything that
// is asked for is one call of the lab, made by a command of Bubble Tea, so
// that the keyboard never waits for a machine.
//
// A screen on which nothing changes sends nothing. See painter for why that
// needs a renderer of our own.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"

	"provisioner/lab"
)

// Config says what is shown, and to whom.
type Config struct {
	Lab     *lab.Lab
	Actor   lab.Actor
	Site    string           // shown beside the product's name; may be empty
	SSHAddr string           // host:port by which the person came in, for commands to copy; may be empty
	Now     func() time.Time // nil: the clock; its location is the one that times are shown in
}

// Size is that of a terminal, in cells.
type Size struct {
	Width, Height int
}

// Terminal is what a person sits at.
type Terminal struct {
	In            io.Reader // in raw mode
	Out           io.Writer
	Width, Height int         // in cells; 0 for 80 x 24
	Resize        <-chan Size // nil: it never changes
	Env           []string    // TERM, COLORTERM, NO_COLOR and the like, as KEY=value
}

// restorePatience is how long a terminal that takes no bytes may keep Run from
// returning.
const restorePatience = 500 * time.Millisecond

// Run shows the dashboard until the person quits or the input ends, and then
// returns nil, or until ctx ends, and then returns its cause. The terminal is
// left as it was found.
//
// After it has returned, a goroutine may still read In or write to Out until
// that fails, which is when the caller closes the connection.
func Run(ctx context.Context, cfg Config, term Terminal) error {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var a *app
	defer func() { a.close() }()
	return show(ctx, term, func(ctx context.Context, paint *painter) tea.Model {
		a = newApp(ctx, cfg, paint)
		return a
	})
}

// show runs a model that draws with the painter, as [Run] says.
func show(ctx context.Context, term Terminal, model func(context.Context, *painter) tea.Model) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	profile := colorprofile.Env(term.Env)
	paint := newPainter(term.Out, term.Env, profile)
	program := tea.NewProgram(model(ctx, paint),
		tea.WithContext(ctx),
		tea.WithInput(nil), // see readInput
		tea.WithOutput(io.Discard),
		tea.WithoutRenderer(),
		tea.WithFPS(1), // of the ticker for the renderer that is not there
		tea.WithoutSignalHandler(),
		tea.WithEnvironment(term.Env),
		tea.WithColorProfile(profile),
		tea.WithWindowSize(term.Width, term.Height),
	)
	go func() { // ends with paint.finish
		if err := paint.run(func() { program.Send(repaintMsg{}) }); err != nil {
			cancel(err)
		}
	}()
	go readInput(ctx, program, term)
	if term.Resize != nil {
		go forwardSizes(ctx, program, term.Resize)
	}
	_, err := program.Run()
	cause := context.Cause(ctx)
	paint.finish(restorePatience)
	switch {
	case cause != nil:
		return cause
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("the screen has failed, which is a mistake in it: %w", err)
	}
	return err
}

// readInput sends what is typed to the program, until the input or ctx ends.
// With the end of the input the program ends.
//
// Bubble Tea's own reader would go on without input, and leave a goroutine
// behind where keys were typed ahead.
func readInput(ctx context.Context, program *tea.Program, term Terminal) {
	events := make(chan uv.Event)
	go func() { // ends when a read has ended, which it does with the connection
		defer close(events)
		reader := uv.NewTerminalReader(term.In, uv.Environ(term.Env).Getenv("TERM"))
		_ = reader.StreamEvents(ctx, events) // however it ended: nothing more comes
	}()
	for event := range events {
		program.Send(event)
	}
	program.Quit()
}

// forwardSizes ends with ctx, or when no more sizes come.
func forwardSizes(ctx context.Context, program *tea.Program, sizes <-chan Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			program.Send(tea.WindowSizeMsg{Width: s.Width, Height: s.Height})
		}
	}
}
