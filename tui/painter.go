package tui

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// frame is one picture of the whole screen.
type frame struct {
	width, height    int
	content          string // lines of styled text
	overlay          string // drawn over the middle of content; empty: none
	cursorX, cursorY int
	cursorVisible    bool
}

// framePause is the time from one frame to the next when much happens.
const framePause = 16 * time.Millisecond

// painter puts frames on a terminal, in a goroutine of its own, so that a slow
// one holds up nothing but its own picture.
//
// It stands in for Bubble Tea's renderer, which wakes up 60 times a second
// even when nothing has changed. This one sleeps until it is given a frame,
// draws it at once, and asks for the next one no sooner than framePause later.
type painter struct {
	out      io.Writer
	renderer *uv.TerminalRenderer
	pending  bytes.Buffer // what the renderer has written
	buffer   uv.ScreenBuffer
	shown    frame

	frames chan frame // holds one: it is empty whenever wants has said yes
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	busy    bool
	skipped bool
}

func newPainter(out io.Writer, env []string, profile colorprofile.Profile) *painter {
	p := &painter{
		out: out, buffer: uv.NewScreenBuffer(0, 0),
		frames: make(chan frame, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	p.buffer.Method = widths
	p.renderer = uv.NewTerminalRenderer(&p.pending, env)
	p.renderer.SetColorProfile(profile)
	p.renderer.SetWidthMethod(widths)
	// Scrolling would move lines that draw leaves alone since they are the same
	// in both frames.
	p.renderer.SetScrollOptim(false)
	p.renderer.SetTabStops(-1)
	return p
}

// wants reports whether a frame would be drawn now. Where it says no, run's
// caller is asked for one as soon as it would be.
func (p *painter) wants() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped = p.busy
	return !p.busy
}

// show gives the frame that wants asked for. It never blocks.
func (p *painter) show(f frame) {
	if f == p.shown { // which changes only while the painter is busy
		return
	}
	p.mu.Lock()
	p.busy = true
	p.mu.Unlock()
	p.frames <- f
}

// run draws until finish is called, or the terminal is gone, which is
// the error that it returns. ask is called when a frame is wanted after one
// was skipped.
func (p *painter) run(ask func()) (err error) {
	defer close(p.done)
	p.renderer.EnterAltScreen()
	p.write(ansi.ResetModeTextCursorEnable + ansi.SetModeBracketedPaste)
	defer func() {
		p.renderer.ExitAltScreen()
		p.write(ansi.ResetModeBracketedPaste + ansi.SetModeTextCursorEnable)
		if flushErr := p.flush(); err == nil {
			err = flushErr
		}
	}()
	if err := p.flush(); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			return nil
		case f := <-p.frames:
			p.draw(f)
			if err := p.flush(); err != nil {
				return err
			}
		}
		timer.Reset(framePause)
		select {
		case <-p.stop:
			return nil
		case <-timer.C:
		}
		p.mu.Lock()
		skipped := p.skipped
		p.busy, p.skipped = false, false
		p.mu.Unlock()
		if skipped {
			ask()
		}
	}
}

// finish ends run, and waits for it up to the given time: the terminal may
// take no more bytes.
func (p *painter) finish(patience time.Duration) {
	close(p.stop)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
}

// draw has the renderer write what differs between the frame and the one
// before it.
func (p *painter) draw(f frame) {
	all := f.overlay != p.shown.overlay || f.overlay != "" // what changes below it must not be drawn over it
	if f.width != p.buffer.Width() || f.height != p.buffer.Height() {
		p.buffer.Touched = nil
		p.buffer.Resize(f.width, f.height)
		p.renderer.Resize(f.width, f.height)
		p.renderer.Erase()
		all = true
	}
	was, is := strings.Split(p.shown.content, "\n"), strings.Split(f.content, "\n")
	is = append(is, make([]string, max(0, f.height-len(is)))...)
	for y := range f.height {
		if all || y >= len(was) || was[y] != is[y] {
			uv.NewStyledString(is[y]).Draw(p.buffer, uv.Rect(0, y, f.width, 1))
		}
	}
	if all && f.overlay != "" {
		overlay := uv.NewStyledString(f.overlay)
		w, h := overlay.WcWidth(), overlay.Height()
		area := uv.Rect(max(0, (f.width-w)/2), max(0, (f.height-h)/2), w, h)
		overlay.Draw(p.buffer, area.Intersect(p.buffer.Bounds()))
	}
	if p.shown.cursorVisible {
		// Else it would be seen flying around.
		p.write(ansi.ResetModeTextCursorEnable)
	}
	p.renderer.Render(p.buffer.RenderBuffer)
	if f.cursorVisible {
		p.renderer.MoveTo(f.cursorX, f.cursorY)
		p.write(ansi.SetModeTextCursorEnable)
	}
	p.shown = f
}

func (p *painter) write(s string) { _, _ = p.renderer.WriteString(s) }

// flush sends what was written, in one piece.
func (p *painter) flush() error {
	_ = p.renderer.Flush() // to pending, which takes everything
	if p.pending.Len() == 0 {
		return nil
	}
	_, err := p.out.Write(p.pending.Bytes())
	p.pending.Reset()
	if err != nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}
