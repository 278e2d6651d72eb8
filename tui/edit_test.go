package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"

	"provisioner/lab"
)

// saveRequest is what an editor wants kept; the test answers.
type saveRequest struct {
	text   string
	over   bool
	answer chan<- saveAnswer
}

type saveAnswer struct {
	line int
	err  error
}

// editing is a person at an editor.
type editing struct {
	*seat
	saves chan saveRequest
	saved bool // of Edit, when done is closed
}

func edits(t *testing.T, cfg EditConfig, width, height int) *editing {
	in, keys := io.Pipe()
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &editing{saves: make(chan saveRequest), seat: &seat{
		t: t, keys: keys, resize: make(chan Size, 1), leave: cancel, done: make(chan struct{}),
		screen: vt.NewEmulator(width, height), width: width, height: height, wrote: make(chan struct{}, 1),
	}}
	cfg.Title, cfg.Limit = "preseed debian-12", 1000
	cfg.Save = func(ctx context.Context, text string, over bool) (int, error) {
		answer := make(chan saveAnswer)
		p.saves <- saveRequest{text, over, answer}
		a := <-answer
		return a.line, errors.Join(a.err, ctx.Err())
	}
	go func() { _, _ = io.Copy(io.Discard, p.screen) }() // as long as the test binary
	go func() {                                          // ends with the editor
		defer close(p.done)
		p.saved, p.err = Edit(ctx, cfg, Terminal{
			In: in, Out: p, Width: width, Height: height, Resize: p.resize, Env: []string{"TERM=xterm-256color"},
		})
	}()
	t.Cleanup(func() {
		cancel(nil)
		_ = keys.Close()
		<-p.done
	})
	return p
}

// asked waits for the text to be saved.
func (p *editing) asked(text string, over bool) saveRequest {
	p.t.Helper()
	select {
	case r := <-p.saves:
		if r.text != text || r.over != over {
			p.t.Errorf("to be saved: %q over: %t; want %q, %t", r.text, r.over, text, over)
		}
		return r
	case <-time.After(patience):
		p.t.Fatal("nothing is saved")
	}
	return saveRequest{}
}

func (p *editing) ended(saved bool) {
	p.t.Helper()
	select {
	case <-p.done:
		if p.err != nil || p.saved != saved {
			p.t.Errorf("saved %t, %v", p.saved, p.err)
		}
	case <-time.After(patience):
		p.t.Fatalf("the editor stays:\n%s", p.text())
	}
}

const (
	ctrlF, ctrlK, ctrlN, ctrlS, ctrlU, ctrlX, ctrlZ = "\x06", "\x0b", "\x0e", "\x13", "\x15", "\x18", "\x1a"

	downKeys, endKey = "\x1b[B", "\x1b[F"
)

func TestTextIsEditedAndSaved(t *testing.T) {
	p := edits(t, EditConfig{Text: "d-i one\n\td-i two\n"}, 80, 24)
	p.awaits("preseed debian-12", "1 d-i one", "line 1 of 3, column 1", "ctrl+s save")
	p.press(endKey, " string {{ hostname }}", downKeys, endKey, "\x7f\x7f\x7f", "2")
	p.awaits("1 d-i one string {{ hostname }}", "2         d-i 2", "changed  line 2 of 3, column 14")
	p.golden("edit-80x24")
	p.press(ctrlS)
	p.asked("d-i one string {{ hostname }}\n\td-i 2\n", false).answer <- saveAnswer{}
	p.awaits("saved", "!changed")
	p.press(ctrlX)
	p.ended(true)
}

func TestMistakeIsShownWhereItIs(t *testing.T) {
	p := edits(t, EditConfig{Text: strings.Repeat("line\n", 50) + "{% if %}"}, 60, 10)
	p.awaits("line 1 of 51")
	p.press(ctrlS)
	p.asked(strings.Repeat("line\n", 50)+"{% if %}", false).answer <- saveAnswer{51, &lab.Error{Code: lab.Invalid, Message: "Syntax error - line: 51"}}
	p.awaits("Syntax error - line: 51", "line 51 of 51, column 1", "51 {% if %}")
	p.press(ctrlX) // nothing was changed
	p.ended(false)
}

func TestWhatSomebodyElseHasSavedIsNotOverwrittenUnasked(t *testing.T) {
	p := edits(t, EditConfig{Text: "one"}, 80, 10)
	conflict := saveAnswer{0, &lab.Error{Code: lab.Conflict, Message: "somebody else has changed it"}}
	p.press("x", ctrlS)
	p.asked("xone", false).answer <- conflict
	p.awaits("somebody else has changed it. Save this text over it?")
	p.press("n")
	p.awaits("not saved", "changed")
	p.press(ctrlS)
	p.asked("xone", false).answer <- conflict
	p.awaits("Save this text over it?")
	p.press("y")
	p.asked("xone", true).answer <- saveAnswer{}
	p.awaits("saved")
	p.press(ctrlX)
	p.ended(true)
}

func TestWhatIsTypedWhileATextIsSavedIsNotLost(t *testing.T) {
	p := edits(t, EditConfig{Text: ""}, 80, 10)
	p.press("a", ctrlS, "b", ctrlS, "c")
	p.asked("a", false).answer <- saveAnswer{}
	p.asked("ab", false).answer <- saveAnswer{}
	p.awaits("1 abc", "changed")
	p.press(ctrlX)
	p.awaits("What you have changed is not saved. Leave without it?")
	p.press("n", ctrlX, "y")
	p.ended(true)
}

func TestWhatIsSavedIsSavedThoughTheConnectionEnds(t *testing.T) {
	p := edits(t, EditConfig{Text: ""}, 80, 10)
	p.press("a", ctrlS)
	p.awaits("saving")
	p.leave(io.EOF)
	p.asked("a", false).answer <- saveAnswer{}
	<-p.done
	if !p.saved {
		t.Error("Edit does not say that the text was saved")
	}
}

func TestEditorFindsCutsAndUndoes(t *testing.T) {
	p := edits(t, EditConfig{Text: "one\ntwo\nthree two\nfour\n"}, 80, 10)
	p.press(ctrlF)
	p.awaits("find:")
	p.press("TWO\r")
	p.awaits("line 2 of 5, column 1")
	p.press(ctrlN)
	p.awaits("line 3 of 5, column 7")
	p.press(ctrlK, ctrlK)
	p.awaits("!three", "!four", "line 3 of 3")
	p.press(ctrlZ)
	p.awaits("four", "!three")
	p.press(ctrlZ, "\x1b[1;5H", ctrlU)
	p.awaits("1 three two", "2 four", "3 one")
	p.press(ctrlF, "\x15none\r")
	p.awaits("not found: none")
	p.press("\x1b[200~pasted\r\ntext\x1b[201~")
	p.awaits("pasted", "text")
	p.press(strings.Repeat("x", 1001))
	p.awaits("there is no room for more: it may have 1000 bytes")
}

func TestTextOfOthersIsOnlyLookedAt(t *testing.T) {
	p := edits(t, EditConfig{Text: "secret\x1b]0;owned\x07", ReadOnly: "only ada or an admin may"}, 80, 10)
	p.awaits("read only", "only ada or an admin may", "secret·]0;owned·", "!ctrl+s")
	p.press("x", ctrlS, ctrlK)
	p.awaits("1 secret")
	p.press(ctrlX)
	p.ended(false)
}

func TestEditorShowsTheCursorInAnyWindow(t *testing.T) {
	p := edits(t, EditConfig{Text: strings.Repeat("0123456789", 12) + "END\n" + strings.Repeat("line\n", 30) + "last"}, 40, 8)
	p.awaits("0123456789")
	p.press(endKey)
	p.awaits("END", "column 124")
	p.press(pageDown, pageDown, "\x1b[1;5F")
	p.awaits("32 last", "line 32 of 32", "column 5")
	p.resizeTo(20, 3)
	p.awaits("32 last")
	p.resizeTo(1, 1)
	p.resizeTo(100, 40)
	p.awaits("32 last", "10 line", "column 5")
}
